"""Smaller types for pandas columns."""

from __future__ import annotations

import datetime
import decimal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from memprofile import _native
from memprofile.frames import arrays, pandas_frame
from memprofile.frames.advice import (
    SAMPLE,
    Candidate,
    FloatFacts,
    Whole,
    float_facts,
    float_range,
    limits,
    same_values,
    smallest,
    whole_range,
)
from memprofile.frames.arrays import is_a
from memprofile.frames.memory import Reader

_SUMS = "arithmetic beyond that wraps around"
_NULLABLE = "missing values become <NA>; to_numpy() of it gives objects unless told a type"
_SINGLE = "7 digits: results of arithmetic are rounded to that"
_CATEGORY = (
    "a new value must be made a category first; joined with other categories it is text again"
)
_NEW_STRING = "each cell that is read becomes a new string"
_TEXT = f"a missing value is NaN; {_NEW_STRING}"
_MISSING = "missing is <NA>, and comparisons give the type boolean"


def candidates(values: Any, counted: _native.CellColumn | None) -> Iterator[Candidate]:
    """Types that may do for the array of a column; ``counted`` is what its cells hold, of
    objects.
    """
    values = _apart(values)
    held = pandas_frame._attributes(values)
    if is_a(values, sys.modules["numpy"].ndarray):
        if values.dtype == object:
            if counted is not None:
                yield from _objects(values, counted)
        else:
            yield from _numbers(values)
    elif type(values).__name__ == "Categorical":
        yield from _categorical(values)
    elif "_mask" in held:
        yield from _masked(held["_data"], held["_mask"])
    elif "_pa_array" in held:
        yield from _arrow(values, held["_pa_array"])
    elif "_sparse_values" in held:
        size = len(values) * held["_sparse_values"].dtype.itemsize
        yield Candidate(
            str(held["_sparse_values"].dtype),
            "{}.sparse.to_dense()",
            "none: too few values are the fill value for it to be worth a place each",
            size,
        )
    elif str(values.dtype) in ("string", "str"):
        yield from _text(values, str(values.dtype))


def _apart(values: Any) -> Any:
    """A view with caches of its own: those of the user's array must stay as they are."""
    if is_a(values, sys.modules["numpy"].ndarray):
        return values
    if type(values).__name__ == "Categorical":
        pandas = sys.modules["pandas"]
        dtype = values._dtype
        index = vars(dtype)["_categories"]
        data = pandas_frame._attributes(index).get("_data")
        fresh = index if data is None or "_range" in vars(index) else pandas.Index(_apart(data))
        made = pandas.CategoricalDtype(fresh, vars(dtype)["_ordered"])
        return pandas.Categorical.from_codes(values._ndarray, dtype=made)
    return values.view() if pandas_frame._is_of_pandas(values) else values


def measured(values: Any, of: Any) -> int:
    """Bytes of a pandas array that was made of another one and that nothing else holds, once that
    one is gone.
    """
    reader = Reader()
    column = reader.column(None, "", len(values))
    pandas_frame.read_values(reader, column, values, id(reader))
    # Categories are the very objects of some of its cells.
    pandas_frame.read_values(reader, reader.column(None, "", len(of)), of, id(reader))
    del values
    (held, _), _ = reader.whose()
    outside = sum(reader.counted[cells.number].outside for cells in column.objects)
    return sum(held.parts.values()) - outside


def _series(values: Any) -> Any:
    pandas = sys.modules["pandas"]
    return pandas.Series(values, dtype=values.dtype, copy=False)


def _cast(values: Any, dtype: Any) -> Callable[[], Any]:
    return lambda: _series(values).astype(dtype).array


def _alias(dtype: str) -> str:
    return f'{{}}.astype("{dtype}")'


# Numbers.


def _numbers(values: Any) -> Iterator[Candidate]:
    if values.dtype.kind in "iu":
        found = whole_range(values)
        yield from _narrower(found, values.dtype.itemsize, len(values))
    elif values.dtype.kind == "f":
        facts = float_facts(values)
        yield from _float(facts, len(values), values.dtype.itemsize)


def _narrower(found: Whole | None, itemsize: int, rows: int) -> Iterator[Candidate]:
    name = smallest(found) if found else None
    if name is not None and _size(name) < itemsize:
        price = f"{limits(name)} at most; {_SUMS}"
        yield Candidate(name, _alias(name), price, rows * _size(name))


def _size(name: str) -> int:
    return int(name.lower().lstrip("uint")) // 8


def _float(facts: FloatFacts, rows: int, itemsize: int) -> Iterator[Candidate]:
    found = float_range(facts)
    name = smallest(found) if found else None
    if name is not None and not facts.missing:
        price = f"whole numbers of {limits(name)} at most; {_SUMS}"
        yield Candidate(name, _alias(name), price, rows * _size(name))
    elif name is not None:
        name = _nullable(name)
        price = f"whole numbers of {limits(name)} at most; {_NULLABLE}"
        yield Candidate(name, _alias(name), price, rows * (_size(name) + 1))
    if facts.single and itemsize > 4:
        yield Candidate("float32", _alias("float32"), _SINGLE, 4 * rows)


