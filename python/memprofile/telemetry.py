"""What a kernel's child tells the supervisor: which cell runs, and by the engine what it holds.

The supervisor gives its child a shared-memory segment: an inherited file descriptor, whose number
is in the environment. Where there is none (any other kernel), nothing here costs anything.
"""

from __future__ import annotations

import os
import sys

from memprofile import _native, live, sources
from memprofile.sources import Shell

_told: str | None = None
"""The request whose cell is told."""

_display: str | None = None
"""The display in which that cell shall be shown."""


def begin() -> None:
    """Takes over the segment that this process was started with, if it was."""
    # Popped: a process that the user starts has not inherited it.
    number = os.environ.pop(_native.TELEMETRY_FD, None)
    if number is None:
        return
    try:
        _native.tell_to(int(number))
    except (OSError, ValueError) as problem:
        print(
            f"memprofile: after a crash there will be no report: {_native.TELEMETRY_FD}={number} "
            f"is not usable ({problem}); restart the kernel",
            file=sys.stderr,
        )


def message_of(shell: Shell) -> str:
    """The msg_id of the request that the shell runs now; empty in a terminal."""
    parent: dict[str, dict[str, str]] = getattr(shell, "get_parent", dict)() or {}
    message: str = parent.get("header", {}).get("msg_id", "")
    return message


def is_news(is_watched: bool) -> bool:
    """Whether a cell that begins is told: one inside of another, or beside it, is part of that.

    ``is_watched``: it is recorded by the black box also where nobody is told.
    """
    return _told is None and (is_watched or _native.tells())


def begin_cell(shell: Shell, cell_name: str) -> None:
    """A cell begins that is told, until ``end_cell``."""
    global _told, _display
    _told = message_of(shell)
    _display = live.new_display(shell) if live.for_all and _native.tells() else None
    # Finding the paths takes longer than all else here.
    if not _native.black_box_goes_on():
        _native.begin_black_box(**sources.paths())
    _native.begin_cell(_told, cell_name, sources.label(cell_name, shell), _display)


def end_cell(shell: Shell, cell_name: str) -> None:
    """The cell has ended."""
    global _told
    _told = None
    display = take_display()
    _native.end_cell()
    if display is not None:
        live.show_end(shell, display, cell_name)


def take_display(message: str | None = None) -> str | None:
    """The display of the cell that is told, if it is that of the request ``message``.

    Whoever takes it puts there what the cell leaves.
    """
    global _display
    if message != _told:
        return None
    display, _display = _display, None
    return display
