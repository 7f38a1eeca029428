"""Where the bytes of a pandas object are.

Everything is read from where pandas keeps it (blocks, ``_data``, ``_codes``), because what is
public fills caches: ``index.dtype`` is remembered, ``index.is_unique`` builds a hash table,
``df["x"]`` keeps a Series in older versions. What is not there, as in a later pandas, is left out
rather than asked for.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from typing import Any

from memprofile.errors import MemprofileError
from memprofile.frames import arrays
from memprofile.frames.arrays import is_a
from memprofile.frames.memory import Column, Opaque, Reader, Stretch


def is_pandas(value: object) -> bool:
    """Whether it is something that ``read`` takes."""
    pandas = arrays.module("pandas")
    if pandas is None:
        return False
    kinds = (pandas.DataFrame, pandas.Series, pandas.Index, pandas.api.extensions.ExtensionArray)
    return is_a(value, *kinds)


def read(reader: Reader, value: Any) -> str:
    """Reads a DataFrame, Series, Index or extension array; returns what it is called."""
    pandas = sys.modules["pandas"]
    if is_a(value, pandas.Index):
        read_index(reader, value, "index")
        return f"pandas {type(value).__name__}"
    if not is_a(value, pandas.DataFrame, pandas.Series):
        column = reader.column(None, str(value.dtype), len(value))
        read_values(reader, column, value, None)
        return f"pandas {type(value).__name__}"
    manager = _manager(value)
    rows = len(manager.axes[-1])
    is_frame = is_a(value, pandas.DataFrame)
    labels = list(values_of(manager.axes[0])) if is_frame else [_attributes(value).get("_name")]
    columns = [reader.column(label, "", rows) for label in labels]
    reader.blocks |= {id(part) for part in (*manager.blocks, *manager.axes)}
    for block, places in _blocks(manager, len(labels)):
        _read_block(reader, [columns[place] for place in places], block)
    for column, found in zip(columns, _arrays(manager, len(labels)), strict=True):
        column.nulls = count_nulls(found)
    read_index(reader, manager.axes[-1], "index")
    if is_frame:
        read_index(reader, manager.axes[0], "labels")
    return f"pandas {'DataFrame' if is_frame else 'Series'}"


def _attributes(value: object) -> dict[str, Any]:
    """The instance's own attributes, past any ``__getattr__`` and property."""
    try:
        found: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return found


def _manager(value: Any) -> Any:
    manager = _attributes(value).get("_mgr")
    if not hasattr(manager, "blocks"):
        raise MemprofileError(
            f"memprofile does not know how this {type(value).__name__} keeps its columns; "
            "give it a pandas object, for example: memprofile.inspect_frame(pandas.DataFrame(df))"
        )
    return manager


def _blocks(manager: Any, count: int) -> Iterator[tuple[Any, list[int]]]:
    """Each block with the numbers of its columns."""
    known = getattr(manager, "_blknos", None)
    if known is not None:
        # Where pandas has worked them out: asking a block may make it remember them once more.
        rows = manager._blklocs
        for number, block in enumerate(manager.blocks):
            mine = (known == number).nonzero()[0]
            yield block, [int(place) for place in mine[rows[mine].argsort()]]
    elif manager.ndim == 1:
        yield from ((block, [0]) for block in manager.blocks)
    else:
        yield from ((block, list(block.mgr_locs)) for block in manager.blocks)


def _arrays(manager: Any, count: int) -> list[Any]:
    """The values of each column, as views."""
    found: list[Any] = [None] * count
    for block, places in _blocks(manager, count):
        for row, place in enumerate(places):
            found[place] = block.values if block.values.ndim == 1 else block.values[row]
    return found


def columns_of(value: Any) -> list[Any]:
    """The values of each column of a DataFrame, Series, Index or extension array, as views."""
    pandas = sys.modules["pandas"]
    if is_a(value, pandas.DataFrame, pandas.Series):
        manager = _manager(value)
        is_frame = is_a(value, pandas.DataFrame)
        return _arrays(manager, len(manager.axes[0]) if is_frame else 1)
    return [_attributes(value).get("_data") if is_a(value, pandas.Index) else value]


def index_of(value: Any) -> Any:
    """The index of a DataFrame or Series; an index is its own."""
    is_index = is_a(value, sys.modules["pandas"].Index)
    return value if is_index or not hasattr(type(value), "iloc") else _manager(value).axes[-1]


def labels_of(frame: Any) -> Any:
    """The column labels of a DataFrame."""
    return _manager(frame).axes[0]


def spare_blocks(value: Any) -> int:
    """How many blocks could be one: those of numpy's types beyond the first of each."""
    manager = _manager(value)
    types = [str(b.values.dtype) for b in manager.blocks if is_a(b.values, _ndarray())]
    return len(types) - len(set(types))


def _ndarray() -> Any:
    return sys.modules["numpy"].ndarray


