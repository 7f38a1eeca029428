"""Where the bytes of pyarrow's tables, batches and arrays are."""

from __future__ import annotations

import sys
from typing import Any

from memprofile.frames import arrays
from memprofile.frames.arrays import is_a
from memprofile.frames.memory import Reader


def is_arrow(value: object) -> bool:
    """Whether it is something that ``read`` takes."""
    pyarrow = arrays.module("pyarrow")
    if pyarrow is None:
        return False
    kinds = (pyarrow.Table, pyarrow.RecordBatch, pyarrow.ChunkedArray, pyarrow.Array)
    return is_a(value, *kinds)


def columns_of(value: Any) -> list[tuple[object, Any]]:
    """Each column's name and values."""
    pyarrow = sys.modules["pyarrow"]
    if is_a(value, pyarrow.Table, pyarrow.RecordBatch):
        return list(zip(value.schema.names, value.columns, strict=True))
    return [(None, value)]


def read(reader: Reader, value: Any) -> str:
    """Reads a Table, RecordBatch, ChunkedArray or Array; returns what it is called."""
    pyarrow = sys.modules["pyarrow"]
    for label, values in columns_of(value):
        column = reader.column(label, str(values.type), len(values))
        column.nulls = int(values.null_count)
        arrays.read_arrow(reader, column, values)
    for kind in (pyarrow.Table, pyarrow.RecordBatch, pyarrow.ChunkedArray):
        if is_a(value, kind):
            return f"pyarrow {kind.__name__}"
    return "pyarrow Array"
