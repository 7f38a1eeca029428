"""``inspect_frame``: what a frame holds, column by column, and which smaller types would do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from memprofile import _native
from memprofile.errors import MemprofileError
from memprofile.frames import (
    advice_arrow,
    advice_pandas,
    advice_polars,
    arrays,
    arrow_table,
    pandas_frame,
    polars_frame,
)
from memprofile.frames.advice import Advice, Candidate, best_first, pays
from memprofile.frames.arrays import is_a
from memprofile.frames.code import Code
from memprofile.frames.memory import OBJECTS, Held, Interval, Reader, Totals
from memprofile.frames.memory import Column as Read
from memprofile.frames.report import FrameColumn, FrameReport

_MOST_NAMES = 2000
"""Names that are looked at for who else holds the same memory."""


def inspect_frame(frame: object, *, advice: bool = True, name: str | None = None) -> FrameReport:
    """Tells what a frame really holds, column by column, and which smaller types would do.

    ``frame`` is a pandas DataFrame, Series, Index or extension array, a polars DataFrame or
    Series, a pyarrow Table, RecordBatch, ChunkedArray or Array, or a numpy array. Strings that
    cells share are counted once; what a view uses is told apart from what it keeps alive. The
    frame is not changed, and nothing that it would remember is asked for. With ``advice`` each
    column is also held against smaller types: tried on a sample, verified on every value, one
    column at a time. ``name`` is what the code to paste calls the frame; without it, its name in
    the module that calls.

    All sizes are bytes. Raises MemprofileError for anything else, saying what to do instead.

    >>> import memprofile
    >>> import numpy
    >>> found = memprofile.inspect_frame(numpy.arange(1_000_000))
    >>> found.owned
    8000000
    >>> found.columns[0].advice[0].dtype, found.columns[0].advice[0].after
    ('int32', 4000000)
    """
    caller = sys._getframe(1)
    return inspect(frame, caller.f_globals, advice=advice, name=name)


def inspect(
    frame: object, names: Mapping[str, object], *, advice: bool = True, name: str | None = None
) -> FrameReport:
    """The same with the names among which holders of the same memory are looked for."""
    read = _reader_of(frame)
    if read is None:
        raise MemprofileError(refusal(frame))
    if name is None:
        name = next((n for n, value in _names(names) if value is frame), "df")
    reader = Reader(_missing())
    others = list(_others(frame, names, reader))
    kind = read(reader, frame)
    held, totals = reader.whose(others)
    _count_nulls(reader)
    code = Code(frame, name, names)
    columns = [_column(column, share) for column, share in zip(reader.columns, held, strict=True)]
    if advice:
        for number, found in _advise(frame, reader, held, code):
            columns[number].advice.extend(found)
    whole = _frame_advice(totals, held, code) if advice else []
    lines = [column.advice[0].code for column in columns if column.advice]
    together = code.together(lines + [found.code for found in whole])
    spare = pandas_frame.spare_blocks(frame) if kind == "pandas DataFrame" else 0
    return FrameReport._of(name, kind, columns, totals, spare, whole, together)


def _reader_of(value: object) -> Callable[[Reader, Any], str] | None:
    if pandas_frame.is_pandas(value):
        return pandas_frame.read
    if polars_frame.is_polars(value):
        return polars_frame.read
    if arrow_table.is_arrow(value):
        return arrow_table.read
    numpy = arrays.module("numpy")
    return _read_numpy if numpy is not None and is_a(value, numpy.ndarray) else None


def _read_numpy(reader: Reader, value: Any) -> str:
    shape = " × ".join(f"{n:,}" for n in value.shape)
    column = reader.column(None, str(value.dtype), len(value) if value.ndim else 1)
    arrays.read_numpy(reader, column, value, None, arrays.role_of(value))
    if value.ndim == 1:
        column.nulls = arrays.count_missing(value) if value.dtype != object else None
    return "numpy array" if value.ndim == 1 else f"numpy array of {shape}"


def _missing() -> list[object]:
    pandas = arrays.module("pandas")
    return [pandas.NA, pandas.NaT] if pandas is not None else []


def _cells(reader: Reader, column: Read) -> list[_native.CellColumn]:
    """What the cells of a column hold, without those of its caches."""
    return [reader.counted[cells.number] for cells in column.objects if cells.role == OBJECTS]


def _count_nulls(reader: Reader) -> None:
    for column in reader.columns:
        cells = _cells(reader, column)
        if column.nulls is None and cells:
            column.nulls = sum(found.nulls for found in cells)


def refusal(value: object) -> str:
    """Why something is not inspected, and what to do instead."""
    polars, kind = arrays.module("polars"), type(value).__name__
    if polars is not None and is_a(value, polars.LazyFrame):
        return (
            "a polars LazyFrame is a plan and holds no data yet; look at its result, "
            "for example: %memframe lf.collect()"
        )
    if kind.endswith("GroupBy") and type(value).__module__.startswith("pandas."):
        return (
            "a GroupBy holds groups of a frame and no columns; look at the frame itself, "
            "for example: %memframe df"
        )
    root = type(value).__module__.partition(".")[0]
    if root in ("dask", "dask_expr", "pyspark", "modin", "cudf"):
        return (
            f"a {kind} of {root} keeps its data elsewhere; look at a part of it in this process, "
            "for example: %memframe df.head(1000)"
        )
    return (
        f"%memframe shows frames, and this is of type {kind}; give it a DataFrame, Series or array "
        "of pandas, polars, pyarrow or numpy, for example: %memframe df"
    )


def _names(names: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Names that a user gave, and entries of IPython's history of outputs."""
    for key, value in list(names.items())[:_MOST_NAMES]:
        if type(key) is str and not key.startswith("_"):
            yield key, value
    outputs = names.get("Out")
    if type(outputs) is dict:
        for number, value in list(outputs.items())[:_MOST_NAMES]:
            yield f"Out[{number}]", value


