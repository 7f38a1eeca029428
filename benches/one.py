"""Runs one cell in one fresh IPython under one tool and prints what it took, as JSON.

In-process IPython, not a kernel behind sockets: `run_cell` is what ipykernel calls too, and a
kernel's own threads would add their CPU time to the cell's, bare or not.
"""

import json
import os
import random
import resource
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import IPython
from cells import CELLS, TRUTH
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

# Runs as the last line of the cell: what comes after it is the report's, with a figure of its own.
MARK = """
_bench_end, _bench_after = _bench_time(), _bench_cpu()
_bench_high_water = _bench_status("VmHWM")
"""


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime, usage.ru_stime


def status(field):
    """A size of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


@contextmanager
def memray(**options):
    import memray

    with tempfile.TemporaryDirectory() as folder, memray.Tracker(Path(folder, "out"), **options):
        yield


@contextmanager
def tracemalloc():
    import tracemalloc

    tracemalloc.start(1)
    try:
        yield
    finally:
        tracemalloc.stop()


@contextmanager
def nothing():
    yield


TOOLS = {
    "bare": nothing,
    "memprofile": nothing,
    "memprofile --live": nothing,
    "memray": memray,
    # What %%memray_flamegraph --trace-python-allocators asks for.
    "memray-python": lambda: memray(trace_python_allocators=True),
    "tracemalloc": tracemalloc,
}


def scatter():
    """Draws where later blocks will lie, and returns what must be kept for that.

    Whether the arrays of a numpy loop begin with a cache line is 5% of its time. Without this, the
    one place that a bare cell always gets would be compared with the one that a tool's always gets.
    """
    draw = random.SystemRandom()
    blocks = [bytearray(16 * draw.randrange(33, 400)) for _ in range(2000)]
    return [block for block in blocks if draw.random() < 0.5]


def run(shell, code):
    result = shell.run_cell(code)
    result.raise_error()


def main(name, tool, options):
    shell = InteractiveShell.instance()
    # Stands where the notebook would be, and keeps what is shown.
    shell.display_pub = CapturingDisplayPublisher()
    shell.displayhook.write_output_prompt = lambda: None
    shell.displayhook.write_format_data = lambda *_: None
    shell.user_ns.update(_bench_time=time.perf_counter, _bench_cpu=cpu, _bench_status=status)
    answer = {"ipython": IPython.__version__}
    cell = TRUTH if name == "truth" else CELLS[name]
    kept = scatter()
    if cell.setup:
        run(shell, cell.setup)
    code = cell.body.strip("\n") + "\n" + MARK
    ours = tool.startswith("memprofile")
    if ours:
        before, rss = sum(cpu()), status("VmRSS")
        run(shell, "%load_ext memprofile")
        answer["load_cpu"], answer["load_rss"] = sum(cpu()) - before, status("VmRSS") - rss
        live = "--live" if tool.endswith("--live") else ""
        code = f"%%memprofile -o _bench_profile {live} {options}\n{code}"
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        answer["high_water_not_reset"] = True
    rss = status("VmRSS")
    with_tool = TOOLS[tool]
    start, user = time.perf_counter(), cpu()
    with with_tool():
        run(shell, code)
    end, after = time.perf_counter(), shell.user_ns["_bench_after"]
    answer |= {
        "user": after[0] - user[0],
        "system": after[1] - user[1],
        "wall": end - start,
        "after": end - shell.user_ns["_bench_end"],
        "high_water": shell.user_ns["_bench_high_water"] - rss,
        "high_water_absolute": shell.user_ns["_bench_high_water"],
        "output": {
            kind: len(body)
            for output in shell.display_pub.outputs
            for kind, body in output["data"].items()
        },
    }
    if ours:
        profile = shell.user_ns["_bench_profile"]
        answer |= {
            field: getattr(profile, field) for field in ("peak_footprint", "peak_rss", "exact")
        }
    del kept
    # No teardown: the operating system frees a gigabyte of small objects faster than Python does.
    print(json.dumps(answer), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], " ".join(sys.argv[3:]))
