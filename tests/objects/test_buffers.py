"""Memory that only a library knows counts once, with the objects that hold it."""

from programs import run
from shells import in_a_shell


def test_arrow_counts_by_its_buffers_each_once():
    run("""
        import memprofile, numpy, pyarrow as pa
        size = memprofile.sizeof
        values = numpy.arange(500_000)
        MB = 1_000_000
        array = pa.array(list(range(500_000)))
        def about(value, wanted):
            assert abs(size(value) - wanted) < 0.05 * MB, (size(value), wanted)
        about(array, 4 * MB)
        table = pa.table({"a": array, "again": array, "half": array.slice(0)})
        about(table, 4 * MB)
        about([array, table, array.slice(1000), array.buffers()], 4 * MB)
        text = pa.array(["x" * 20] * 100_000)
        about(text, 2.4 * MB)
        about(pa.chunked_array([text, text]), 2.4 * MB)
        # What Arrow took over from numpy is numpy's: once, whoever comes first.
        taken = pa.array(values)
        assert taken.buffers()[1].address == values.ctypes.data
        about([values, taken], 4 * MB)
        about([taken, values], 4 * MB)
        about(taken, 4 * MB)
        about(taken.to_numpy(zero_copy_only=True), 4 * MB)
        tree = size({"t": table, "v": bytearray(MB)}, detail=2)
        assert abs(tree.size - 5 * MB) < 0.05 * MB, str(tree)
        assert "buffer" in str(size(table, detail=1)), str(size(table, detail=1))
        shared = [table, bytearray(MB)]
        held = memprofile.retained(shared)
        assert abs(held - MB) < 0.05 * MB, held
        del table, array
        assert abs(memprofile.retained(shared) - 5 * MB) < 0.05 * MB
        # Pages of a file are no memory of the object's.
        import pathlib, tempfile
        path = pathlib.Path(tempfile.mkdtemp(), "f.arrow")
        with pa.OSFile(str(path), "wb") as f, pa.ipc.new_file(f, shared[0].schema) as out:
            out.write_table(shared[0])
        with pa.memory_map(str(path)) as f:
            mapped = pa.ipc.open_file(f).read_all()
        assert size(mapped) < 0.01 * MB, size(mapped)
        print("fine")
    """)


def test_pandas_and_polars_count_by_what_they_keep():
    run("""
        import gc, memprofile, pandas as pd, polars as pl
        size = memprofile.sizeof
        MB = 1_000_000
        words = [f"{n:020d}" for n in range(100_000)]
        series = pd.Series(words, dtype="string[pyarrow]")
        assert abs(size(series) - 2.8 * MB) < 0.45 * MB, size(series)
        twice = [series, series.iloc[:10], pd.DataFrame({"s": series})]
        assert abs(size(twice) - size(series)) < 0.05 * MB
        numbers = pl.Series("n", range(500_000))
        assert abs(size(numbers) - 4 * MB) < 0.05 * MB, size(numbers)
        frame = pl.DataFrame({"n": numbers, "m": numbers})
        assert abs(size([frame, numbers, frame]) - 4 * MB) < 0.05 * MB
        assert size(pl.DataFrame()) < 10_000 and size(pl.Series([object()])) < 10_000
        assert size(frame.lazy()) < 10_000
        print("fine")
    """)


def test_names_share_and_grow_by_buffers():
    in_a_shell("""
        cell("import pyarrow as pa, pandas as pd")
        cell("%%memprofile -o p\\nnew = pa.array(range(1_000_000)); also = pa.table({'x': new})")
        p = shell.user_ns["p"]
        grown = {c.name: round(c.grown_bytes / 8e6, 2) for c in p.names}
        assert grown["new"] == 1 and grown.get("also", 0) < 0.01, grown
        text = cell("%memvars")
        new, also = row(text, "new "), row(text, "also ")
        assert abs(sizes(new)[1] - 8e6) < 1e5 and abs(sizes(also)[1] - 8e6) < 1e5, text
        assert "also" in new and sizes(new)[-1] < 1000 and sizes(also)[-1] < 1000, text
        cell("del also")
        assert abs(sizes(row(cell("%memvars"), "new "))[-1] - 8e6) < 1e5
        cell("%%memprofile -o p\\nnew = None")
        (change,) = [c for c in shell.user_ns["p"].names if c.name == "new"]
        assert abs(change.grown_bytes + 8e6) < 1e5, change
    """)


def test_the_ways_to_an_object_and_the_heap_have_buffers():
    in_a_shell("""
        cell("import pyarrow as pa, polars as pl")
        cell("%memheap --mark")
        cell("table = pa.table({'x': list(range(1_000_000))})")
        cell("frame = pl.DataFrame({'x': range(500_000)})")
        for name, wanted in (("table", "7.63 MiB"), ("frame", "3.8")):
            text = " ".join(cell(f"%memwhy {name}").split())
            assert f"own, {wanted}" in text and "free once it is gone" in text, text
        since = cell("%memheap --since --top 100")
        for kind, wanted in (("pyarrow.buffer", 8e6), ("polars.buffer", 4e6)):
            new = row(since, kind)
            assert new.split()[1] == "1" and abs(sizes(new)[0] - wanted) < 1e5, since
        import memprofile
        heap = memprofile.heap()
        rows = {row.name: row for row in heap.types}
        assert 8e6 <= rows["pyarrow.buffer"].bytes < 9e6, rows["pyarrow.buffer"]
        for rows in (heap.types, heap.modules, heap.sizes, heap.referrers):
            assert sum(row.bytes for row in rows) == heap.bytes
        assert any(row.name == "polars" and row.bytes > 4e6 for row in heap.modules)
        assert "polars.buffer" not in cell("del frame\\n%memheap --since --top 100")
    """)


def test_the_row_of_other_names_adds_up():
    in_a_shell("""
        cell("; ".join(f"n{i} = [bytearray({i} * 100_000)]" for i in range(1, 9)))
        def sums(text):
            rows = [line for line in text.splitlines() if line[:1] == "n" and line[1:2].isdigit()]
            rows += [line for line in text.splitlines() if " more " in line[:8]]
            return [sum(sizes(line)[at] for line in rows) for at in (0, -1)], len(rows)
        whole, count = sums(cell("%memvars --top 20"))
        part, fewer = sums(cell("%memvars --top 3"))
        assert (count, fewer) == (8, 4)
        assert all(abs(a - b) < 0.01 * b for a, b in zip(part, whole)), (part, whole)
    """)


def test_a_map_counts_where_it_is_no_file():
    run("""
        import memprofile, mmap, tempfile
        anonymous = mmap.mmap(-1, 1 << 20)
        assert (1 << 20) <= memprofile.sizeof(anonymous) < (1 << 20) + 500
        with tempfile.TemporaryFile() as file:
            file.truncate(1 << 20)
            mapped = mmap.mmap(file.fileno(), 0)
            assert memprofile.sizeof(mapped) < 500
        assert memprofile.sizeof(memoryview(anonymous)) >= 1 << 20
        print("fine")
    """)
