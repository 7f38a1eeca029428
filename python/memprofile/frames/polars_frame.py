"""Where the bytes of polars' frames and series are.

polars hands its buffers out through the Arrow stream interface; nothing of them is copied.
"""

from __future__ import annotations

import sys
from typing import Any

from memprofile.frames import arrays
from memprofile.frames.arrays import is_a
from memprofile.frames.memory import Opaque, Reader


def is_polars(value: object) -> bool:
    """Whether it is something that ``read`` takes."""
    polars = arrays.module("polars")
    return polars is not None and is_a(value, polars.DataFrame, polars.Series)


def columns_of(value: Any) -> list[Any]:
    """Its Series."""
    is_frame = is_a(value, sys.modules["polars"].DataFrame)
    return list(value.get_columns()) if is_frame else [value]


def read(reader: Reader, value: Any) -> str:
    """Reads a DataFrame or Series; returns what it is called."""
    polars = sys.modules["polars"]
    for series in columns_of(value):
        column = reader.column(series.name, str(series.dtype), len(series))
        column.nulls = int(series.null_count())
        if series.dtype == polars.Object:
            # Python objects behind a type of polars' own, which no interface hands out.
            column.opaque.append(Opaque("references", 8 * len(series)))
            continue
        arrays.read_stream(column, series.__arrow_c_stream__())
    return f"polars {'DataFrame' if is_a(value, polars.DataFrame) else 'Series'}"
