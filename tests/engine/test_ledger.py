"""The growth of the resident set is explained, part by part."""

import json
import subprocess
import sys

import pytest

MIB = 1 << 20

SETUP = """
import json, memprofile
def told(balance):
    return {name: getattr(balance, name) for name in dir(balance) if name[0] != "_"}
"""

# Each in a process of its own: what malloc keeps of one cell would serve the next.
CELLS = {
    "objects": 'kept = [{"id": i, "name": str(i)} for i in range(300_000)]',
    "blocks": "kept = [bytes(700 + i % 300) for i in range(150_000)]",
    "large": "kept = [bytes(50_000_000) + b'1' for _ in range(3)]",
    "old": "old[:] = 1",
    "old goes": "old[0][:40_000_000] = 2; old.clear(); rest = numpy.ones(25_000_000)",
    "library": "import decimal, email.mime.text, xml.dom.minidom, unittest.mock, asyncio",
    # What is free between blocks when the footprint is largest.
    "gaps": "some = [bytes(700 + i % 300) for i in range(150_000)]; kept = some[::20]; del some\n"
    "    large = [bytes(200_000_000) + b'1']",
    "freed": "some = [bytes(700 + i % 300) for i in range(150_000)]; kept = some[::20]; del some",
    # The same in threads, each of which malloc serves from an arena of its own.
    "threads": "kept = in_threads(grown)",
    "threads' gaps": "kept = in_threads(thinned)",
    "threads' gaps go": "kept = in_threads(thinned); kept.clear()",
    "threads' blocks go": "kept = in_threads(grown); kept.clear()",
}

IN_THREADS = """
import threading
def grown(ready):
    blocks = [bytearray() for _ in range(200)]
    for _ in range(60):
        for block in blocks:
            block.extend(bytes(1000))
    return blocks
def thinned(ready):
    blocks = [bytearray(700 + i % 300) for i in range(10_000)]
    for block in blocks:
        block.extend(block)
    blocks = blocks[::20]
    ready.wait()
    return blocks, [None] * 2_500_000
def in_threads(work):
    kept, ready = [], threading.Barrier(8)
    def run():
        ready.wait()
        kept.append(work(ready))
    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return kept
"""

BEFORE = {
    **{cell: IN_THREADS for cell in CELLS if cell.startswith("threads")},
    "old": "import numpy; old = numpy.empty(25_000_000)\n",
    "old goes": "import numpy; old = [numpy.empty(50_000_000)]; old[0][:20_000_000] = 1\n",
}


