"""Smaller types for polars columns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from memprofile.frames import arrays
from memprofile.frames.advice import SAMPLE, Candidate, Whole, limits, smallest
from memprofile.frames.memory import Reader

_PIECE = 1 << 18


def candidates(series: Any) -> Iterator[Candidate]:
    """Types that may do for a Series."""
    polars = sys.modules["polars"]
    dtype = series.dtype
    if dtype.is_integer():
        low, high = series.min(), series.max()
        name = None if low is None else smallest(Whole(low, high))
        if name is not None:
            of = name.replace("uint", "UInt").replace("int", "Int")
            price = f"{limits(name)} at most; arithmetic beyond that wraps around"
            yield _cast(series, of, getattr(polars, of), price)
    elif dtype == polars.Float64:
        yield from _float(series)
    elif dtype == polars.String:
        sample = series.gather_every(max(1, len(series) // SAMPLE))
        if sample.n_unique() * 2 < len(sample):
            price = "a value that is not among its categories is refused"
            code = "{}.cast(pl.Enum({}.unique().drop_nulls().sort()))"
            make = lambda: series.cast(polars.Enum(series.unique().drop_nulls().sort()))  # noqa: E731
            yield Candidate("Enum", code, price, convert=make)
            price = "comparing with text looks the text up first; sorted as text, which is slower"
            yield _cast(series, "Categorical", polars.Categorical, price)


def _cast(series: Any, name: str, dtype: Any, price: str) -> Candidate:
    convert: Callable[[], Any] = lambda: series.cast(dtype)  # noqa: E731
    return Candidate(name, f"{{}}.cast(pl.{name})", price, convert=convert)


def _float(series: Any) -> Iterator[Candidate]:
    polars = sys.modules["polars"]
    low, high = series.min(), series.max()
    if low is None:
        return
    is_whole = max(-low, high) <= 2**53
    for start in range(0, len(series), _PIECE):
        piece = series.slice(start, _PIECE).drop_nulls()
        # −0.0 is no integer: its reciprocal is the other infinity.
        is_negative_zero = ((piece == 0) & (1 / piece < 0)).any()
        is_whole = is_whole and not is_negative_zero and not piece.is_nan().any()
        is_whole = is_whole and bool((piece.floor() == piece).all())
        if not is_whole:
            break
    if is_whole:
        name = smallest(Whole(int(low), int(high)))
        if name is not None:
            of = name.replace("uint", "UInt").replace("int", "Int")
            price = f"whole numbers of {limits(name)} at most; arithmetic beyond that wraps around"
            yield _cast(series, of, getattr(polars, of), price)
    price = "7 digits: results of arithmetic are rounded to that"
    yield _cast(series, "Float32", polars.Float32, price)


def verified(series: Any, made: Any) -> bool:
    """Whether a converted Series holds every value of the original."""
    for start in range(0, len(series), _PIECE):
        one, other = series.slice(start, _PIECE), made.slice(start, _PIECE)
        if not one.equals(other.cast(series.dtype), null_equal=True):
            return False
    return True


def measured(series: Any) -> int:
    """Bytes of a Series that nothing else holds; categories belong to polars."""
    reader = Reader(objects=False)
    column = reader.column(None, "", len(series))
    arrays.read_stream(column, series.__arrow_c_stream__())
    return sum(stretch.used for stretch in column.stretches)
