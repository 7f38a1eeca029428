"""``check``: says whether the answer to an exercise is right, and what to look at when it is not.

Nothing here raises, whatever the learner typed: what went wrong is a sentence. Each call prints one
line that starts with ``✓`` (right), ``✗`` (wrong) or ``…`` (not answered yet); ``course.py`` reads
these marks when it grades.
"""

import reprlib
from collections.abc import Callable
from types import FunctionType
from typing import Any

RIGHT, WRONG, OPEN = "✓", "✗", "…"

_ABSENT = object()


def _stub(): ...


def _documented_stub():
    """What a stub with a docstring compiles to."""


class _Stub: ...


_STUB_CODE = {_stub.__code__.co_code, _documented_stub.__code__.co_code}
_STUB_NAMES = {*vars(_Stub), "__annotations__", "__annotate_func__", "__annotations_cache__"}


def _is_open(answer: Any) -> bool:
    """Whether an exercise still stands as it was given: ``...``, or a body that is only that."""
    if isinstance(answer, FunctionType):
        code = answer.__code__
        return code.co_code in _STUB_CODE and {*code.co_consts} <= {None, answer.__doc__}
    if isinstance(answer, type):
        return answer.__bases__ == (object,) and vars(answer).keys() <= _STUB_NAMES
    return answer is ... or answer is None


def _words(value: Any, unit: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return reprlib.repr(value)
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
    return f"{number} {unit}".strip()


def _fault(value: Any, at_least: Any, at_most: Any, equal: Any, unit: str) -> str:
    """What is wrong with a value, as a sentence; empty when nothing is."""
    if equal is not _ABSENT:
        return "" if value == equal else f"{_words(value, unit)} is not it."
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{_words(value, unit)} is no number."
    if at_least is not None and value < at_least:
        return f"{_words(value, unit)} is too little: look for {_words(at_least, unit)} or more."
    if at_most is not None and value > at_most:
        return f"{_words(value, unit)} is too much: look for {_words(at_most, unit)} or less."
    return ""


def check(
    answer: Any,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    equal: Any = _ABSENT,
    measure: Callable[[Any], Any] | None = None,
    unit: str = "bytes",
    hint: str = "",
) -> None:
    """Prints whether an answer lies between two bounds, or is ``equal`` to what is expected.

    ``measure`` is called with the answer, and what it returns is looked at instead: say, the size
    of what the learner made. ``hint`` is added when the answer is wrong.

    >>> check(40, at_least=28, at_most=64)
    ✓ 40 bytes: right.
    >>> check(8, at_least=28, at_most=64, hint="An int is an object.")
    ✗ 8 bytes is too little: look for 28 bytes or more. An int is an object.
    >>> check("abc", measure=len, equal=3, unit="characters")
    ✓ 3 characters: right.
    >>> check(..., at_least=28)
    … not answered yet.
    """
    if _is_open(answer):
        print(OPEN, "not answered yet.")
        return
    try:
        value = measure(answer) if measure else answer
        fault = _fault(value, at_least, at_most, equal, unit)
    except Exception as error:
        # The learner's own code runs here. A traceback would show ours.
        fault = f"it raises {type(error).__name__}: {error}."
    if fault:
        print(f"{WRONG} {fault} {hint}".rstrip())
    else:
        print(RIGHT, f"{_words(value, unit)}: right.")