def balances(cell):
    program = (
        SETUP
        + BEFORE.get(cell, "")
        + f"with memprofile.profile() as p:\n    {CELLS[cell]}\n"
        + "print(json.dumps([told(p.ledger.peak), told(p.ledger.end)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("cell", CELLS)
def test_the_parts_explain_the_growth(cell):
    for balance in balances(cell):
        resident = balance.pop("resident")
        assert sum(balance.values()) == resident
        assert abs(balance["rest"]) <= max(0.01 * resident, 2 * MIB), balance


def test_what_malloc_keeps_is_told_from_what_is_held():
    peak, end = balances("freed")
    assert peak["blocks"] > 100 * MIB
    assert end["blocks"] < 0.1 * peak["blocks"]
    # Every twentieth block keeps its page; the others stay with malloc.
    assert end["malloc_free"] > 0.8 * peak["blocks"]


def test_what_malloc_keeps_at_the_peak_is_told():
    peak, _ = balances("gaps")
    assert peak["blocks"] == pytest.approx(200_000_000, rel=0.05)
    # The blocks that were freed, and could not be given back.
    assert 100 * MIB < peak["malloc_free"] < 150 * MIB


def test_objects_are_told_from_blocks():
    _, objects = balances("objects")
    _, blocks = balances("blocks")
    assert objects["objects"] > 10 * objects["blocks"]
    assert blocks["blocks"] > 10 * blocks["objects"]


def test_old_memory_that_is_written_to_has_a_row():
    for balance in balances("old"):
        assert balance["earlier"] == pytest.approx(200_000_000, rel=0.05)
        assert balance["blocks"] < 2 * MIB


SHARED = """
import io, memprofile, json
import numpy as np, pandas as pd, polars as pl, pyarrow as pa
draw = np.random.default_rng(1)
cities = draw.choice(["Amsterdam", "Barcelona", "Ljubljana"], 400_000)
text = pd.DataFrame({"city": cities, "price": draw.random(400_000)}).to_csv(index=False).encode()
words = ["a hundred letters or so " * 4] * 400_000

def told(balance):
    return {name: getattr(balance, name) for name in dir(balance) if name[0] != "_"}

def pandas():
    sales = pd.read_csv(io.BytesIO(text))
    return sales, sales.groupby("city").price.sum().sort_values()

def polars():
    sales = pl.read_csv(text)
    return sales, sales.group_by("city").agg(pl.col("price").sum()).sort("price")

def arrow():
    strings = pa.array(words)
    del strings
    return pa.array(words[:100_000])

found = []
for _ in range(2):
    with memprofile.profile() as p:
        kept = CELL()
    found += [[told(p.ledger.peak), told(p.ledger.end)]]
    del kept
print(json.dumps(found))
"""


@pytest.mark.parametrize("cell", ["pandas", "polars", "arrow"])
def test_libraries_explain_their_growth_the_first_time_and_again(cell):
    """Again, what allocators had kept serves, unless they gave it back meanwhile."""
    done = subprocess.run(
        [sys.executable, "-c", SHARED.replace("CELL", cell)],
        capture_output=True,
        text=True,
        check=True,
    )
    first, again = json.loads(done.stdout.splitlines()[-1])
    for peak, end in (first, again):
        for balance in (peak, end):
            assert (
                sum(value for name, value in balance.items() if name != "resident")
                == (balance["resident"])
            )
        assert abs(end["rest"]) <= max(0.01 * abs(end["resident"]), 2 * MIB), end
        # Which moment was the peak is known to a reading, one each 10 ms.
        assert abs(peak["rest"]) <= max(0.05 * abs(peak["resident"]), 4 * MIB), peak
    if cell == "arrow":
        _, end = first
        assert end["pools"] == pytest.approx(100_000 * 100, rel=0.1)
        # How much it has given back by then is a matter of time.
        assert end["pools_free"] > 4 * MIB
        assert again[0]["resident"] < first[0]["resident"] + 4 * MIB


def test_what_malloc_keeps_is_no_excuse_where_old_blocks_go():
    for balance in balances("old goes"):
        assert abs(balance["malloc_free"]) < 8 * MIB


SCIKIT_LEARN = (
    SETUP
    + """
import numpy as np
draw = np.random.default_rng(1)
x, y = draw.random((20_000, 20)), draw.integers(0, 3, 20_000)

def rollup():
    # Kilobytes of this process by their names.
    with open("/proc/self/smaps_rollup") as lines:
        found = [line.split() for line in lines]
    return {name: 1024 * int(size) for name, size, *_ in found if name in ("Rss:", "Anonymous:")}

with memprofile.profile() as p:
    before = rollup()
    from sklearn.cluster import KMeans
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.preprocessing import StandardScaler
    kept = [
        RandomForestClassifier(40, n_jobs=4, random_state=1).fit(x, y),
        KMeans(8, n_init=4, random_state=1).fit(x),
        StandardScaler().fit_transform(x),
    ]
    after = rollup()
print(json.dumps([told(p.ledger.end), {name: after[name] - before[name] for name in after}]))
"""
)


def test_scikit_learn_is_explained_as_the_kernel_has_it():
    """Forests grow in threads, which leave free memory in arenas of their own; k-means has OpenMP's."""
    pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, "-c", SCIKIT_LEARN], capture_output=True, text=True, check=True
    )
    end, grown = json.loads(done.stdout.splitlines()[-1])
    near = max(0.01 * grown["Rss:"], 2 * MIB)
    assert grown["Rss:"] > 100 * MIB
    assert abs(end["rest"]) <= near, end
    assert end["resident"] == pytest.approx(grown["Rss:"], abs=near)
    assert end["files"] == pytest.approx(grown["Rss:"] - grown["Anonymous:"], abs=near)
    # scikit-learn and scipy load two hundred libraries, and these relocate their data.
    assert end["libraries"] > 4 * MIB
    anonymous = sum(end[name] for name in end if name not in ("resident", "files", "rest"))
    assert anonymous == pytest.approx(grown["Anonymous:"], abs=near), end
