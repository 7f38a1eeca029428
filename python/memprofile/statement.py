"""``%memprofile STATEMENT``: one statement, one line of text."""

from __future__ import annotations

import ast
import linecache
from types import CodeType
from typing import Any

from IPython.core.error import UsageError

from memprofile import _native, api
from memprofile._native import bytes_text
from memprofile.errors import MemprofileError
from memprofile.interrupts import Held
from memprofile.options import OptionError, StatementOptions, read_statement_options
from memprofile.sources import STATEMENT_FILE, Shell, describe, paths


def _compiled(shell: Shell, text: str) -> tuple[CodeType | None, CodeType | None]:
    """The statements before a final expression, and that expression; either may be missing."""
    source = shell.transform_cell(text)
    lines = source.splitlines(keepends=True)
    # One entry for all statements: nothing grows with the number of runs.
    linecache.cache[STATEMENT_FILE] = (len(source), None, lines, STATEMENT_FILE)
    tree = shell.transform_ast(shell.compile.ast_parse(source, filename=STATEMENT_FILE))
    body = list(tree.body)
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    before = after = None
    if body:
        before = shell.compile(ast.Module(body, []), STATEMENT_FILE, "exec")
    if last is not None:
        after = shell.compile(ast.Expression(last.value), STATEMENT_FILE, "eval")
    return before, after


def _once(
    code: tuple[CodeType | None, CodeType | None],
    options: StatementOptions,
    namespace: dict[str, Any],
    local_ns: Any,
) -> tuple[Any, api.Profile]:
    """Runs the statement once; prints its line even when it raises."""
    __tracebackhide__ = True
    value = None
    failed: str | None = None
    with Held():
        # Called from here, because stacks stop at the frame that calls it.
        recording = _native.start(
            title="%memprofile", main_file=STATEMENT_FILE, exact=options.exact, **paths()
        )
    try:
        before, after = code
        if before is not None:
            exec(before, namespace, local_ns)
        if after is not None:
            value = eval(after, namespace, local_ns)
    except BaseException as error:
        failed = type(error).__name__
        raise
    finally:
        with Held():
            profile = api.Profile._of(recording.stop(describe, failed))
            if failed is not None:
                print(profile.to_line())
    return value, profile


def run(shell: Shell, line: str, local_ns: Any) -> Any:
    """Profiles the statement in ``line`` and returns its value, if it has one."""
    __tracebackhide__ = True
    try:
        options = read_statement_options(line)
        code = _compiled(shell, options.statement)
        best: api.Profile | None = None
        peaks: list[int] = []
        value = None
        for turn in range(1, (options.repeat or 1) + 1):
            value = None  # the last run's value must not count into this one
            value, profile = _once(code, options, shell.user_ns, local_ns)
            prefix = "" if options.repeat is None else f"{turn}/{options.repeat}  "
            print(prefix + profile.to_line())
            peaks.append(profile.peak_footprint)
            if best is None or profile.peak_footprint < best.peak_footprint:
                best = profile
    except (OptionError, MemprofileError) as error:
        raise UsageError(f"%memprofile: {error}") from None
    if options.repeat is not None:
        print(spread(peaks))
    if options.name is not None:
        shell.push({options.name: best})
    return value


def spread(peaks: list[int]) -> str:
    """The best of some peaks (bytes) and how far apart they lie, as one line."""
    low, high = min(peaks), max(peaks)
    runs = "1 run" if len(peaks) == 1 else f"{len(peaks)} runs"
    if low == high:
        apart = "all the same"
    else:
        apart = f"the largest {bytes_text(high)}, {bytes_text(high - low)} apart"
    return f"best peak of {runs}: {bytes_text(low)}, {apart}"