def _shared_blocks(block: Any, known: set[int]) -> bool:
    """Whether copy-on-write knows of a living block or index that is not known to share it."""
    references = getattr(getattr(block, "refs", None), "referenced_blocks", None) or ()
    living = (reference() for reference in references)
    return any(other is not None and id(other) not in known for other in living)


def _keep_cached(reader: Reader, cache: dict[str, Any] | None) -> None:
    """A cache may refer once more to what is found elsewhere, as to a type with its categories."""
    for cached in (cache or {}).values():
        reader.keep(cached, id(cache))


def _read_block(reader: Reader, columns: list[Column], block: Any) -> None:
    values = block.values
    _keep_cached(reader, getattr(block, "_cache", None))
    outside = _shared_blocks(block, reader.blocks)
    if not is_a(values, _ndarray()):
        backing = getattr(values, "_ndarray", None)
        if len(columns) == 1 or backing is None:
            for column in columns:
                column.dtype = str(values.dtype)
                read_values(reader, column, values, id(block), outside)
            return
        by = reader.keep(values, id(block)) if values is not backing else id(block)
        dtype, values = str(values.dtype), backing
    else:
        by, dtype = id(block), str(values.dtype)
    place = arrays.allocation(reader, values, by)
    rows = values.reshape(1, -1) if values.ndim == 1 else values
    for column, row in zip(columns, rows, strict=True):
        column.dtype = dtype
        view = (arrays.address(row), *row.shape, *row.strides)
        role = arrays.role_of(row)
        used = min(int(row.nbytes), place.size)
        stretch = Stretch(place.start, place.size, used, view, role, place.keepers, outside)
        stretch.mapped = place.mapped
        column.stretches.append(stretch)
        if dtype == "object":
            reader.add_objects(column, row, stretch)


def read_values(
    reader: Reader,
    column: Column,
    values: Any,
    by: int | None,
    outside: bool = False,
    role: str = "",
    held: int = 0,
) -> None:
    """Adds the array of one column, of numpy or any extension type; for ``by`` see
    ``arrays.allocation``, for ``held`` ``Reader.add_objects``.
    """
    read = arrays.read_numpy
    if is_a(values, _ndarray()):
        read(reader, column, values, by, role or arrays.role_of(values), outside, held)
        return
    inside = _attributes(values)
    by = id(values) if by is None else reader.keep(values, by)
    backing = getattr(values, "_ndarray", None) if _is_of_pandas(values) else None
    if backing is not None:
        is_category = type(values).__name__ == "Categorical"
        of = role or ("codes" if is_category else arrays.role_of(backing))
        read(reader, column, backing, by, of, outside)
        if is_category:
            _read_categories(reader, column, values._dtype, id(values))
    elif "_pa_array" in inside:
        arrays.read_arrow(reader, column, inside["_pa_array"], outside, role)
    elif "_mask" in inside:
        read(reader, column, inside["_data"], by, role or "values", outside)
        read(reader, column, inside["_mask"], by, role or "missing", outside)
    elif "_left" in inside:
        for side in ("_left", "_right"):
            read_values(reader, column, inside[side], by, outside, role)
    elif "_sparse_values" in inside:
        stored = inside["_sparse_values"]
        read_values(reader, column, stored, by, outside, role or arrays.role_of(stored))
        index = inside["_sparse_index"]
        for name in ("indices", "blocs", "blengths"):
            places = getattr(index, name, None)
            if places is not None:
                size = int(places.nbytes)
                view = (arrays.address(places), size)
                column.stretches.append(Stretch(view[0], size, size, view, "places"))
    else:
        # Somebody's own extension type: the arrays among its attributes.
        for found in inside.values():
            if is_a(found, _ndarray()):
                read(reader, column, found, by, role or arrays.role_of(found), outside)
            elif _is_arrow(found):
                arrays.read_arrow(reader, column, found, outside, role)


def _read_categories(reader: Reader, column: Column, dtype: Any, by: int) -> None:
    """The categories are the type's: columns of one type share them."""
    mark = column.mark()
    categories = _attributes(dtype).get("_categories")
    keepers = (reader.keep(dtype, by), reader.keep(categories, id(dtype)))
    _read_index(reader, column, categories, "categories")
    column.held_through(mark, keepers)


def _is_arrow(value: object) -> bool:
    pyarrow = arrays.module("pyarrow")
    return pyarrow is not None and is_a(value, pyarrow.Array, pyarrow.ChunkedArray)


