"""What is in place while a limit on memory holds, and what becomes of a request that it refused.

A limit bounds the anonymous resident memory of the process: what the kernel cannot drop. Beyond it
the engine refuses a request (``MemoryError``, raised by whoever asked), or sends a signal whose
handler raises ``MemoryLimitExceeded`` between two instructions of the main thread. The signal is
SIGURG: by default nothing happens when it comes, and hardly anybody uses it.
"""

from __future__ import annotations

import threading
from types import CodeType

from memprofile import _native
from memprofile.errors import MemoryLimitExceeded
from memprofile.interrupts import getsignal, set_handler


class Guard:
    """A limit that holds in the frames of ``code``: bytes, or None for near what there is."""

    def __init__(self, limit: int | None, code: CodeType) -> None:
        self._limit = limit
        self._code = code
        self._number: int | None = None
        self._handler: _native.LimitHandler | None = None
        self._refused: tuple[int, int, int, str, int] | None = None

    def begin(self) -> None:
        """Puts it in force. In another thread than the main one it refuses, and raises nothing."""
        # None: a handler that C code installed, which Python could not put back.
        if (
            threading.current_thread() is threading.main_thread()
            and (previous := getsignal(_native.LIMIT_SIGNAL)) is not None
        ):
            self._handler = handler = _native.LimitHandler(previous)
            set_handler(_native.LIMIT_SIGNAL, handler)
        self._number = _native.arm_limit(self._code, self._limit, self._handler is not None)

    def end(self) -> None:
        """Lifts it; does nothing the second time."""
        if self._number is not None:
            self._refused = _native.refused(self._number)
            _native.disarm_limit(self._number)
            self._number = None
        handler = self._handler
        if handler is not None:
            previous = handler.previous
            if getsignal(_native.LIMIT_SIGNAL) is handler:
                set_handler(_native.LIMIT_SIGNAL, previous)
            self._handler = None

    def converted(self, error: BaseException | None) -> MemoryLimitExceeded | None:
        """What a MemoryError becomes that came of the refusal, with its traceback; else None.

        To be asked after the end.
        """
        if self._refused is None or not isinstance(error, MemoryError):
            return None
        limit, held, requested, filename, lineno = self._refused
        step = error.__traceback__
        while step is not None:
            if (step.tb_frame.f_code.co_filename, step.tb_lineno) == (filename, lineno):
                break
            step = step.tb_next
        else:
            return None
        converted = MemoryLimitExceeded(limit, held, requested)
        converted.__context__, converted.__cause__ = error.__context__, error.__cause__
        converted.__suppress_context__ = error.__suppress_context__
        return converted.with_traceback(error.__traceback__)
