"""One recorded cell: IPython runs it, this watches.

The cell's statements go to IPython's own ``run_ast_nodes`` unchanged, so everything that a
cell can do (Out[n], top-level await, star imports, pickling) is IPython's doing. Around it:
start, stop, restore. Whatever ends the cell, the report is published before the traceback.
"""

from __future__ import annotations

import ast
import functools
import linecache
import sys
from collections.abc import Sequence
from typing import Any

from IPython.core.error import UsageError
from IPython.utils.text import DollarFormatter

from memprofile import _native, api, keepers, live, memlimit, sources, telemetry
from memprofile.bundle import publish
from memprofile.errors import MemprofileError
from memprofile.interrupts import Held
from memprofile.memlimit import LimitedCell, RunNodes, report_failure
from memprofile.options import CellOptions, OptionError, read_cell_options
from memprofile.sources import Shell
from memprofile.variables import Growth

_MARKER = '__import__("memprofile.magic", fromlist=("magic",)).cell_marker({!r})'
# Only a docstring may stand before `from __future__ import`; the call above would make
# IPython's own check, whether the cell awaits, fail to compile it.
_DOCSTRING = "memprofile.magic.cell_marker:"


_made = False
"""Whether a marker was made since the last cell ended: else there is none to look for."""


def marker(tail: str, before_future_import: bool) -> str:
    """The statement that stands for a first line ``%%memprofile`` + ``tail``."""
    global _made
    _made = True
    return repr(_DOCSTRING + tail) if before_future_import else _MARKER.format(tail)


def marked(nodes: list[ast.stmt]) -> str | None:
    """What follows ``%%memprofile`` when the first statement is its marker, else None."""
    if not nodes or type(nodes[0]) is not ast.Expr:
        return None
    match nodes[0].value:
        case ast.Call(
            ast.Attribute(
                ast.Call(ast.Name("__import__"), [ast.Constant("memprofile.magic")]), "cell_marker"
            ),
            [ast.Constant(str(tail))],
        ):
            return tail
        case ast.Constant(str(text)) if text.startswith(_DOCSTRING):
            return text.removeprefix(_DOCSTRING)
    return None


def show(
    shell: Shell, profile: api.Profile, top: int, display: live.LiveDisplay | None = None
) -> None:
    """Publishes the report in the forms that this front end can show, in place of ``display``."""
    put = None if display is None else display.replace
    publish(shell, functools.partial(profile._bundle, top), put)


def complain(what: str, error: BaseException) -> None:
    """Says on stderr what went wrong after the cell: its own outcome must not change."""
    print(f"memprofile: {what}: {error or type(error).__name__}", file=sys.stderr)


class RecordedCell(LimitedCell):
    """Start, stop and everything that is put into the shell in between."""

    def __init__(self, shell: Shell, options: CellOptions, cell_name: str, result: Any) -> None:
        super().__init__(shell, result, memlimit.of_cell(options.limit, profiled=True))
        self._options = options
        self._cell_name = cell_name
        self._recording: _native.Recording | None = None
        self._display: live.LiveDisplay | None = None
        if (options.live or live.for_all) and live.is_possible(shell):
            message = telemetry.message_of(shell)
            display = telemetry.take_display(message)
            title = sources.label(cell_name)
            self._display = live.LiveDisplay(shell, cell_name, title, message, display)
        self._growth = Growth(shell)

    def begin(self, recording: _native.Recording) -> None:
        """Takes over a recording that has just been started."""
        self._recording = recording
        self._begin()
        if self._display is not None:
            self._display.begin()

    def finish(self) -> None:
        """Stops, restores and reports; does nothing the second time, and never raises."""
        super().finish()
        recording, self._recording = self._recording, None
        if recording is None:
            return
        error = self._error()
        display, self._display = self._display, None
        if display is not None and not display.end():
            display = None
        try:
            finished = recording.stop(
                self._describe,
                type(error).__name__ if error else None,
                lambda: keepers.of_cell(self._shell, self._result, error),
                self._growth.changes,
            )
        except Exception as problem:
            complain("the recording could not be read", problem)
            return
        self._deliver(api.Profile._of(finished), display)

    def _describe(self, filename: str, linenos: Sequence[int]) -> tuple[str, str, dict[int, str]]:
        label, kind, text = sources.describe(filename, linenos)
        if filename == self._cell_name and self._result is not None:
            sources.put_magics_back(text, self._result.info.raw_cell)
        return label, kind, text

    def _deliver(self, profile: api.Profile, display: live.LiveDisplay | None) -> None:
        options = self._options
        if options.name is not None:
            self._shell.push({options.name: profile})
        if options.quiet and display is not None:
            display.replace({"text/plain": profile.to_line()}, {})
        if not options.quiet:
            try:
                show(self._shell, profile, options.top, display)
            except Exception as problem:
                complain("the report could not be shown", problem)
        if options.save is not None:
            try:
                profile.save(options.save, options.top)
            except (OSError, MemprofileError) as problem:
                complain(f"the profile could not be saved to {str(options.save)!r}", problem)


def _usage_error(error: Exception) -> UsageError:
    return UsageError(f"%%memprofile: {error}")


def _show_as_comment(cell_name: str, tail: str) -> None:
    """Puts the typed first line, as a comment, where tracebacks and inspect read the cell."""
    entry = linecache.cache.get(cell_name)
    if entry is None or len(entry) != 4:
        return
    size, mtime, lines, name = entry
    if lines:
        first = sources.COMMENTED_MAGIC_LINE + tail + "\n"
        shown = (size, mtime, [first, *lines[1:]], name)
        # IPython 7 puts what it keeps itself back at every traceback.
        for cache in (linecache.cache, getattr(linecache, "_ipython_cache", {})):
            cache[cell_name] = shown


def remember_as_typed(shell: Shell) -> None:
    """Puts the typed first line into In[n] in place of the marker.

    After the run, because the display hook tokenizes In[n] to look for a final semicolon.
    """
    global _made
    made, _made = _made, False
    history = getattr(shell.history_manager, "input_hist_parsed", None) if made else None
    if not history:
        return
    first, newline, rest = history[-1].partition("\n")
    if "cell_marker" not in first:
        return
    try:
        tail = marked(ast.parse(first).body)
    except SyntaxError:
        return
    if tail is not None:
        history[-1] = sources.MAGIC_LINE + tail + newline + rest


async def run(
    shell: Shell,
    original: RunNodes,
    tail: str,
    nodes: list[ast.stmt],
    cell_name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> bool | None:
    """Runs the statements of a cell under a recording, as ``original`` would without one."""
    result = memlimit.result_of(args, kwargs)
    _show_as_comment(cell_name, tail)
    try:
        try:
            line = DollarFormatter().vformat(tail, (), shell.user_ns)
        except Exception:  # as IPython does for every magic: braces that name nothing stay
            line = tail
        options = read_cell_options(line)
        cell = RecordedCell(shell, options, cell_name, result)
        try:
            # Twice: an interrupt on the way into the inner cleanup must not skip it.
            try:
                with Held():
                    # Called from here, because stacks stop at the frame that calls it.
                    cell.begin(
                        _native.start(
                            title=sources.label(cell_name),
                            main_file=cell_name,
                            exact=options.exact,
                            **sources.paths(),
                        )
                    )
                outcome = await memlimit.within(original, nodes, cell_name, *args, **kwargs)
            finally:
                with Held():
                    cell.finish()
        finally:
            cell.finish()
        return outcome
    except (OptionError, MemprofileError) as error:
        return report_failure(shell, result, _usage_error(error))
    except (Exception, KeyboardInterrupt) as error:
        return report_failure(shell, result, error)
