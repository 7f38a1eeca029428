"""Whose code a file is, what a reader calls it, and the text of its lines.

Nothing here imports a package that is not imported already: code that has not been
imported cannot be on a stack.
"""

from __future__ import annotations

import functools
import linecache
import os
import site
import sys
import sysconfig
from collections.abc import Sequence
from typing import Any, TypeAlias, TypedDict

Shell: TypeAlias = Any
"""An IPython shell. Any, because its own types are partial and differ between versions."""

MAGIC_LINE = "%%memprofile"
"""How a profiled cell begins, as typed."""

COMMENTED_MAGIC_LINE = "# " + MAGIC_LINE
"""How the first line stands in linecache, where only Python keeps tracebacks whole."""

STATEMENT_FILE = "<%memprofile>"
"""The file name of a statement that ``%memprofile`` runs."""

_MACHINERY = (
    *("IPython", "ipykernel", "ipykernel_launcher", "jupyter_client", "traitlets", "tornado"),
    *("zmq", "debugpy", "_pydevd_bundle", "prompt_toolkit", "runpy"),
    *("asyncio.base_events", "asyncio.events", "asyncio.runners"),
)

# Code that was generated from strings has no line that a reader could look at: what it
# allocates belongs to the line that called it.
_GENERATED = ("<frozen ", "<string>", "<attrs generated ", "<decorator-gen", "<__array_function__")


def _shell() -> Shell:
    """The running IPython shell, or None."""
    module = sys.modules.get("IPython.core.getipython")
    return None if module is None else module.get_ipython()


# By file name, where the shell does not number its cells itself: IPython 7.
_numbers: dict[str, int] = {}


def number_cell(shell: Shell, filename: str) -> None:
    """Notes the number of the cell that runs."""
    if not hasattr(shell.compile, "_filename_map"):
        _numbers[filename] = shell.execution_count


def cell_number(filename: str, shell: Shell = None) -> int | None:
    """The N of In[N] for the file name of a cell's code, None for any other file."""
    compiler = getattr(shell or _shell(), "compile", None)
    numbers: dict[str, int] = getattr(compiler, "_filename_map", _numbers)
    return numbers.get(filename)


def label(filename: str, shell: Shell = None) -> str:
    """What a reader calls a file: ``cell [12]``, ``%memprofile``, ``tools/clean.py``.

    ``shell`` is the one that runs, where that is known: it takes a while to find.
    """
    number = cell_number(filename, shell)
    if number is not None:
        return f"cell [{number}]"
    if filename == STATEMENT_FILE:
        return "%memprofile"
    if filename.startswith("<") or not os.path.isabs(filename):
        return filename
    try:
        shown = os.path.relpath(filename)
    except (OSError, ValueError):  # the working directory is gone, or on another drive
        return filename
    return os.path.basename(filename) if shown.startswith(os.pardir) else shown


def describe(filename: str, linenos: Sequence[int]) -> tuple[str, str, dict[int, str]]:
    """A file's label, its kind (``cell`` or ``user``) and the text of its lines by number.

    All lines of a cell, else those of ``linenos``. Lines that cannot be read are left out.
    """
    is_cell = cell_number(filename) is not None or filename == STATEMENT_FILE
    if not is_cell:
        linecache.checkcache(filename)  # a module that was edited and reloaded
    lines = linecache.getlines(filename)
    wanted = range(1, len(lines) + 1) if is_cell else linenos
    text = {n: lines[n - 1].rstrip("\r\n") for n in wanted if 0 < n <= len(lines)}
    if is_cell and text.get(1, "").startswith(COMMENTED_MAGIC_LINE):
        text[1] = text[1].removeprefix("# ")
    return label(filename), "cell" if is_cell else "user", text


def put_magics_back(text: dict[int, str], typed: str) -> None:
    """Shows the lines of a cell that IPython has translated as they were typed: ``%time f(x)``."""
    lines = typed.splitlines()
    # A magic over several lines becomes one: then those behind it have other numbers than as typed.
    moved = len(lines) != len(text)
    for number, line in text.items():
        translated = "get_ipython().run_cell_magic(" if moved else "get_ipython()."
        if translated in line and number <= len(lines):
            text[number] = lines[number - 1]


# Some forty questions to the file system a cell otherwise.
_resolved = functools.cache(os.path.realpath)


def _both_ways(paths: set[str]) -> list[str]:
    """Folders as named and as resolved, ended by a separator so that no sibling matches."""
    found = {p for path in paths if path for p in (path, _resolved(path))}
    return sorted(os.path.join(p, "") if not p.endswith((".py", ".zip")) else p for p in found)


class Paths(TypedDict):
    """The paths that a recording is started with."""

    library_paths: list[str]
    machinery_paths: list[str]


def paths() -> Paths:
    """Both kinds of path prefixes, for this process as it is now."""
    return {"library_paths": library_paths(), "machinery_paths": machinery_paths()}


def _installed() -> list[str]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = {sysconfig.get_path(name) for name in names}
    paths.update(site.getsitepackages() if hasattr(site, "getsitepackages") else [])
    if site.ENABLE_USER_SITE:
        paths.add(site.getusersitepackages())
    return _both_ways(paths)


# The same for the life of the process, and two milliseconds to find: not in the first cell.
_INSTALLED = _installed()


def library_paths() -> list[str]:
    """Path prefixes of the standard library, of installed packages and of generated code."""
    ends = ("site-packages", "dist-packages", ".zip")
    added = {p for p in sys.path if p.rstrip("/\\").endswith(ends)}
    return sorted({*_INSTALLED, *_both_ways(added)}) + list(_GENERATED)


def machinery_paths() -> list[str]:
    """Path prefixes of the code that runs cells: IPython, the kernel, event loops, ourselves."""
    paths = {os.path.dirname(__file__)}
    for name in _MACHINERY:
        module = sys.modules.get(name)
        file: str | None = getattr(module, "__file__", None)
        if file is not None:
            is_package = hasattr(module, "__path__")
            paths.add(os.path.dirname(file) if is_package else file)
    # What `python -m` runs is the module __main__, not its own name; in a kernel, the user's
    # namespace has taken that name too.
    kernel: str | None = getattr(sys.modules.get("ipykernel"), "__file__", None)
    if kernel is not None:
        paths.add(os.path.join(os.path.dirname(os.path.dirname(kernel)), "ipykernel_launcher.py"))
    launcher: str | None = getattr(sys.modules.get("__main__"), "__file__", None)
    names = ("ipykernel_launcher.py", "ipython", "__main__.py")
    if launcher is not None and _shell() is not None and os.path.basename(launcher) in names:
        paths.add(launcher)
    return [*_both_ways(paths), "<frozen runpy>"]
