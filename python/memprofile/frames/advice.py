"""Smaller types that hold every value of a column: found on a sample, verified on all of it.

Numbers are looked at in pieces and never converted as a whole: a minimum and a maximum prove that a
column fits, and the bytes follow from the type. Anything else is really converted, compared value
by value with the original, and measured; one such copy exists at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

PIECE = 1 << 16
"""Values that are compared at a time."""

SAMPLE = 10_000
"""Values that a type is tried on first."""

_LEAST_BYTES = 1024
_LEAST_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Advice:
    """A smaller type for a column, or a smaller form of a frame. Sizes are bytes."""

    dtype: str
    """The type, as its library writes it."""
    before: int
    """What the column holds of its own."""
    after: int
    """What it would hold, exactly."""
    code: str
    """The lines to paste."""
    price: str
    """What one gives for it."""

    @property
    def saved(self) -> int:
        """Bytes that it frees."""
        return self.before - self.after


class Candidate(NamedTuple):
    """A type that may do, and what is known of it."""

    dtype: str
    code: str
    """An expression, in which ``{}`` is the column."""
    price: str
    after: int | None = None
    """Its bytes, when they are known without a conversion."""
    convert: Callable[[], Any] | None = None
    """Makes the array. It may raise where a value does not fit."""


def pays(before: int, after: int) -> bool:
    """Whether it is worth a line of code."""
    return before - after >= max(_LEAST_BYTES, before * _LEAST_SHARE)


def best_first(found: list[Advice]) -> list[Advice]:
    """Without those that cost as much as another and are worth less: each has fewer bytes than
    those below it, and no two are of one kind.
    """
    found = sorted(found, key=lambda advice: advice.after)
    return [a for i, a in enumerate(found) if all(a.dtype != b.dtype for b in found[:i])]


# Integers.


class Whole(NamedTuple):
    """The range of some integers."""

    low: int
    high: int


def smallest(found: Whole) -> str | None:
    """The smallest of numpy's integer types that holds a range, signed if both do; None if none
    does.
    """
    for bits in (8, 16, 32, 64):
        if -(1 << (bits - 1)) <= found.low and found.high < 1 << (bits - 1):
            return f"int{bits}"
        if found.low >= 0 and found.high < 1 << bits:
            return f"uint{bits}"
    return None


def limits(name: str) -> str:
    """What an integer type holds, in words."""
    bits = int(name.lower().lstrip("uint"))
    if name.lower().startswith("u"):
        return f"0 to {(1 << bits) - 1:,}"
    return f"−{1 << (bits - 1):,} to {(1 << (bits - 1)) - 1:,}"


def pieces(array: Any) -> Iterator[Any]:
    """A one-dimensional array in pieces that stay in the processor's cache."""
    for start in range(0, len(array), PIECE):
        yield array[start : start + PIECE]


def whole_range(array: Any) -> Whole | None:
    """The range of a numpy integer array; None when it is empty."""
    return Whole(int(array.min()), int(array.max())) if len(array) else None


# Floats.


@dataclass(slots=True)
class FloatFacts:
    """What holds of every value of a float array."""

    whole: bool = True
    """All are integers, or missing; there is no −0.0, which an integer would lose."""
    single: bool = True
    """All are float32 values, NaN included."""
    missing: int = 0
    low: float = float("inf")
    high: float = float("-inf")


def float_facts(array: Any) -> FloatFacts:
    """Looks at a sample, and then at all for what holds of the sample."""
    facts = FloatFacts()
    sample = array[:: max(1, len(array) // SAMPLE)]
    for piece in (*pieces(sample), *pieces(array)):
        if not (facts.whole or facts.single):
            break
        _look(facts, piece)
    facts.missing = 0
    if facts.whole or facts.single:
        numpy = sys.modules["numpy"]
        facts.missing = sum(int(numpy.count_nonzero(piece != piece)) for piece in pieces(array))
    return facts


def _look(facts: FloatFacts, piece: Any) -> None:
    numpy = sys.modules["numpy"]
    if facts.single:
        with numpy.errstate(over="ignore", invalid="ignore"):
            back = piece.astype(numpy.float32)
            facts.single = bool(((back == piece) | (piece != piece)).all())
    if facts.whole:
        there = piece[piece == piece]
        if len(there):
            whole = (numpy.floor(there) == there) & ~((there == 0) & numpy.signbit(there))
            facts.whole = bool(whole.all() and numpy.isfinite(there).all())
            facts.low = min(facts.low, float(there.min()))
            facts.high = max(facts.high, float(there.max()))


def float_range(facts: FloatFacts) -> Whole | None:
    """The range of the integers that they are; None when they are none or not exact."""
    if not facts.whole or facts.low > facts.high or max(-facts.low, facts.high) > 2**53:
        return None
    return Whole(int(facts.low), int(facts.high))


# Objects.


def is_null(array: Any) -> Any:
    """Which cells of a piece of an object array are None, NaN or another missing value."""
    pandas = sys.modules["pandas"]
    return pandas.isna(array)


def same_values(before: Any, after: Any) -> bool:
    """Whether two pandas arrays hold equal values and miss the same; in pieces."""
    numpy = sys.modules["numpy"]
    if len(before) != len(after):
        return False
    for start in range(0, len(before), PIECE):
        one = numpy.asarray(before[start : start + PIECE], dtype=object)
        other = numpy.asarray(after[start : start + PIECE], dtype=object)
        missing = is_null(one)
        if not (missing == is_null(other)).all():
            return False
        # Not the missing ones: <NA> is equal to nothing, not even to a bool.
        if not numpy.asarray(one[~missing] == other[~missing], dtype=bool).all():
            return False
    return True