def _nullable(name: str) -> str:
    return name.replace("uint", "UInt").replace("int", "Int")


def _masked(data: Any, mask: Any) -> Iterator[Candidate]:
    numpy = sys.modules["numpy"]
    rows = len(data)
    is_missing = bool(mask.any())
    there = data[~mask] if is_missing else data
    if data.dtype == numpy.bool_:
        if not is_missing:
            yield Candidate("bool", _alias("bool"), "no value can be missing", rows)
    elif data.dtype.kind in "iu":
        found = whole_range(there)
        name = (smallest(found) if found else None) or str(data.dtype)
        if is_missing:
            if _size(name) < data.dtype.itemsize:
                price = f"{limits(name)} at most; {_SUMS}"
                of = _nullable(name)
                yield Candidate(of, _alias(of), price, rows * (_size(name) + 1))
        else:
            price = f"no value can be missing; {limits(name)} at most; {_SUMS}"
            yield Candidate(name, _alias(name), price, rows * _size(name))
    elif data.dtype.kind == "f":
        facts = float_facts(there)
        found = float_range(facts)
        whole = smallest(found) if found and not facts.missing else None
        if whole is not None:
            name = whole
            price = f"whole numbers of {limits(name)} at most; {_SUMS}"
            of = _nullable(name)
            yield Candidate(of, _alias(of), price, rows * (_size(name) + 1))
        if facts.single and data.dtype.itemsize > 4:
            yield Candidate("Float32", _alias("Float32"), _SINGLE, 5 * rows)


# Text and categories.


def _text_type(dtype: str) -> str | None:
    """Pandas' own type for text in Arrow's form; None without pyarrow, which is never imported
    here.
    """
    if arrays.module("pyarrow") is None:
        return None
    is_three = int(sys.modules["pandas"].__version__.split(".")[0]) >= 3
    return "str" if is_three and dtype != "string" else "string[pyarrow]"


