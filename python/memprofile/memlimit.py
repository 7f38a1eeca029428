"""``%memlimit``, and the limit that a cell has.

``%%memprofile --limit`` is its cell's, ``%memlimit`` that of all later cells. Without either, a
limit near what the machine or the control group has left holds where a recording is on anyway: in
cells under ``%%memprofile``, and in the memprofile kernel in every cell.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from IPython.core.error import UsageError

from memprofile import _native
from memprofile._native import bytes_text
from memprofile.errors import MemoryLimitExceeded
from memprofile.interrupts import Held
from memprofile.limits import Guard
from memprofile.options import OptionError, checked_limit
from memprofile.sources import Shell

RunNodes = Callable[..., Awaitable[bool | None]]

OFF = 0
NEAR_ALL = None
"""A limit near what there is."""

_set: int | None = NEAR_ALL
_running = False


def of_cell(asked: int | None, profiled: bool) -> int | None:
    """The limit of a cell in bytes, ``NEAR_ALL`` or ``OFF``; ``asked`` is its own."""
    if asked is not None:
        return asked
    if _set is NEAR_ALL and not profiled and not _native.tells():
        return OFF
    return _set


async def within(original: RunNodes, *args: Any, **kwargs: Any) -> bool | None:
    """Runs a cell. Where this frame is on the stack a limit holds, and nowhere else."""
    return await original(*args, **kwargs)


class LimitedCell:
    """A cell, with what is put into the shell while it runs; by itself that is its limit."""

    def __init__(self, shell: Shell, result: Any, limit: int | None) -> None:
        self._shell = shell
        self._result = result
        # Beside the cell's own code nothing is stopped: IPython may be showing an error of it.
        caller = getattr(shell.run_code, "__code__", None)
        self._guard = None if limit == OFF else Guard(limit, within.__code__, caller)
        self._shadow: Callable[..., None] | None = None
        self._shadowed: tuple[Any, ...] = ()

    def _begin(self) -> None:
        own = self._shell.__dict__
        self._shadowed = (own["showtraceback"],) if "showtraceback" in own else ()
        original = self._shell.showtraceback

        def showtraceback(*args: Any, **kwargs: Any) -> None:
            # A traceback that user code or a nested cell shows does not end this cell: IPython
            # notes the error in the cell's own result first.
            if self._error() is not None or self._result is None:
                with Held():
                    limited = self._lift()
                    self.finish()
                if limited is not None:
                    args = ((type(limited), limited, limited.__traceback__), *args[1:])
                    kwargs.pop("exc_tuple", None)
            original(*args, **kwargs)

        self._shadow = showtraceback
        own["showtraceback"] = showtraceback
        if self._guard is not None:
            self._guard.begin()

    def _lift(self) -> MemoryLimitExceeded | None:
        """Lifts the limit; what the cell's error is then, if it came of it and says so not yet."""
        if self._guard is None:
            return None
        self._guard.end()
        limited = self._guard.converted(self._error())
        if limited is not None and self._result is not None:
            self._result.error_in_exec = limited
        return limited

    def _error(self) -> BaseException | None:
        result = self._result
        if result is None:
            return sys.exc_info()[1]
        error: BaseException | None = result.error_in_exec or result.error_before_exec
        return error

    def finish(self) -> None:
        """Restores the shell; does nothing the second time, and never raises."""
        if self._guard is not None:
            self._guard.end()
        own = self._shell.__dict__
        if self._shadow is not None and own.get("showtraceback") is self._shadow:
            if self._shadowed:
                own["showtraceback"] = self._shadowed[0]
            else:
                del own["showtraceback"]
        self._shadow = None


def report_failure(shell: Shell, result: Any, error: BaseException) -> bool:
    """Shows an error that came outside of a cell's own statements as its error."""
    if result is not None:
        result.error_in_exec = error
    shell.showtraceback((type(error), error, error.__traceback__))
    return True


def result_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result object among the arguments of ``run_ast_nodes`` after its first two."""
    return kwargs.get("result", args[2] if len(args) > 2 else None)


async def run(
    shell: Shell, original: RunNodes, limit: int | None, *args: Any, **kwargs: Any
) -> bool | None:
    """Runs the statements of a cell that nobody profiles under a limit."""
    global _running
    if _running or limit == OFF:  # a cell inside of another one is part of it
        return await original(*args, **kwargs)
    result = result_of(args[2:], kwargs)
    cell = LimitedCell(shell, result, limit)
    try:
        # Twice: an interrupt that cuts the inner cleanup short leaves the rest to the other one. To
        # hold interrupts back would take a short cell longer than all else here.
        try:
            _running = True
            cell._begin()
            return await within(original, *args, **kwargs)
        finally:
            cell.finish()
    except MemoryLimitExceeded as error:
        # It came between two statements.
        return report_failure(shell, result, error)
    finally:
        _running = False
        cell.finish()


def end() -> None:
    """Nothing is limited any more; called when the extension is unloaded."""
    global _set
    _set = NEAR_ALL
    if not _native.tells():
        _native.end_black_box()


def magic(line: str) -> None:
    """``%memlimit SIZE|off|default``, or nothing to see what holds."""
    global _set
    word = line.strip()
    try:
        if word == "off":
            end()
            _set = OFF
        elif word == "default":
            end()
        elif word:
            _set = checked_limit(word, "%memlimit", "for example: %memlimit 80%")
    except OptionError as error:
        raise UsageError(str(error)) from None
    print(_state())


def _state() -> str:
    now = _native.memory_now()
    if now is None:
        return "There is no limit: this platform does not tell how much memory a process holds."
    held, left, _, of_group = now
    if _set == OFF:
        return (
            "The limit is off: no cell is stopped, unless %%memprofile --limit says so. "
            "%memlimit default turns it on again."
        )
    cells = "Every cell" if _native.tells() else "A cell under %%memprofile"
    if _set is NEAR_ALL:
        whose = "control group" if of_group else "machine"
        return (
            f"{cells} is stopped before the {whose} runs out of memory, "
            f"of which {bytes_text(left)} are left. %memlimit 80% sets a limit for all cells."
        )
    return (
        f"From the next cell on, every cell is stopped when this process holds more than "
        f"{bytes_text(_set)}; it holds {bytes_text(held)} now. %memlimit off lifts the limit."
    )
