"""``%memframe EXPR``: a frame's true bytes, column by column, with checked advice."""

from __future__ import annotations

import ast
from typing import Any

from IPython.core.error import UsageError

from memprofile.bundle import publish
from memprofile.errors import MemprofileError
from memprofile.frames.inspect import inspect
from memprofile.options import OptionError, read_frame_options
from memprofile.sources import Shell


def _evaluated(shell: Shell, text: str, namespace: dict[str, Any]) -> Any:
    """The value of an expression; a sentence of its own for one that has none."""
    example = "for example: %memframe df"
    try:
        code = compile(ast.parse(text.strip(), mode="eval"), "<%memframe>", "eval")
    except SyntaxError as error:
        raise UsageError(
            f"%memframe: {text.strip()!r} is no expression ({error.msg}); {example}"
        ) from None
    try:
        return eval(code, shell.user_ns, namespace)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise UsageError(f"%memframe: {text.strip()!r} has no value ({said}); {example}") from None


def _can_be_assigned(text: str) -> bool:
    """Whether the expression names something that a line of code can change."""
    kind = ast.parse(text.strip(), mode="eval").body
    return isinstance(kind, ast.Name | ast.Attribute | ast.Subscript)


def run(shell: Shell, line: str, local_ns: Any) -> None:
    """Shows what the frame in ``line`` holds; with ``-o`` keeps the report in a variable, too."""
    try:
        options = read_frame_options(line)
    except OptionError as error:
        raise UsageError(f"%memframe: {error}") from None
    names = {**shell.user_ns, **(local_ns or {})}
    value = _evaluated(shell, options.expression, names)
    name = options.expression.strip() if _can_be_assigned(options.expression) else None
    try:
        report = inspect(value, names, advice=options.advice, name=name or "df")
    except MemprofileError as error:
        raise UsageError(str(error)) from None
    if options.name is not None:
        shell.push({options.name: report})
    publish(shell, report._bundle)
