"""What is in place while a limit on memory holds, and what becomes of a request that it refused.

A limit bounds the anonymous resident memory of the process: what the kernel cannot drop. Beyond it
the engine refuses a request (``MemoryError``, raised by whoever asked), or sends a signal whose
handler raises ``MemoryLimitExceeded`` between two instructions of the main thread. The signal is
SIGURG: by default nothing happens when it comes, and hardly anybody uses it.
"""

from __future__ import annotations

from types import CodeType

from memprofile import _native
from memprofile.errors import MemoryLimitExceeded
from memprofile.interrupts import getsignal, set_handler


class Guard:
    """A limit that holds in the frames of ``code``: bytes, or None for near what there is.

    It raises in what ``caller`` has called there, if that is given, and else anywhere.
    """

    def __init__(self, limit: int | None, code: CodeType, caller: CodeType | None = None) -> None:
        self._limit = limit
        self._code = code
        self._caller = caller
        self._number: int | None = None
        self._handler: _native.LimitHandler | None = None
        self._refused: tuple[int, int, int, str, int] | None = None

    # Each step is noted before it is taken, and undone before it is forgotten: an interrupt may
    # come between any two lines, and whoever begins a guard ends it twice.

    def begin(self) -> None:
        """Puts it in force. In another thread than the main one it refuses, and raises nothing."""
        previous = getsignal(_native.LIMIT_SIGNAL)
        # None: a handler that C code installed, which Python could not put back.
        if previous is not None:
            self._handler = _native.LimitHandler(previous)
            try:
                set_handler(_native.LIMIT_SIGNAL, self._handler)
            except ValueError:  # in another thread than the main one
                self._handler = None
        self._number = _native.next_limit()
        _native.arm_limit(self._code, self._limit, self._handler is not None, self._caller)

    def end(self) -> None:
        """Lifts it; does nothing the second time."""
        if self._number is not None:
            self._refused = _native.disarm_limit(self._number) or self._refused
            self._number = None
        handler = self._handler
        if handler is not None:
            if getsignal(_native.LIMIT_SIGNAL) is handler:
                set_handler(_native.LIMIT_SIGNAL, handler.previous)
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
