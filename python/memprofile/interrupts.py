"""Keeps Ctrl-C out of the few lines that must not be torn apart."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

getsignal, set_handler = _signal.getsignal, _signal.signal
"""As those of the module signal, which makes enums of what goes in and out: for the ten calls
around a cell that was half of what we add to a short one. These take and give their values."""


class Held:
    """While entered, an interrupt waits; on leaving, it goes to the handler that was there.

    A class and not a generator: a generator-based manager runs Python code of its own
    between the two halves, where the interrupt could land. Threads other than the main one
    never see the signal, so there it does nothing.
    """

    def __init__(self) -> None:
        self._previous: Any = None
        self._waiting: tuple[int, FrameType | None] | None = None
        self._holding = False

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._waiting = (signum, frame)

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._previous = getsignal(signal.SIGINT)
        # None: a handler that C code installed, which Python could not put back.
        if self._previous is not None:
            self._holding = True
            set_handler(signal.SIGINT, self._note)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._holding:
            return
        self._holding = False
        set_handler(signal.SIGINT, self._previous)
        if self._waiting is None:
            return
        if callable(self._previous):
            self._previous(*self._waiting)
        elif self._previous == signal.SIG_DFL:
            signal.raise_signal(signal.SIGINT)
