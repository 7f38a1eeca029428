"""What else may be going on in the process while a cell is profiled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kernel_client import Kernel

TRACEMALLOC = {
    "before": ("import tracemalloc; tracemalloc.start()", "d = bytearray(10**7)"),
    "during": ("", "import tracemalloc\ntracemalloc.start()\nd = bytearray(10**7)"),
    "stopped inside": (
        "import tracemalloc; tracemalloc.start()",
        "d = bytearray(10**7)\ntracemalloc.stop()\ne = bytearray(10**7)",
    ),
}


@pytest.mark.parametrize("when", TRACEMALLOC)
def test_tracemalloc(fresh: Kernel, when: str) -> None:
    before, cell = TRACEMALLOC[when]
    fresh.run_ok("%load_ext memprofile")
    if before:
        fresh.run_ok(before)
    ran = fresh.run_ok(f"%%memprofile -o p\n{cell}")
    assert len(ran.reports) == 1
    assert int(fresh.value("p.peak_footprint")) >= 10**7
    fresh.run_ok("import tracemalloc; tracemalloc.start(); d = None; e = None; tracemalloc.stop()")
    assert len(fresh.run_ok("%%memprofile\n1").reports) == 1


def test_threads_that_allocate_while_recordings_start_and_stop(kernel: Kernel) -> None:
    kernel.run_ok(
        # Threads that give way more often meet more moments of a start and a stop.
        "import sys, threading\nsys.setswitchinterval(0.0002)\n"
        "stop = threading.Event()\ncounts = [0] * 4\n"
        "def churn(i):\n    while not stop.is_set():\n"
        "        counts[i] += len([bytes(n) for n in range(0, 4000, 50)])\n"
        "threads = [threading.Thread(target=churn, args=(i,)) for i in range(4)]\n"
        "for t in threads: t.start()"
    )
    try:
        for _ in range(20):
            assert len(kernel.run_ok("%%memprofile\nsum(counts)").reports) == 1
    finally:
        kernel.run_ok("stop.set()\nfor t in threads: t.join()\nsys.setswitchinterval(0.005)")
    assert kernel.value("any(t.is_alive() for t in threads) or not all(counts)") == "False"


def test_forks_inside_of_a_recording(kernel: Kernel) -> None:
    ran = kernel.run_ok(
        "%%memprofile -o p\nimport multiprocessing, os\n"
        "pool = multiprocessing.get_context('fork').Pool(2)\n"
        "got = pool.map(len, [bytes(n) for n in range(50)])\n"
        "pool.close(); pool.join()\nd = bytearray(20_000_000)\nsum(got)"
    )
    assert ran.value == str(sum(range(50)))
    assert len(ran.reports) == 1
    assert int(kernel.value("p.peak_footprint")) >= 20_000_000


def test_memory_error(kernel: Kernel) -> None:
    ran = kernel.run("%%memprofile\nsmall = 1\nhuge = bytearray(1 << 62)")
    assert ran.reply["ename"] == "MemoryError"
    assert len(ran.reports) == 1
    assert kernel.value("small") == "1"


MANY_CELLS = Path(__file__).with_name("many_cells.py")


def test_nothing_grows_in_ten_thousand_cells() -> None:
    done = subprocess.run(
        [sys.executable, str(MANY_CELLS), "10000"], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    grown = json.loads(done.stdout)
    bare, profiled = grown["bare"], grown["profiled"]
    # IPython keeps the text and the value of every cell; a profiled one's text has its %% line.
    assert profiled.pop("resident") < bare.pop("resident") + (4 << 20)
    assert profiled.pop("objects") < bare.pop("objects") + 100
    # The collector and the allocator map and unmap their pools as they like.
    assert profiled.pop("mappings") < bare.pop("mappings") + 20
    assert profiled == bare


def test_a_recording_that_is_lost_ends(kernel: Kernel) -> None:
    kernel.run_ok(
        "import gc, memprofile\nfrom memprofile import _native\nbefore = len(gc.callbacks)\n"
        "context = memprofile.profile()\np = context.__enter__()\n"
        "del context, p\nlost = _native.is_recording()"
    )
    assert kernel.value("lost") == "False"
    assert kernel.value("len(gc.callbacks) - before") == "0"
    assert len(kernel.run_ok("%%memprofile\n1").reports) == 1
