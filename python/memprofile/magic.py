"""How the magics enter an IPython shell and leave it again.

A cell magic of the usual kind gets the cell as text and has to run it by itself; that is
where Out[n], line numbers, ``await`` and ``from m import *`` break. Here the first line is
only replaced by a marker statement, IPython parses and runs the cell as always, and the
shadowed ``run_ast_nodes`` recognises the marker (see ``cell.py``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

from IPython.core import magic as ipython_magic
from IPython.core.error import UsageError
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.magic import needs_local_scope, no_var_expand

from memprofile import cell, live, looks, memframe, memlimit, sources, statement, telemetry
from memprofile.sources import MAGIC_LINE, Shell

# IPython 7, which Colab has, silences no magic.
_silenceable: Callable[[Callable[..., Any]], Callable[..., Any]] = getattr(
    ipython_magic, "output_can_be_silenced", lambda magic: magic
)

_FIRST_LINE = re.compile(re.escape(MAGIC_LINE) + r"(|[ \t].*)")
_FUTURE_IMPORT = re.compile(r"\s*from\s+__future__\s+import\b")
_NOT_FIRST = (
    "make %%memprofile the first line of the cell; for one statement use, "
    "for example: %memprofile sorted(values)"
)


def cell_marker(tail: str) -> NoReturn:
    """What the marker statement calls when something else than the shell runs it."""
    raise UsageError(_NOT_FIRST)


def transform(lines: list[str]) -> list[str]:
    """Replaces a first line ``%%memprofile ...`` by the marker; stateless, any other cell as is.

    The rest is tidied as IPython tidies a cell (indentation, prompts, a cell magic in its
    first line), because IPython looks for these at the top of the text only.
    """
    found = _FIRST_LINE.fullmatch(lines[0].rstrip("\r\n")) if lines else None
    if found is None:
        return lines
    body = lines[1:]
    blank = next((i for i, line in enumerate(body) if line.strip()), len(body))
    head, body = body[:blank], body[blank:]
    manager: Any = TransformerManager()  # type: ignore[no-untyped-call, unused-ignore]
    for step in (*manager.cleanup_transforms, *manager.line_transforms):
        body = step(body)
    future = any(_FUTURE_IMPORT.match(line) for line in body)
    return [cell.marker(found[1], future) + "\n", *head, *body]


# check_complete then sees the %% line itself, so that a terminal waits for the cell's body.
transform.has_side_effects = True  # type: ignore[attr-defined]


def _magic_for(shell: Shell) -> Callable[..., Any]:
    @no_var_expand
    @needs_local_scope
    @_silenceable
    def memprofile(line: str, cell: str | None = None, local_ns: Any = None) -> Any:
        """Shows what a cell, or one statement, costs in memory.

        Cell: %%memprofile [-o NAME] [-q] [--save FILE] [--exact] [--top N] [--live] [--limit SIZE]

          as the first line of a cell. The cell runs once, exactly as without it; the report
          comes below its output.

          -o NAME      keep the memprofile.Profile in the variable NAME
          -q           show no report
          --save FILE  write the report: .html (a page to explore), .svg, .png, .txt; or the data:
                       .json, .speedscope.json, .collapsed
          --exact      record every allocation, however many there are
          --top N      show N lines (10), the rest as one row
          --live       show how it goes while the cell runs (not in a terminal); the report takes
                       its place above the cell's other outputs
          --limit SIZE end the cell with MemoryLimitExceeded before the process holds more: 2GB,
                       2GiB, 80% of what there is, or +300MB more than now

        Line: %memprofile [-o NAME] [-r N] [--exact] STATEMENT

          prints one line of text; the value of an expression is the magic's value.

          -o NAME      keep the memprofile.Profile in the variable NAME
          -r N         run the statement N times: a line for each, then the best and the spread;
                       -o keeps the best
          --exact      record every allocation, however many there are

        For example:

          %%memprofile --save report.html
          %memprofile -r 3 sorted(values)
        """
        if cell is not None:
            raise UsageError(_NOT_FIRST)
        return statement.run(shell, line, local_ns)

    return memprofile


def _memframe_for(shell: Shell) -> Callable[..., Any]:
    @no_var_expand
    @needs_local_scope
    @_silenceable
    def memframe_magic(line: str, local_ns: Any = None) -> Any:
        """Shows what a DataFrame, Series or array really holds, and which smaller types would do.

        %memframe [-o NAME] [--no-advice] EXPR

          EXPR is of pandas, polars, pyarrow or numpy. Each column is told with its own bytes, what
          it shares, and what it is a view of; advice was checked on every value.

          -o NAME      keep the memprofile.FrameReport in the variable NAME
          --no-advice  do not look for smaller types

        For example:

          %memframe df
          %memframe -o before sales["price"]
        """
        return memframe.run(shell, line, local_ns)

    return memframe_magic


@no_var_expand
def memlimit_magic(line: str) -> None:
    """Sets how much memory the process may hold while a cell runs.

    %memlimit [SIZE|off|default]

      SIZE     2GB, 2GiB, 80% of what the machine or the container has, or +300MB more than now;
               from the next cell on a cell that would go beyond ends with MemoryLimitExceeded,
               and all names stay
      off      no limit
      default  near what there is: in cells under %%memprofile, and in the memprofile kernel
               in every cell

    With nothing after it, it says what holds. %%memprofile --limit SIZE is for one cell.

    For example:

      %memlimit 80%
      %memlimit off
    """
    memlimit.magic(line)


def _live_for(shell: Shell) -> Callable[..., Any]:
    @no_var_expand
    def memprofile_live(line: str) -> None:
        """Shows every cell's memory while the cell runs; without an argument says whether it does.

        %memprofile_live [on|off]

          In the kernel "Python 3 (memprofile)": each cell that takes longer than a second.
          In any other kernel: each %%memprofile cell, as --live does for one.

        For example:

          %memprofile_live on
        """
        live.switch(shell, line)

    return memprofile_live


class Installation:
    """What was put into one shell; ``remove`` takes exactly that out again."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._before = shell.__dict__.get("run_ast_nodes")
        original: memlimit.RunNodes = shell.run_ast_nodes
        self._active = True

        async def run_ast_nodes(
            nodelist: list[ast.stmt], cell_name: str, *args: Any, **kwargs: Any
        ) -> bool | None:
            if not self._active:
                return await original(nodelist, cell_name, *args, **kwargs)
            sources.number_cell(shell, cell_name)
            tail = cell.marked(nodelist)
            limit = memlimit.of_cell(None, tail is not None)
            told = telemetry.is_news(limit != memlimit.OFF and tail is None)
            try:
                if told:
                    telemetry.begin_cell(shell, cell_name)
                if tail is None:
                    return await memlimit.run(
                        shell, original, limit, nodelist, cell_name, *args, **kwargs
                    )
                return await cell.run(shell, original, tail, nodelist[1:], cell_name, args, kwargs)
            finally:
                if told:
                    telemetry.end_cell(shell, cell_name)

        self._wrapper = run_ast_nodes
        self._magic = _magic_for(shell)
        self._after = lambda *result: cell.remember_as_typed(shell)
        shell.__dict__["run_ast_nodes"] = run_ast_nodes
        shell.input_transformers_cleanup.append(transform)
        shell.events.register("post_run_cell", self._after)
        magics = shell.magics_manager.magics
        magics["line"]["memprofile"] = magics["cell"]["memprofile"] = self._magic
        self._lines = {
            "memframe": _memframe_for(shell),
            "memlimit": memlimit_magic,
            "memprofile_live": _live_for(shell),
            **looks.magics_for(shell),
        }
        magics["line"].update(self._lines)

    def remove(self) -> None:
        """Leaves the shell as it was, but for what others have put on top since."""
        own = self._shell.__dict__
        # Under somebody else's wrapper ours stays, and does nothing.
        self._active = False
        if own.get("run_ast_nodes") is self._wrapper:
            del own["run_ast_nodes"]
            if self._before is not None:
                own["run_ast_nodes"] = self._before
        callbacks = self._shell.events.callbacks["post_run_cell"]
        if self._after in callbacks:
            callbacks.remove(self._after)
        transformers = self._shell.input_transformers_cleanup
        transformers[:] = [t for t in transformers if t is not transform]
        for kind in ("line", "cell"):
            magics = self._shell.magics_manager.magics[kind]
            ours = {"memprofile": self._magic, **self._lines}
            for name in [name for name, magic in ours.items() if magics.get(name) is magic]:
                del magics[name]


_installed: WeakKeyDictionary[Shell, Installation] = WeakKeyDictionary()


def install(shell: Shell) -> None:
    """Adds the magics to a shell; does nothing when they are there."""
    if shell not in _installed:
        _installed[shell] = Installation(shell)


def uninstall(shell: Shell) -> None:
    """Takes the magics out of a shell; does nothing when they are not there."""
    installation = _installed.pop(shell, None)
    if installation is not None:
        installation.remove()
        memlimit.end()