def _is_of_pandas(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas"


def read_index(reader: Reader, index: Any, role: str) -> None:
    """Adds an index as a column of its own, with the caches that it has by now."""
    name = _attributes(index).get("_name")
    column = reader.column(name, _index_dtype(index), len(index), role)
    _read_index(reader, column, index, "")


def _index_dtype(index: Any) -> str:
    held = _attributes(index)
    if "_range" in held:
        return "RangeIndex"
    if "_levels" in held:
        return f"MultiIndex, {len(held['_levels'])} levels"
    dtype = getattr(held.get("_data"), "dtype", None)
    return type(index).__name__ if dtype is None else str(dtype)


def _read_index(reader: Reader, column: Column, index: Any, role: str) -> None:
    held = _attributes(index)
    me = id(index)
    if "_levels" in held:
        for level in held["_levels"]:
            _read_index(reader, column, level, "levels")
        for codes in held["_codes"]:
            arrays.read_numpy(reader, column, codes, id(held["_codes"]), "codes")
    elif held.get("_data") is not None and "_range" not in held:
        of_table = _held_by_table((held.get("_cache") or {}).get("_engine"))
        read_values(reader, column, held["_data"], me, role=role, held=of_table)
    _keep_cached(reader, held.get("_cache"))
    for key, cached in (held.get("_cache") or {}).items():
        if key == "_engine":
            _read_engine(reader, column, cached)
        elif key != "_references":
            _read_cached(reader, column, cached, id(held["_cache"]))


def _read_cached(reader: Reader, column: Column, cached: Any, by: int) -> None:
    pandas = sys.modules["pandas"]
    if is_a(cached, _ndarray(), pandas.api.extensions.ExtensionArray):
        read_values(reader, column, cached, by, role="cache")
    elif is_a(cached, pandas.Index):
        _read_index(reader, column, cached, "cache")
    elif is_a(cached, list, tuple):
        for part in cached:
            _read_cached(reader, column, part, id(cached))


def _held_by_table(engine: Any) -> int:
    """How often the hash table that lookups have built refers to each object of its index."""
    table: Any = type(getattr(engine, "mapping", None))
    return _references_of(table) if table.__name__ == "PyObjectHashTable" else 0


@functools.cache
def _references_of(table: Any) -> int:
    """How often such a table refers to each of its objects, as one of ours tells: up to pandas 3.0
    they borrow the references of the index.
    """
    one = sys.modules["numpy"].empty(1, dtype=object)
    one[0] = label = object()
    before = sys.getrefcount(label)
    made = table()
    made.map_locations(one)
    return sys.getrefcount(label) - before


def _read_engine(reader: Reader, column: Column, engine: Any) -> None:
    """What lookups have built: a hash table, and for some types a copy of the values as objects."""
    table = getattr(engine, "mapping", None)
    values = getattr(engine, "values", None)
    if is_a(values, _ndarray()):
        held = _held_by_table(engine)
        arrays.read_numpy(reader, column, values, id(engine), "engine", held=held)
    size = getattr(table, "sizeof", None)
    if size is not None:
        column.opaque.append(Opaque("engine", int(size())))


def values_of(index: Any) -> list[Any]:
    """The labels of an index, without filling its caches."""
    held = _attributes(index)
    if "_range" in held:
        return list(held["_range"])
    if "_levels" in held:
        levels = [values_of(level) for level in held["_levels"]]
        parts = zip(levels, held["_codes"], strict=True)
        columns = [[level[c] if c >= 0 else None for c in codes] for level, codes in parts]
        return list(zip(*columns, strict=True))
    data: Any = held.get("_data")
    if is_a(data, _ndarray()):
        return list(data.tolist())
    if "_pa_array" in _attributes(data):
        return list(_attributes(data)["_pa_array"].to_pylist())
    return list(data)


def count_nulls(values: Any) -> int | None:
    """Missing values of an array; None for objects, which are counted with their cells."""
    if is_a(values, _ndarray()):
        return None if values.dtype == object else arrays.count_missing(values)
    held = _attributes(values)
    numpy = sys.modules["numpy"]
    if "_pa_array" in held:
        return int(held["_pa_array"].null_count)
    if "_mask" in held:
        return int(numpy.count_nonzero(held["_mask"]))
    if "_left" in held:
        return count_nulls(held["_left"])
    if "_sparse_values" in held:
        stored = held["_sparse_values"]
        missing = count_nulls(stored) or 0
        fill = values.fill_value
        gaps = len(values) - len(stored)
        return missing + gaps * (type(fill) is float and fill != fill)
    backing = getattr(values, "_ndarray", None) if _is_of_pandas(values) else None
    if backing is None:
        return None
    if backing.dtype == object:
        return None
    if type(values).__name__ == "Categorical":
        return int(numpy.count_nonzero(backing == -1))
    if backing.dtype.kind == "i":  # periods
        return int(numpy.count_nonzero(backing == numpy.iinfo("int64").min))
    return arrays.count_missing(backing)


def in_shared_blocks(value: Any) -> set[int]:
    """Numbers of the columns that lie in one array with other columns."""
    manager = _manager(value)
    found: set[int] = set()
    for _, places in _blocks(manager, len(manager.axes[0])):
        if len(places) > 1:
            found.update(places)
    return found
