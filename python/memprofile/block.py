"""``profile()``: what a block or a function of any program costs in memory."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import CodeType, FrameType, TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from memprofile import _native, sources
from memprofile.api import Profile
from memprofile.errors import MemprofileError
from memprofile.limits import Guard
from memprofile.options import OptionError, above_held, checked_limit

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

__all__ = ["profile"]


class Profiled(Protocol[P, R_co]):
    """A decorated function."""

    last_profile: Profile | None
    """The profile of the last call that ended; None before the first."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class Profiler:
    """What ``profile()`` returns: a context manager, and a decorator."""

    def __init__(
        self, title: str | None, exact: bool, main_file: str | None, limit: int | str | None
    ) -> None:
        self._title = title
        self._exact = exact
        self._main_file = main_file
        self._limit = limit
        self._guard: Guard | None = None
        self._recording: _native.Recording | None = None
        self._profile: Profile | None = None

    def __enter__(self) -> Profile:
        title = self._title
        if title is None:
            title = "block" if self._main_file is None else sources.label(self._main_file)
        if self._limit is not None:
            self._guard = Guard(_limit_in_bytes(self._limit), _user_code(sys._getframe(1)))
        result = self._profile = Profile()
        # This frame ends before the block does, so it cannot be where stacks stop.
        self._recording = _native.start(
            title=title,
            main_file=self._main_file,
            exact=self._exact,
            whole_stacks=True,
            **sources.paths(),
        )
        if self._guard is not None:
            self._guard.begin()
        return result

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        guard, self._guard = self._guard, None
        limited = None
        if guard is not None:
            guard.end()
            limited = guard.converted(value)
        recording, self._recording = self._recording, None
        result, self._profile = self._profile, None
        if recording is not None and result is not None:
            name = type(limited).__name__ if limited else kind.__name__ if kind else None
            result._finished = recording.stop(sources.describe, name)
        if limited is not None:
            raise limited from limited.__cause__

    def __call__(self, function: Callable[P, R_co]) -> Profiled[P, R_co]:
        """Decorates a function: each outermost call is recorded, see ``Profiled.last_profile``."""
        return _decorated(function, self._title, self._exact, self._limit)


def _limit_in_bytes(limit: int | str) -> int:
    try:
        if isinstance(limit, str):
            return checked_limit(limit, "profile(limit=...)", 'for example: profile(limit="2GB")')
        return above_held(limit, limit, "profile(limit=...)")
    except OptionError as error:
        raise MemprofileError(str(error)) from None


def _user_code(frame: FrameType) -> CodeType:
    """The code whose `with` it is: an ExitStack's own frame does not outlive the call."""
    while frame.f_globals.get("__name__") == "contextlib" and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code


def _decorated(
    function: Callable[P, R_co], title: str | None, exact: bool, limit: int | str | None
) -> Profiled[P, R_co]:
    name = getattr(function, "__qualname__", repr(function))
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise MemprofileError(
            f"profile() cannot decorate the generator {name}, whose body runs in pieces; "
            "put `with memprofile.profile():` around the loop that consumes it"
        )
    code = getattr(inspect.unwrap(function), "__code__", None)
    main_file = None if code is None else code.co_filename
    # A call from inside of the running one (recursion, a thread) is part of its recording.
    running = False

    def profiler() -> Profiler:
        return Profiler(title or name, exact, main_file, limit)

    if inspect.iscoroutinefunction(function):

        async def awaiting(*args: P.args, **kwargs: P.kwargs) -> Any:
            nonlocal running
            if running:
                return await function(*args, **kwargs)
            with profiler() as result:
                running = True
                try:
                    return await function(*args, **kwargs)
                finally:
                    running = False
                    profiled.last_profile = result

        profiled = cast("Profiled[P, R_co]", functools.update_wrapper(awaiting, function))

    else:

        def calling(*args: P.args, **kwargs: P.kwargs) -> R_co:
            nonlocal running
            if running:
                return function(*args, **kwargs)
            with profiler() as result:
                running = True
                try:
                    return function(*args, **kwargs)
                finally:
                    running = False
                    profiled.last_profile = result

        profiled = cast("Profiled[P, R_co]", functools.update_wrapper(calling, function))

    profiled.last_profile = None
    return profiled


@overload
def profile(function: Callable[P, R_co], /) -> Profiled[P, R_co]: ...
@overload
def profile(
    *, title: str | None = None, exact: bool = False, limit: int | str | None = None
) -> Profiler: ...
def profile(
    function: Callable[P, R_co] | None = None,
    /,
    *,
    title: str | None = None,
    exact: bool = False,
    limit: int | str | None = None,
) -> Profiler | Profiled[P, R_co]:
    """Profiles a block or a function.

    ``with memprofile.profile() as p:`` fills the Profile ``p`` when the block ends, also by
    an exception. ``@memprofile.profile`` (with or without parentheses) records each call;
    ``function.last_profile`` is the Profile of the last one. ``title`` is what reports call
    it, ``exact`` records every allocation however many there are.

    ``limit`` is the most that the process may hold meanwhile, in anonymous resident memory: bytes,
    or ``"2GB"``, ``"2GiB"``, ``"80%"`` of what there is, ``"+300MB"`` more than it holds when
    the block begins. Beyond it the block ends with MemoryLimitExceeded; in another thread than
    the main one, only a request that is too large does.

    >>> import memprofile
    >>> with memprofile.profile() as p:
    ...     data = bytearray(10_000_000)
    >>> p.peak_footprint >= 10_000_000
    True
    >>> @memprofile.profile
    ... def load(count):
    ...     return sum([n for n in range(count)])
    >>> load(1000)
    499500
    >>> load.last_profile.peak_footprint > 8 * 1000
    True

    Raises MemprofileError when a recording is already running in this process, when the
    interpreter cannot be measured, for a limit below what the process holds, or for a generator
    function:

    >>> with memprofile.profile(), memprofile.profile():
    ...     pass
    Traceback (most recent call last):
    memprofile.MemprofileError: a memory recording is already running in this process; ...
    """
    if function is not None:
        if not callable(function):
            raise MemprofileError(
                f"profile() decorates a function, not {function!r}; "
                "give the title by name, for example: profile(title='load')"
            )
        return _decorated(function, title, exact, limit)
    return Profiler(title, exact, sys._getframe(1).f_code.co_filename, limit)
