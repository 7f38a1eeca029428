"""Where memory is that only a library knows: Arrow's buffers, also behind pandas, polars' and
torch's.

The collector cannot look into their objects, and they have no ``__sizeof__`` that counts an
allocation once. So they are asked for addresses, by functions that copy nothing. A library that the
program has not imported has no objects.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from memprofile import _native, tensors
from memprofile.frames import arrays, polars_frame
from memprofile.frames.arrays import is_a

Stretches: TypeAlias = list[tuple[int, int]]
"""(address, bytes) of some pieces of memory."""

Libraries: TypeAlias = tuple[list[type], Callable[[Sequence[object]], list[Stretches]]]
"""The types whose objects are asked, and what asks them."""


def libraries(seconds: float | None = None) -> Libraries:
    """What the engine needs to ask them, for so many seconds at most."""
    return _types(), functools.partial(_stretches, seconds)


def gap() -> str | None:
    """What of it cannot be asked for, in one sentence; None where all can."""
    return tensors.gap()


def _types() -> list[type]:
    found: list[type] = []
    if (pyarrow := arrays.module("pyarrow")) is not None:
        lib = pyarrow.lib
        found += [lib.Buffer, lib.Array, lib.ChunkedArray, lib.Table, lib.RecordBatch]
    if (polars := arrays.module("polars")) is not None:
        found += [polars.DataFrame, polars.Series]
    return found + tensors.types()


def _stretches(seconds: float | None, objects: Sequence[object]) -> list[Stretches]:
    """What each of them holds; of the first ones only, where there is too little time."""
    until = None if seconds is None else time.thread_time() + seconds
    found: list[Stretches] = []
    for value in objects:
        held: Stretches = []
        for stretch in _asked(value):
            held.append(stretch)
            if until is not None and time.thread_time() > until:
                return found
        found.append(held)
    return found


def _asked(value: Any) -> Iterator[tuple[int, int]]:
    if polars_frame.is_polars(value):
        return _of_polars(value)
    return tensors.stretches(value) if tensors.is_tensor(value) else _of_arrow(value)


def _of_arrow(value: Any) -> Iterator[tuple[int, int]]:
    lib = arrays.module("pyarrow").lib
    if is_a(value, lib.Buffer):
        yield arrays.root(value)
    elif is_a(value, lib.Array):
        yield from map(arrays.root, arrays.buffers(value))
    elif is_a(value, lib.ChunkedArray):
        for chunk in value.chunks:
            yield from _of_arrow(chunk)
    else:
        for column in value.columns:
            yield from _of_arrow(column)


def _of_polars(value: Any) -> Iterator[tuple[int, int]]:
    polars = arrays.module("polars")
    for series in polars_frame.columns_of(value):
        if series.dtype == polars.Object:
            continue  # references to objects, which no interface hands out
        for chunk in _native.arrow_chunks(series.__arrow_c_stream__()):
            # Categories are made for the stream: what polars keeps has another address.
            yield from ((start, used) for role, start, used in chunk if role != "categories")