def _few(values: Any) -> bool:
    """Whether a sample repeats its values, so that a category may be worth a try."""
    sample = values[:: max(1, len(values) // SAMPLE)]
    return bool(_series(sample).nunique() * 2 < len(sample))


def _text(values: Any, dtype: str) -> Iterator[Candidate]:
    if _few(values):
        yield Candidate(
            "category", _alias("category"), _CATEGORY, convert=_cast(values, "category")
        )
    in_arrow = _text_type(dtype)
    if in_arrow is not None and "_pa_array" not in pandas_frame._attributes(values):
        price = _TEXT
        if in_arrow != "str":
            price = _NEW_STRING if dtype == "string" else f"{_NEW_STRING}; {_MISSING}"
        yield Candidate(in_arrow, _alias(in_arrow), price, convert=_cast(values, in_arrow))


def _categorical(values: Any) -> Iterator[Candidate]:
    numpy = sys.modules["numpy"]
    codes = values._ndarray
    used = numpy.zeros(len(values.categories) + 1, dtype=bool)
    for start in range(0, len(codes), 1 << 16):
        used[codes[start : start + (1 << 16)]] = True
    if not used[:-1].all():
        yield Candidate(
            "category",
            "{}.cat.remove_unused_categories()",
            f"{int((~used[:-1]).sum()):,} categories that no row has are gone",
            convert=lambda: values.remove_unused_categories(),
        )
    of = str(values.categories.dtype)
    if of in ("str", "object", "string") and (name := _text_type(of)) is not None:
        if of == "object" and {type(v) for v in values.categories} - {str}:
            return
        price = "none: nearly every row has a category of its own"
        if name != "str":
            price = _MISSING
        yield Candidate(name, _alias(name), price, convert=_cast(values, name))


# Objects.


def _objects(values: Any, counted: _native.CellColumn) -> Iterator[Candidate]:
    if counted.nulls and counted.nulls not in (counted.none, counted.nan):
        return  # None beside NaN is a difference that no type keeps
    pandas = sys.modules["pandas"]
    kinds = {kind for kind, _, _ in counted.kinds}
    rows = len(values)
    gone = "None becomes NaN" if counted.none else ""

    def says(*words: str) -> str:
        return "; ".join(word for word in words if word) or "none"

    if kinds == {str}:
        yield from _text(values, "object")
    elif kinds == {bool}:
        if counted.nulls:
            price = says(_NULLABLE)
            yield Candidate("boolean", _alias("boolean"), price, 2 * rows, _cast(values, "boolean"))
        else:
            yield Candidate("bool", _alias("bool"), "none", rows, _cast(values, "bool"))
    elif kinds == {int}:
        yield from _integers(values, bool(counted.nulls))
    elif kinds == {float}:
        price = says("no other kind of value fits", gone)
        yield Candidate("float64", _alias("float64"), price, 8 * rows, _cast(values, "float64"))
    elif kinds == {datetime.date}:
        if arrays.module("pyarrow") is not None:
            price = says("each cell that is read becomes a new date; missing is <NA>")
            of = "date32[pyarrow]"
            yield Candidate(of, _alias(of), price, convert=_cast(values, of))
    elif kinds in ({datetime.datetime}, {pandas.Timestamp}):
        price = says("missing values are NaT" if counted.nulls else "")
        convert = lambda: pandas.to_datetime(_series(values)).array  # noqa: E731
        yield Candidate("datetime64", "pd.to_datetime({})", price, convert=convert)
    elif kinds in ({datetime.timedelta}, {pandas.Timedelta}):
        price = says("missing values are NaT" if counted.nulls else "")
        convert = lambda: pandas.to_timedelta(_series(values)).array  # noqa: E731
        yield Candidate("timedelta64", "pd.to_timedelta({})", price, convert=convert)
    elif kinds == {bytes} and arrays.module("pyarrow") is not None:
        of = "binary[pyarrow]"
        price = "each cell that is read becomes new bytes; missing is <NA>"
        yield Candidate(of, _alias(of), price, convert=_cast(values, of))
    elif kinds == {decimal.Decimal}:
        return  # a decimal type has one number of digits after the point, and 1.0 is not 1.00


def _integers(values: Any, is_missing: bool) -> Iterator[Candidate]:
    pandas = sys.modules["pandas"]
    numbers = _series(values)
    try:
        found = Whole(int(numbers.min()), int(numbers.max()))
    except (TypeError, ValueError):
        return
    name = smallest(found)
    if name is None:
        return
    price = f"{limits(name)} at most; {_SUMS}"
    if is_missing:
        price = f"{limits(name)} at most; {_NULLABLE}"
        name = _nullable(name)
        convert = lambda: pandas.array(values, dtype=name)  # noqa: E731
        yield Candidate(name, _alias(name), price, convert=convert)
    else:
        yield Candidate(name, _alias(name), price, convert=_cast(values, name))


# Arrow's types in pandas.


def _arrow(values: Any, array: Any) -> Iterator[Candidate]:
    pyarrow = sys.modules["pyarrow"]
    dtype = str(values.dtype)
    compute = arrays.module("pyarrow.compute")
    types = pyarrow.types
    if types.is_string(array.type) or types.is_large_string(array.type):
        if _few(values):
            yield Candidate(
                "category", _alias("category"), _CATEGORY, convert=_cast(values, "category")
            )
    elif compute is None or not dtype.endswith("[pyarrow]"):
        return
    elif types.is_integer(array.type):
        ends = compute.min_max(array).as_py()
        if ends["min"] is not None:
            name = smallest(Whole(ends["min"], ends["max"]))
            if name is not None and _size(name) * 8 < array.type.bit_width:
                of = f"{name}[pyarrow]"
                price = f"{limits(name)} at most; arithmetic beyond that fails"
                yield Candidate(of, _alias(of), price, convert=_cast(values, of))
    elif types.is_float64(array.type):
        single = array.cast(pyarrow.float32(), safe=False).cast(pyarrow.float64())
        if compute.all(compute.equal(single, array), skip_nulls=True).as_py():
            of = "float[pyarrow]"
            yield Candidate(of, _alias(of), _SINGLE, convert=_cast(values, of))


def verified(values: Any, made: Any) -> bool:
    """Whether a converted array holds every value of the original."""
    return same_values(_apart(values), made)


def numpy_candidates(values: Any) -> Iterator[Candidate]:
    """Types for a numpy array by itself."""
    if values.dtype.kind in "iuf":
        for found in _numbers(values):
            if found.dtype == found.dtype.lower():
                yield found


def index_candidates(index: Any) -> Iterator[tuple[Candidate, int]]:
    """Smaller forms of an index, each with its bytes."""
    held = pandas_frame._attributes(index)
    data: Any = held.get("_data")
    numpy = sys.modules["numpy"]
    if "_range" in held or "_levels" in held or not is_a(data, numpy.ndarray) or len(data) < 2:
        return
    if data.dtype.kind not in "iu":
        return
    start, step = int(data[0]), int(data[1]) - int(data[0])
    if step and _is_range(data, start, step):
        stop = start + step * len(data)
        code = f"pd.RangeIndex({start}, {stop}, {step}, name={{}}.name)"
        yield Candidate("RangeIndex", code, "none"), 0
        return
    found = whole_range(data)
    for candidate in _narrower(found, data.dtype.itemsize, len(data)):
        yield candidate, candidate.after or 0


def _is_range(data: Any, start: int, step: int) -> bool:
    numpy = sys.modules["numpy"]
    piece = 1 << 16
    for first in range(0, len(data), piece):
        part = data[first : first + piece]
        wanted = numpy.arange(len(part), dtype=numpy.int64) * step + (start + step * first)
        if not (part == wanted).all():
            return False
    return True
