"""What is an own byte, what is shared and with whom; and that looking changes nothing."""

from __future__ import annotations

import contextlib
import copy
import mmap
import sys
from typing import Any

import memprofile
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from memprofile.frames.inspect import inspect

N = 50_000
IS_THREE = int(pd.__version__.split(".")[0]) >= 3


def look(frame: object, **names: object) -> memprofile.FrameReport:
    return inspect(frame, {"frame": frame, **names}, advice=False)


def numbers() -> pd.DataFrame:
    return pd.DataFrame({"a": np.arange(N) + 1, "b": np.ones(N), "c": np.zeros(N)})


def test_columns_of_one_block_own_their_part() -> None:
    frame = numbers()
    found = look(frame)
    assert [c.owned for c in found.columns[:3]] == [8 * N] * 3
    assert found.owned == sum(c.owned for c in found.columns)
    assert (found.shared, found.unused) == (0, 0)


def test_a_slice_holds_a_view_and_keeps_the_whole_alive() -> None:
    big = numbers()
    half = big.iloc[: N // 2]
    found = look(half, big=big)
    assert [c.owned for c in found.columns[:3]] == [0] * 3
    assert [c.shared for c in found.columns[:3]] == [4 * N] * 3
    assert [c.keeps_alive for c in found.columns[:3]] == [8 * N, 16 * N, 16 * N]
    assert [c.holders for c in found.columns[:3]] == [["big"]] * 3
    assert found.keeps_alive == 24 * N
    assert "frame holds a view of big: 0 of its own, keeps 1.14 MiB alive" in str(found)


def test_who_holds_a_view_of_a_frame_does_not_make_it_less_its_own() -> None:
    frame = numbers()
    half = frame.iloc[: N // 2]
    found = look(frame, half=half)
    assert [c.owned for c in found.columns[:3]] == [8 * N] * 3
    assert [c.viewers for c in found.columns[:3]] == [["half"]] * 3
    assert "half holds a view of it" in " ".join(str(found).split())
    assert look(frame).columns[0].unnamed_holder


def test_who_holds_a_column_is_said_beside_who_views_all_of_them() -> None:
    frame = pd.DataFrame({"x": np.arange(N), "y": np.arange(N) / 2})
    half, values = frame.iloc[: N // 2], frame["x"].to_numpy()
    text = " ".join(str(look(frame, half=half, values=values)).split())
    assert "half holds a view of it" in text
    assert "the same memory as values" in text


def test_what_only_a_slice_keeps_is_its_own_and_a_copy_frees_it() -> None:
    frame = numbers().iloc[: N // 2]
    found = inspect(frame, {}, name="df")
    assert found.unused == 12 * N
    assert sum(c.owned for c in found.columns[:3]) == 24 * N
    (advice,) = found.advice
    assert (advice.code, advice.saved) == ("df = df.copy()", 12 * N)
    again = look(frame.copy())
    assert (again.unused, sum(c.owned for c in again.columns[:3])) == (0, 12 * N)


@pytest.mark.parametrize("copies", [True] if IS_THREE else [True, False])
def test_copy_on_write_shares_until_one_is_written_to(copies: bool) -> None:
    # Pandas 2 does so where it is told to; from 3 on there is nothing else.
    option = () if IS_THREE else ("mode.copy_on_write", copies)
    with pd.option_context(*option) if option else contextlib.nullcontext():
        first = numbers()
        second = first.copy(deep=False)
        assert look(second, first=first).columns[1].holders == ["first"]
        assert look(second).columns[1].unnamed_holder
        second.loc[0, "b"] = 7.0
        assert look(second, first=first).columns[1].owned == (8 * N if copies else 0)
        assert look(second, first=first).columns[0].owned == 0


def test_a_slice_of_text_is_known_by_copy_on_write_alone() -> None:
    big = pd.DataFrame({"x": pd.Series([f"some text {i}" for i in range(N)], dtype="str")})
    part = big.iloc[10:20]
    found = look(part).columns[0]
    assert found.unnamed_holder
    assert found.owned == 0
    assert found.is_view


def test_a_variable_in_a_function_is_somebody_too() -> None:
    array = np.arange(N)
    frame = pd.DataFrame({"x": array}, copy=False)
    assert look(frame).columns[0].unnamed_holder
    assert look(frame, array=array).columns[0].holders == ["array"]
    del array
    assert look(frame).columns[0].owned == 8 * N


def test_an_array_is_its_names_own_and_a_view_of_it_is_not() -> None:
    for make in (lambda: np.arange(N), lambda: pd.array(range(N), dtype="int64")):
        array = again = make()
        assert look(array).columns[0].owned == 8 * N
        assert look(array, again=again).columns[0].owned == 8 * N
    array = np.arange(N)
    part = array[: N // 2]
    whole = look(array, part=part)
    assert (whole.columns[0].owned, whole.columns[0].viewers) == (8 * N, ["part"])
    view = look(part, array=array)
    assert (view.columns[0].owned, view.columns[0].holders) == (0, ["array"])
    # What only a view keeps goes with it.
    del array, again, whole, view
    assert look(part).columns[0].owned == 8 * N


def test_two_names_of_one_array_are_known() -> None:
    array = also = np.arange(N)
    frame = pd.DataFrame({"x": array}, copy=False)
    found = look(frame, array=array, also=also).columns[0]
    assert (found.owned, found.holders) == (0, ["array", "also"])
    assert not look(array, df=frame).columns[0].unnamed_holder


def test_shared_strings_count_once_also_across_columns() -> None:
    words = [f"a word {i}" for i in range(100)]
    one = pd.Series([words[i % 100] for i in range(N)], dtype=object)
    frame = pd.DataFrame({"x": one, "y": one.to_numpy().copy()}, dtype=object)
    del one
    each = sys.getsizeof(words[50])
    assert 100 * each <= look(frame).columns[0].shared <= 100 * (each + 16)
    del words
    found = look(frame)
    assert [c.owned for c in found.columns[:2]] == [8 * N] * 2
    assert found.columns[0].within == found.columns[1].within > 0
    assert found.owned == sum(c.owned for c in found.columns) + found.columns[0].within


def test_a_pointer_scan_is_right_whatever_the_order_of_objects() -> None:
    draw = np.random.default_rng(3)
    for different in (1, 2, 1000, 1024, 5000, N):
        made = np.array([f"{i} of {different}" for i in range(different)], dtype=object)
        cells = made[draw.integers(0, different, N)]
        for view in (cells, cells[::-1], cells[::3], cells[:0]):
            counted = memprofile._native.Cells([])
            counted.add(view)
            (column,), within, outside = counted.finish()
            assert column.objects == len({id(cell) for cell in view})
            assert sum(kind[1] for kind in column.kinds) == len(view)
            assert (within, column.nulls) == (0, 0)
            assert column.outside == outside > 0 or not len(view)
        del made


def test_missing_values_are_counted() -> None:
    frame = pd.DataFrame(
        {
            "float": np.where(np.arange(N) % 4, 1.5, np.nan),
            "object": pd.Series([None, float("nan"), pd.NA, pd.NaT, "x"] * (N // 5), dtype=object),
            "text": pd.Series(["x", None] * (N // 2), dtype="str"),
            "Int": pd.array([1, None] * (N // 2), dtype="Int64"),
            "time": pd.Series([pd.Timestamp(5), None] * (N // 2)),
            "category": pd.Categorical(["a", None] * (N // 2)),
            "period": pd.PeriodIndex(["2020", None] * (N // 2), freq="D"),
            "sparse": pd.arrays.SparseArray([1.0, np.nan] * (N // 2)),
            "whole": np.arange(N),
        }
    )
    found = [c.nulls for c in look(frame).columns[:9]]
    assert found == [int(frame[name].isna().sum()) for name in frame]


def test_the_hash_table_of_a_lookup_is_the_index_s() -> None:
    frame = pd.DataFrame({"x": np.ones(N)}, index=np.random.default_rng(0).permutation(N))
    before = look(frame).columns[1]
    assert "engine" not in before.parts
    frame.loc[5]
    after = look(frame).columns[1]
    # Keys and places, in a table of a power of two that is at most three quarters full.
    assert after.parts["engine"] >= 16 * N
    assert after.owned == before.owned + after.parts["engine"]


def test_labels_that_are_objects_count_once_with_their_hash_table() -> None:
    labels = [f"the label {i}" for i in range(N)]
    frame = pd.DataFrame({"x": np.ones(N)}, index=pd.Index(labels, dtype=object))
    del labels
    before = look(frame).columns[1]
    frame.loc["the label 5"]
    after = look(frame).columns[1]
    assert after.parts["engine"] >= 8 * N
    assert after.parts["objects"] == before.parts["objects"] > 50 * N
    assert (after.within, after.shared) == (0, 0)
    assert after.owned == before.owned + after.parts["engine"]


def test_polars_and_arrow_name_their_holders() -> None:
    frame = pl.DataFrame({"x": range(N), "y": [f"a longer text {i}" for i in range(N)]})
    part = frame.slice(10, 100)
    assert [c.holders for c in look(part, frame_of=frame).columns] == [["frame_of"]] * 2
    assert look(part, frame_of=frame).owned == 0
    table = pa.table({"x": range(N)})
    piece = table.slice(5, 100)
    (column,) = look(piece, table=table).columns
    assert (column.owned, column.holders, column.keeps_alive) == (0, ["table"], 8 * N)
    (column,) = look(piece).columns
    assert (column.owned, column.unused) == (8 * N, 8 * N - 800)


def test_a_file_in_memory_is_nobody_s(tmp_path: Any) -> None:
    file = tmp_path / "numbers"
    np.arange(N).tofile(file)
    (column,) = look(np.memmap(file, dtype="i8", mode="r")).columns
    assert (column.owned, column.mapped) == (0, 8 * N)
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapped:
        array = np.frombuffer(mapped, dtype="i8")
        assert look(array).columns[0].mapped == 8 * N
        del array


KINDS: dict[str, Any] = {
    "numpy": lambda: np.arange(N),
    "Series": lambda: pd.Series(np.arange(N)),
    "Index": lambda: pd.Index(np.arange(N) * 3),
    "MultiIndex": lambda: pd.MultiIndex.from_product([range(N // 10), list("abcdefghij")]),
    "extension array": lambda: pd.array([1, None] * N, dtype="Int64"),
    "polars Series": lambda: pl.Series(range(N)),
    "pyarrow Array": lambda: pa.array(range(N)),
    "pyarrow ChunkedArray": lambda: pa.chunked_array([[1, 2], range(N)]),
    "pyarrow RecordBatch": lambda: pa.record_batch({"x": range(N)}),
    "a frame without rows": lambda: pd.DataFrame({"x": []}),
    "a frame without columns": lambda: pd.DataFrame(index=range(5)),
    "nothing at all": lambda: pd.DataFrame(),
    "an empty table": lambda: pa.table({}),
    "an empty polars frame": lambda: pl.DataFrame(),
    "an array of no dimension": lambda: np.array(5),
    "an array of two": lambda: np.ones((10, N)),
    "objects of two": lambda: np.array([["a", "b"], ["c", None]], dtype=object),
    "one value many times": lambda: np.broadcast_to(np.arange(3.0), (N, 3)),
    "a column twice": lambda: pd.DataFrame(np.ones((N, 2)), columns=["x", "x"]),
    "labels of many kinds": lambda: pd.DataFrame({1: [1], ("a", 2): [2], None: [3], b"x": [4]}),
    "polars, nested": lambda: pl.DataFrame(
        {
            "list": [[1, 2], None, []],
            "array": pl.Series([[1, 2]] * 3, dtype=pl.Array(pl.Int8, 2)),
            "struct": [{"a": 1, "b": ["x"]}] * 3,
            "none": [None] * 3,
            "decimal": pl.Series(["1.5"] * 3).cast(pl.Decimal(10, 2)),
            "time": pl.Series([1, 2, 3]).cast(pl.Time),
            "binary": [b"x"] * 3,
            "duration": pl.Series([1, 2, 3]).cast(pl.Duration("ms")),
        }
    ),
    "polars, of objects": lambda: pl.DataFrame({"x": pl.Series([object()] * 3, dtype=pl.Object)}),
    "pyarrow, nested": lambda: pa.table(
        {
            "union": pa.UnionArray.from_sparse(
                pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
            ),
            "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int8())),
            "view": pa.array(["a longer text than twelve", None], pa.string_view()),
            "list view": pa.array([[1], [2, 3]], pa.list_view(pa.int8())),
            "ends": pa.RunEndEncodedArray.from_arrays([2], ["x"]),
            "null": pa.nulls(2),
            "interval": pa.array([(1, 2, 3)] * 2, pa.month_day_nano_interval()),
            "decimal": pa.array([1, 2], pa.decimal256(40, 2)),
            "fixed": pa.array([b"abc"] * 2, pa.binary(3)),
        }
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_has_columns_is_drawn(kind: str) -> None:
    found = memprofile.inspect_frame(KINDS[kind](), name="it")
    assert found.owned >= sum(c.owned for c in found.columns)
    assert "it holds" in str(found)
    bundle, metadata = found._repr_mimebundle_()
    assert {*bundle} == {"text/plain", "text/html", "image/png"}
    assert metadata["image/png"]["alt"]
    assert len(found.to_pandas()) == len(found.columns)


REFUSED: dict[str, tuple[Any, str]] = {
    "LazyFrame": (lambda: pl.LazyFrame({"x": [1]}), "for example: %memframe lf.collect()"),
    "list": (lambda: [1, 2], "this is of type list"),
    "GroupBy": (lambda: numbers().groupby("a"), "look at the frame itself"),
    "the class": (lambda: pd.DataFrame, "this is of type type"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_anything_else_is_refused_with_the_next_step(kind: str) -> None:
    make, words = REFUSED[kind]
    with pytest.raises(memprofile.MemprofileError) as raised:
        memprofile.inspect_frame(make())
    assert words in str(raised.value)
    assert "for example: %memframe" in str(raised.value)


class Watched(pd.DataFrame):
    """Raises when anything of it is used that is not pandas' own storage."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)

    def __len__(self) -> int:
        raise AssertionError

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise AssertionError


class Loud:
    """Raises when anything of it is used."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    def __repr__(self) -> str:
        raise AssertionError

    def __sizeof__(self) -> int:
        raise AssertionError

    __hash__ = object.__hash__


def test_nothing_of_the_user_s_runs() -> None:
    loud = np.empty(10, dtype=object)
    for place in range(10):
        loud[place] = Loud()  # of a list numpy would ask each for more than itself
    frame = pd.DataFrame({"x": pd.Series(loud, dtype=object), "y": np.ones(10)})
    del loud
    report = memprofile.inspect_frame(frame)
    assert report.columns[0].owned > 80
    watched = Watched(frame)
    assert inspect(watched, {"loud": Loud()}).columns[0].shared > 80


def state(value: Any, path: str = "", found: dict[str, Any] | None = None) -> dict[str, Any]:
    """The attributes of a pandas object and of what it consists of, by their path.

    The objects themselves, so that none gives its identity to another meanwhile.
    """
    found = {} if found is None else found
    if any(value is other for other in found.values()):
        return found
    found[path] = value
    parts: dict[Any, Any] = dict(getattr(value, "__dict__", {}))
    if isinstance(value, dict):
        parts = value
    elif isinstance(value, list | tuple):
        parts = dict(enumerate(value))
    elif type(value).__module__.startswith("pandas"):
        for name in ("blocks", "axes", "_ndarray", "_dtype", "_blknos", "_blklocs", "mapping"):
            parts[name] = getattr(value, name, None)
        if hasattr(value, "mgr_locs"):
            parts["values"] = value.values
    if isinstance(value, pd.api.extensions.ExtensionDtype):
        # A type remembers constants of its own, which are no frame's; but it has the categories.
        parts = {"_categories": parts.get("_categories")}
    for name, part in parts.items():
        if not isinstance(part, str | int | float | type | type(None)):
            state(part, f"{path}.{name}", found)
    return found


@pytest.mark.parametrize("access", ["fresh", "used"])
def test_looking_changes_nothing_and_fills_no_cache(access: str) -> None:
    frame = pd.DataFrame(
        {
            "n": np.arange(100),
            "m": np.arange(100),
            "o": pd.Series(["x", "y"] * 50, dtype=object),
            "s": pd.Series(["x", "y"] * 50, dtype="str"),
            "c": pd.Categorical(["x", "y"] * 50),
            "i": pd.array([1, None] * 50, dtype="Int64"),
            "t": pd.date_range("2020", periods=100),
            "v": pd.interval_range(0, 100),
            "p": pd.period_range("2020", periods=100),
            "z": pd.arrays.SparseArray([0, 1] * 50),
            "a": pd.array([1] * 100, dtype="int64[pyarrow]"),
        },
        index=pd.MultiIndex.from_product([range(10), range(10)]),
    )
    if access == "used":
        frame["n"], frame.loc[(3, 4)]
    values = copy.deepcopy(frame)
    before = state(frame._mgr)
    memprofile.inspect_frame(frame)
    after = state(frame._mgr)
    assert [*after] == [*before]
    assert all(after[path] is before[path] for path in before)
    pd.testing.assert_frame_equal(frame, values)


def test_the_report_as_data() -> None:
    frame = numbers()
    found = memprofile.inspect_frame(frame, name="sales")
    assert found.to_dict()["columns"][0]["advice"][0]["code"].startswith('sales["a"] = ')
    table = found.to_pandas()
    assert list(table["best_dtype"][:3]) == ["int32", "int8", "int8"] or table["best_bytes"][0] > 0
    assert repr(found).startswith("<memprofile.FrameReport sales holds")
