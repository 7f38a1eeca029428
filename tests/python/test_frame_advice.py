"""Every advice is pasted and run: it works, keeps every value, and gives the bytes it states."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import memprofile
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from memprofile.frames import Advice
from programs import run

N = 20_000
# What pandas has for text: a type of its own from 3 on.
IS_THREE = int(pd.__version__.split(".")[0]) >= 3
TEXT = "str" if IS_THREE else "string[pyarrow]"
DRAW = np.random.default_rng(5)
CITIES = ["Vienna", "Lima", "Oslo", "Cairo"]
DAY = datetime.date(2020, 1, 1)


def objects(values: list[Any]) -> pd.Series[Any]:
    return pd.Series(values, dtype=object)


# Each with the types that are advised, the smallest first.
PANDAS: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "int64 that fits int16": (lambda: np.arange(N), ["int16"]),
    "int64 that fits uint8": (lambda: np.arange(N) % 256, ["uint8"]),
    "int64 that fits nothing smaller": (lambda: np.arange(N) * 2**40, []),
    "float64 of integers": (lambda: np.arange(N) * 1.0, ["int16", "float32"]),
    "float64 of integers with one NaN": (
        lambda: np.where(np.arange(N) == 7, np.nan, np.arange(N)),
        ["Int16", "float32"],
    ),
    "float64 of integers with one −0.0": (
        lambda: np.where(np.arange(N) == 7, -0.0, np.arange(N) + 1.0),
        ["float32"],
    ),
    "float64 of integers with an infinity": (
        lambda: np.where(np.arange(N) == 7, np.inf, np.arange(N)),
        ["float32"],
    ),
    "float64 that is float32": (lambda: DRAW.random(N, dtype="f4").astype("f8"), ["float32"]),
    "float64": (lambda: DRAW.random(N), []),
    "one value in the middle that does not fit": (
        lambda: np.where(np.arange(N) == N // 2 + 1, 70_000, np.arange(N) % 100),
        ["int32"],
    ),
    "Int64 with a missing value": (
        lambda: pd.array([None, *range(N - 1)], dtype="Int64"),
        ["Int16"],
    ),
    "Int64 without": (lambda: pd.array(range(N), dtype="Int64"), ["int16"]),
    "boolean without": (lambda: pd.array([True, False] * (N // 2), dtype="boolean"), ["bool"]),
    "boolean with": (lambda: pd.array([True, None] * (N // 2), dtype="boolean"), []),
    "Float64 of integers": (
        lambda: pd.array([None, *range(N - 1)], dtype="Float64"),
        ["Int16", "Float32"],
    ),
    "objects: bool": (lambda: objects([True, False] * (N // 2)), ["bool"]),
    "objects: bool and None": (lambda: objects([True, None] * (N // 2)), ["boolean"]),
    "objects: integers": (lambda: objects(list(range(1000, 1000 + N))), ["int16"]),
    "objects: integers and None": (lambda: objects([None, *range(1000, 999 + N)]), ["Int16"]),
    "objects: integers of any size": (lambda: objects([10**30 + i for i in range(N)]), []),
    "objects: floats": (lambda: objects([i / 7 for i in range(N)]), ["float64"]),
    "objects: dates": (
        lambda: objects([DAY + datetime.timedelta(i % 300) for i in range(N)]),
        ["date32[pyarrow]"],
    ),
    "objects: datetimes": (
        lambda: objects(
            [datetime.datetime(2020, 1, 1, 12) + datetime.timedelta(0, i) for i in range(N)]
        ),
        ["datetime64"],
    ),
    "objects: timedeltas": (
        lambda: objects([datetime.timedelta(0, i) for i in range(N)]),
        ["timedelta64"],
    ),
    "objects: few strings": (lambda: objects([CITIES[i % 4] for i in range(N)]), ["category"]),
    "objects: few strings and None": (
        lambda: objects([[*CITIES, None][i % 5] for i in range(N)]),
        ["category"],
    ),
    "objects: None beside NaN": (
        lambda: objects([["a", None, float("nan")][i % 3] for i in range(N)]),
        [],
    ),
    "objects: many strings": (lambda: objects([f"a longer text {i}" for i in range(N)]), [TEXT]),
    "objects: bytes": (
        lambda: objects([b"some bytes %d" % i for i in range(N)]),
        ["binary[pyarrow]"],
    ),
    "objects: of two types": (lambda: objects([i if i % 2 else str(i) for i in range(N)]), []),
    "objects: True and 1": (lambda: objects([True if i % 2 else 1 for i in range(N)]), []),
    "str of few": (lambda: pd.Series([CITIES[i % 4] for i in range(N)], dtype="str"), ["category"]),
    # In pandas 2 these are objects.
    "str of many": (
        lambda: pd.Series([f"a longer text {i}" for i in range(N)], dtype="str"),
        [] if IS_THREE else [TEXT],
    ),
    "string in Python": (
        lambda: pd.array([f"a longer text {i}" for i in range(N)], dtype="string[python]"),
        ["string[pyarrow]"],
    ),
    "category of many": (
        lambda: pd.Categorical([f"{i}" for i in range(N)]),
        [TEXT],
    ),
    "category with unused ones": (
        lambda: pd.Categorical.from_codes(
            np.arange(N) % 3, [f"a longer text {i}" for i in range(5000)]
        ),
        ["category", TEXT],
    ),
    "category of few": (lambda: pd.Categorical([CITIES[i % 4] for i in range(N)]), []),
    "Arrow's int64": (lambda: pd.array(np.arange(N), dtype="int64[pyarrow]"), ["int16[pyarrow]"]),
    "Arrow's double": (
        lambda: pd.array(DRAW.random(N, dtype="f4").astype("f8"), dtype="double[pyarrow]"),
        ["float[pyarrow]"],
    ),
    "sparse with too little to leave out": (
        lambda: pd.arrays.SparseArray(np.arange(N) + 1, fill_value=0),
        ["int64"],
    ),
    "datetime64": (lambda: pd.date_range("2020", periods=N, freq="s"), []),
}


def own(report: memprofile.FrameReport) -> int:
    # Without the index: a comparison may have made it remember something.
    return sum(column.owned for column in report.columns if column.role == "column")


def paste(advice: Advice, df: Any) -> Any:
    names = {"df": df, "pd": pd, "pl": pl, "pa": pa}
    exec(advice.code, names)
    return names["df"]


def equal(before: pd.Series[Any], after: pd.Series[Any]) -> None:
    """The same values, and the same are missing; of strings and dates the same objects."""
    assert (before.isna().to_numpy() == after.isna().to_numpy()).all()
    there = ~before.isna().to_numpy()
    one, other = before[there].astype(object), after[there].astype(object)
    pd.testing.assert_series_equal(one, other, check_dtype=False, check_names=False)
    for a, b in zip(one, other, strict=True):
        # A datetime comes back as a Timestamp, which is one; a bool never comes back as 1.
        assert type(a) is type(b) or isinstance(b, type(a)) or not isinstance(a, bool | str)


@pytest.mark.parametrize("kind", PANDAS)
def test_each_advice_for_pandas_does_what_it_says(kind: str) -> None:
    make, wanted = PANDAS[kind]
    df = pd.DataFrame({"x": make(), "other": np.zeros(N)})
    report = memprofile.inspect_frame(df, name="df")
    column = report.columns[0]
    assert [advice.dtype for advice in column.advice] == wanted
    for advice in column.advice:
        assert column.owned == advice.before
        changed = paste(advice, df.copy())
        # Before a comparison: that may make pandas remember something.
        again = memprofile.inspect_frame(changed, advice=False)
        equal(df["x"], changed["x"])
        held = again.columns[0]
        # Categories may be the very strings of the original, which is still there.
        of_both = advice.after - held.owned
        assert of_both in (0, held.shared)
        assert own(report) - own(again) - of_both == advice.saved
        assert again.unused == 0


POLARS: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "Int64 that fits Int16": (lambda: pl.Series(range(N)), ["Int16"]),
    "UInt64 that fits nothing smaller": (lambda: pl.Series([2**63 + i for i in range(N)]), []),
    "Float64 of integers and null": (
        lambda: pl.Series([None, *range(N - 1)], dtype=pl.Float64),
        ["Int16", "Float32"],
    ),
    "Float64 of integers and one NaN": (
        lambda: pl.Series([float("nan"), *range(N - 1)], dtype=pl.Float64),
        ["Float32"],
    ),
    "Float64 of integers and −0.0": (
        lambda: pl.Series([-0.0, *range(1, N)], dtype=pl.Float64),
        ["Float32"],
    ),
    "Float64": (lambda: pl.Series(DRAW.random(N)), []),
    "String of few": (
        lambda: pl.Series([CITIES[i % 4] for i in range(N)]),
        ["Enum", "Categorical"],
    ),
    "String of few and null": (
        lambda: pl.Series([[*CITIES, None][i % 5] for i in range(N)]),
        ["Enum", "Categorical"],
    ),
    "String of many": (lambda: pl.Series([f"a longer text {i}" for i in range(N)]), []),
    "Boolean": (lambda: pl.Series([True, None] * (N // 2)), []),
    "List": (lambda: pl.Series([[1, 2]] * N), []),
}


@pytest.mark.parametrize("kind", POLARS)
def test_each_advice_for_polars_does_what_it_says(kind: str) -> None:
    make, wanted = POLARS[kind]
    df = pl.DataFrame({"x": make(), 'a "name"': [0.5] * N})
    column, _ = memprofile.inspect_frame(df, name="df").columns
    assert [advice.dtype for advice in column.advice] == wanted
    for advice in column.advice:
        assert column.owned == advice.before
        changed = paste(advice, df)
        assert changed["x"].dtype != df["x"].dtype
        assert changed["x"].cast(df["x"].dtype).equals(df["x"], null_equal=True)
        again = memprofile.inspect_frame(changed, advice=False)
        assert again.columns[0].owned == advice.after


ARROW: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "int64 that fits int16": (lambda: pa.array(range(N)), ["int16"]),
    "double of integers": (
        lambda: pa.array([None, *range(N - 1)], pa.float64()),
        ["int16", "float32"],
    ),
    "double of integers and one NaN": (
        lambda: pa.array([float("nan"), *range(N - 1)], pa.float64()),
        ["float32"],
    ),
    "double of integers and −0.0": (
        lambda: pa.array([-0.0, *range(N - 1)], pa.float64()),
        ["float32"],
    ),
    "double": (lambda: pa.array(DRAW.random(N)), []),
    "string of few": (
        lambda: pa.array([CITIES[i % 4] for i in range(N)]),
        ["dictionary of int8", "dictionary of int16", "dictionary"],
    ),
    "string of some hundreds": (
        lambda: pa.array([f"text {i % 300}" for i in range(N)]),
        ["dictionary of int16", "dictionary"],
    ),
    "string of many": (lambda: pa.array([f"a longer text {i}" for i in range(N)]), []),
}


@pytest.mark.parametrize("kind", ARROW)
def test_each_advice_for_pyarrow_does_what_it_says(kind: str) -> None:
    make, wanted = ARROW[kind]
    df = pa.table({"x": make(), "y": [0.1] * N})
    column, _ = memprofile.inspect_frame(df, name="df").columns
    assert [advice.dtype for advice in column.advice] == wanted
    for advice in column.advice:
        assert column.owned == advice.before
        changed = paste(advice, df)
        back = changed.column(0).cast(df.column(0).type)
        assert back.to_pylist() == df.column(0).to_pylist() or "NaN" in kind
        again = memprofile.inspect_frame(changed, advice=False)
        assert again.columns[0].owned == advice.after


def test_no_more_than_a_column_is_copied_at_a_time() -> None:
    # Pools keep some MB of pages for later, so that all copies together have to be many more.
    run("""
        import os
        os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
        import memprofile, pandas as pd, pyarrow as pa

        WIDE = {
            "objects": (lambda texts: pd.DataFrame(texts, dtype=object), 10_000_000),
            "pyarrow": (pa.table, 4_000_000),
        }

        def peak(make, width):
            df = make({
                str(i): [f"a text of column {i}, {row % 50}" for row in range(50_000)]
                for i in range(width)
            })
            found = memprofile.inspect_frame(df)  # what is made at its first use is there now
            assert all(column.advice for column in found.columns if column.role == "column")
            with memprofile.profile(exact=True) as profile:
                memprofile.inspect_frame(df)
            return profile.peak_footprint

        for kind, (make, pages) in WIDE.items():
            few, many = peak(make, 2), peak(make, 20)
            assert 500_000 < few and many < few + pages, (kind, few, many)
        print("fine")
    """)


def test_an_index_that_counts_needs_no_memory() -> None:
    df = pd.DataFrame({"x": np.ones(N)}, index=pd.Index(np.arange(5, 5 + 3 * N, 3), name="key"))
    (advice,) = memprofile.inspect_frame(df, name="df").columns[1].advice
    changed = paste(advice, df.copy())
    assert memprofile.inspect_frame(changed).columns[1].owned == advice.after == 0
    pd.testing.assert_frame_equal(changed, df, check_index_type=False)


def test_an_index_of_small_numbers() -> None:
    df = pd.DataFrame({"x": np.ones(N)}, index=DRAW.permutation(N))
    (advice,) = memprofile.inspect_frame(df, name="df").columns[1].advice
    changed = paste(advice, df.copy())
    assert memprofile.inspect_frame(changed).columns[1].owned == advice.after == 2 * N
    pd.testing.assert_frame_equal(changed, df, check_index_type=False)


def test_labels_that_cannot_be_written_are_numbered() -> None:
    df = pd.DataFrame(np.arange(2 * N).reshape(N, 2) % 100, columns=["x", "x"])
    report = memprofile.inspect_frame(df, name="df")
    assert "isetitem" in report.code
    names = {"df": df.copy()}
    exec(report.code, names)
    assert [str(dtype) for dtype in names["df"].dtypes] == ["int8", "int8"]
    pd.testing.assert_frame_equal(names["df"], df, check_dtype=False)


def test_aliases_are_the_program_s() -> None:
    from memprofile.frames.inspect import inspect

    df = pl.DataFrame({"x": range(N)})
    (column,) = inspect(df, {"polars": pl, "frame": df}).columns
    assert column.advice[0].code == 'frame = frame.with_columns(frame["x"].cast(polars.Int16))'


def test_a_category_that_loses_against_text_in_arrow_s_form_is_not_advised() -> None:
    df = pd.DataFrame({"x": objects([f"{i % (N // 3)}" for i in range(N)])})
    advised = memprofile.inspect_frame(df, name="df").columns[0].advice
    assert advised[0].after == min(a.after for a in advised)
    for advice in advised:
        held = memprofile.inspect_frame(paste(advice, df.copy())).columns[0]
        assert advice.after in (held.owned, held.owned + held.shared)


def random_column(draw: np.random.Generator, n: int) -> Any:
    """Any values in any type, with edges: empty, all missing, all equal, extremes."""
    kind = draw.integers(0, 9)
    span = int(draw.choice([1, 100, 127, 128, 255, 256, 32_767, 65_536, 2**31, 2**53]))
    numbers = draw.integers(-span if draw.random() < 0.5 else 0, span, n, endpoint=True)
    missing = draw.random(n) < draw.choice([0, 0.001, 0.3, 1])
    if kind == 0:
        return numbers
    if kind == 1:
        return np.where(missing, np.nan, numbers * 1.0)
    if kind == 2:
        return np.where(missing, np.nan, draw.random(n).astype("f4").astype("f8"))
    if kind == 3:
        return pd.arrays.IntegerArray(numbers, missing)
    of = [f"value {i}" for i in range(int(draw.choice([1, 5, 300, 5000])))]
    chosen = draw.integers(0, len(of), n)
    null = [None, float("nan")][int(draw.integers(0, 2))]
    if kind == 4:
        return objects([null if m else of[c] for c, m in zip(chosen, missing, strict=True)])
    if kind == 5:
        return objects([null if m else bool(c % 2) for c, m in zip(chosen, missing, strict=True)])
    if kind == 6:
        return objects([null if m else int(x) for x, m in zip(numbers, missing, strict=True)])
    if kind == 7:
        text = [None if m else of[c] for c, m in zip(chosen, missing, strict=True)]
        return pd.Series(text, dtype="str" if draw.random() < 0.5 else "string[python]")
    return pd.Categorical.from_codes(np.where(missing, -1, chosen), of)


@pytest.mark.parametrize("seed", range(30))
def test_all_advice_for_any_frame_at_once(seed: int) -> None:
    draw = np.random.default_rng(seed)
    n = int(draw.choice([0, 1, 5, 3000, 12_345]))
    width = int(draw.integers(1, 9))
    df = pd.DataFrame({f"c{i}": random_column(draw, n) for i in range(width)})
    if draw.random() < 0.3:
        df = df.iloc[n // 4 :]
    report = memprofile.inspect_frame(df, name="df")
    names = {"df": df.copy(deep=False), "pd": pd}
    exec(report.code, names)
    changed = names["df"]
    del names
    again = memprofile.inspect_frame(changed, advice=False)
    for name in df:
        equal(df[name], changed[name])
    for before, after in zip(report.columns, again.columns, strict=True):
        if before.advice:
            # Categories may be the very strings of the original, which is still there.
            assert sum(after.parts.values()) == before.advice[0].after, before
