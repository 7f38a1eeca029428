"""Smaller types for columns of pyarrow's tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from memprofile.frames import arrays
from memprofile.frames.advice import SAMPLE, Candidate, Whole, limits, smallest
from memprofile.frames.memory import Reader


def candidates(array: Any) -> Iterator[Candidate]:
    """Types that may do for an Array or ChunkedArray."""
    pyarrow = sys.modules["pyarrow"]
    compute = arrays.module("pyarrow.compute")
    types, dtype = pyarrow.types, array.type
    if compute is None:
        return
    if types.is_integer(dtype) or types.is_float64(dtype):
        ends = compute.min_max(array).as_py()
        if ends["min"] is None:
            return
        name = smallest(Whole(int(ends["min"]), int(ends["max"]))) if _is_finite(ends) else None
        if name is not None:
            of = "whole numbers of " if types.is_float64(dtype) else ""
            price = f"{of}{limits(name)} at most; arithmetic beyond that fails"
            yield _cast(array, name, getattr(pyarrow, name)(), price)
        if types.is_float64(dtype):
            price = "7 digits: results of arithmetic are rounded to that"
            yield _cast(array, "float32", pyarrow.float32(), price)
    elif types.is_string(dtype) or types.is_large_string(dtype) or types.is_string_view(dtype):
        sample = array.slice(0, SAMPLE)
        distinct = len(sample.unique())
        if distinct * 2 < len(sample):
            yield from _dictionary(array)


def _is_finite(ends: dict[str, float]) -> bool:
    return all(-(2**64) < end < 2**64 for end in ends.values())


def _dictionary(array: Any) -> Iterator[Candidate]:
    pyarrow = sys.modules["pyarrow"]
    price = "a dictionary: some functions decode it first, and files may store it as text"
    small = pyarrow.dictionary(pyarrow.int8(), array.type)
    codes = {"int8": "pa.int8()", "int16": "pa.int16()"}
    for name, of in codes.items():
        small = pyarrow.dictionary(getattr(pyarrow, name)(), array.type)
        text = f"{{}}.dictionary_encode().cast(pa.dictionary({of}, {{}}.type))"
        make = lambda small=small: array.dictionary_encode().cast(small)  # noqa: E731
        yield Candidate(f"dictionary of {name}", text, price, convert=make)
    yield Candidate(
        "dictionary", "{}.dictionary_encode()", price, convert=lambda: array.dictionary_encode()
    )


def _cast(array: Any, name: str, dtype: Any, price: str) -> Candidate:
    convert: Callable[[], Any] = lambda: array.cast(dtype)  # noqa: E731
    return Candidate(name, f"{{}}.cast(pa.{name}())", price, convert=convert)


def verified(array: Any, made: Any) -> bool:
    """Whether a converted array holds every value of the original; NaN is one of them."""
    piece = 1 << 18
    pyarrow = sys.modules["pyarrow"]
    compute = pyarrow.compute
    for start in range(0, len(array), piece):
        one, other = array.slice(start, piece), made.slice(start, piece)
        back = other.cast(array.type)
        if pyarrow.types.is_floating(array.type):
            # The bits: NaN is NaN, and −0.0 is not 0.
            bits = pyarrow.int64()
            one, back = (_bits(part, bits) for part in (one, back))
        if not compute.all(compute.equal(one, back), skip_nulls=True, min_count=0).as_py():
            return False
        if one.null_count != back.null_count:
            return False
    return True


def _bits(array: Any, dtype: Any) -> Any:
    chunks = array.chunks if hasattr(array, "chunks") else [array]
    pyarrow = sys.modules["pyarrow"]
    return pyarrow.chunked_array([chunk.view(dtype) for chunk in chunks], type=dtype)


def measured(array: Any) -> int:
    """Bytes of an array that nothing else holds."""
    reader = Reader(objects=False)
    column = reader.column(None, "", len(array))
    arrays.read_arrow(reader, column, array)
    return sum(share.own for share in reader.whose()[0])