def _others(frame: object, names: Mapping[str, object], reader: Reader) -> Iterator[Interval]:
    """Allocations that other names hold; the reader takes their references for known."""
    for number, (key, value) in enumerate(_names(names)):
        read = None if value is frame else _reader_of(value)
        if read is None:
            continue
        other = Reader(objects=False)
        other.keep(value, -1 - number)  # by the name, which has no id of its own
        read(other, value)
        reader.knows(other)
        for column in other.columns:
            for stretch in column.stretches:
                yield Interval(stretch.start, stretch.size, key, stretch.used)


def _column(read: Read, held: Held) -> FrameColumn:
    return FrameColumn(
        name=_shown(read.label, read.role),
        role=read.role,
        dtype=read.dtype,
        rows=read.rows,
        nulls=read.nulls,
        owned=held.own,
        within=held.within,
        shared=held.shared,
        mapped=held.mapped,
        parts=dict(sorted(held.parts.items(), key=lambda part: -part[1])),
        unused=held.unused,
        keeps_alive=held.keeps,
        is_view=held.is_view,
        holders=held.holders,
        viewers=held.viewers,
        unnamed_holder=held.unnamed,
        advice=[],
    )


def _shown(label: object, role: str) -> str:
    """A label in words, without a ``__repr__`` of the user's."""
    if label is None:
        return {"index": "index", "labels": "column labels"}.get(role, "values")
    text = plain(label)
    return f"index {text}" if role == "index" else "column labels" if role == "labels" else text


def plain(label: object) -> str:
    """A label as text: of the types that are Python's own, and what is built of them."""
    if type(label) is str:
        return label
    if type(label) in (int, float, bool, bytes, type(None)):
        return repr(label)
    if type(label) is tuple:
        return "(" + ", ".join(plain(part) for part in label) + ")"
    return f"a {type(label).__name__}"


def _advise(
    frame: Any, reader: Reader, held: list[Held], code: Code
) -> Iterator[tuple[int, list[Advice]]]:
    """Advice for each column, one at a time."""
    for number, values in enumerate(_values(frame)):
        read, share = reader.columns[number], held[number]
        if values is None or not _is_movable(share):
            continue
        cells = _cells(reader, read)
        counted = cells[0] if len(cells) == 1 else None
        yield number, best_first(list(_checked(frame, number, values, counted, share, code)))
    if pandas_frame.is_pandas(frame):
        yield from _advise_index(frame, reader, held, code)


def _advise_index(
    frame: Any, reader: Reader, held: list[Held], code: Code
) -> Iterator[tuple[int, list[Advice]]]:
    for number, read in enumerate(reader.columns):
        if read.role != "index" or not _is_movable(held[number]):
            continue
        own = held[number].own
        index = pandas_frame.index_of(frame)
        found = [
            Advice(c.dtype, own, after, code.for_index(c.code), c.price)
            for c, after in advice_pandas.index_candidates(index)
            if pays(own, after)
        ]
        yield number, best_first(found)


def _values(frame: Any) -> list[Any]:
    if pandas_frame.is_pandas(frame):
        is_index = is_a(frame, sys.modules["pandas"].Index)
        return [] if is_index else pandas_frame.columns_of(frame)
    if polars_frame.is_polars(frame):
        return polars_frame.columns_of(frame)
    if arrow_table.is_arrow(frame):
        return [values for _, values in arrow_table.columns_of(frame)]
    return [frame if frame.ndim == 1 else None]


def _is_movable(share: Held) -> bool:
    """Whether another type would free what the column holds: not when others hold it as well."""
    useful = share.own - share.unused
    return useful * 2 >= useful + share.within + share.shared and not share.mapped and useful > 0


def _checked(
    frame: Any,
    number: int,
    values: Any,
    counted: _native.CellColumn | None,
    share: Held,
    code: Code,
) -> Iterator[Advice]:
    if polars_frame.is_polars(frame):
        source: Any = advice_polars
        found = advice_polars.candidates(values)
    elif arrow_table.is_arrow(frame):
        source = advice_arrow
        found = advice_arrow.candidates(values)
    else:
        source = advice_pandas
        if pandas_frame.is_pandas(frame):
            found = advice_pandas.candidates(values, counted)
        else:
            found = advice_pandas.numpy_candidates(values)
    before = share.own - share.unused
    for candidate in found:
        text = code.for_column(number, candidate.code)
        after = None if text is None else _size_of(candidate, values, source, before)
        if after is not None and text is not None:
            yield Advice(candidate.dtype, before, after, text, candidate.price)


def _size_of(candidate: Candidate, values: Any, source: Any, before: int) -> int | None:
    """The bytes of a candidate that holds every value and pays; None for any other."""
    after = candidate.after
    if after is not None and not pays(before, after):
        return None
    if candidate.convert is not None:
        try:
            made = candidate.convert()
        except Exception:
            # A value that does not fit is what the candidate was tried for; whatever the library
            # says of it, the column keeps its type.
            return None
        if not source.verified(values, made):
            return None
        is_of_pandas = source is advice_pandas
        after = source.measured(made, values) if is_of_pandas else source.measured(made)
    return after if after is not None and pays(before, after) else None


def _frame_advice(totals: Totals, held: Iterable[Held], code: Code) -> list[Advice]:
    """A copy, where views keep alive what no column uses."""
    before = totals.freed
    unused = sum(share.unused for share in held if "offsets" not in share.parts)
    text = code.for_copy()
    if text is None or not pays(before, before - unused):
        return []
    price = "the frame exists twice for a moment"
    return [Advice("copy", before, before - unused, text, price)]
