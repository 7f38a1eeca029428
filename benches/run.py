"""What memprofile costs, beside its peers: `make bench`, or `make bench BENCH="--pairs 3"`.

Each number is the user CPU time of a cell under a tool over that of the bare cell, both in a fresh
process, run next to each other in a random order, with memory in places that are drawn anew; the
median of such pairs, and how far the middle half of them spreads. It is taken from before the tool
starts to the last line of the cell; what comes then, its stop and the report, has a table of its
own.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import objects  # noqa: E402
from cells import CELLS, TRUTH  # noqa: E402
from copied import copied_library  # noqa: E402
from one import TOOLS  # noqa: E402

LABELS = {
    "memprofile": "memprofile",
    "memray": "memray",
    "memray-python": "memray, Python allocators",
    "tracemalloc": "tracemalloc(1)",
}
PACKAGES = (
    *("guppy3", "ipython", "memray", "numpy", "pandas", "polars", "pyarrow", "pympler"),
    "scikit-learn",
)
# One thread where a library would take all: the ratio must not depend on the scheduler.
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "",
}


def one(cell, tool, *options):
    """The answer of one run."""
    command = [sys.executable, HERE / "one.py", cell, tool, *options]
    with copied_library() as path:
        environment = ENVIRONMENT | path
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{cell} under {tool} failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(cells, tools, pairs):
    """The answers of every run: [cell][tool] is a list, one for each pair."""
    answers = {cell: {tool: [] for tool in ("bare", *tools)} for cell in cells}
    order = random.Random(0)
    start, total = time.monotonic(), pairs * len(cells)
    for number in range(pairs):
        for position, cell in enumerate(cells):
            runs = ["bare", *tools]
            order.shuffle(runs)
            for tool in runs:
                answers[cell][tool].append(one(cell, tool, *quiet(tool)))
            done = number * len(cells) + position + 1
            left = (time.monotonic() - start) / done * (total - done)
            now = "  ".join(f"{tool} {ratios(answers[cell], tool)[-1]:.3f}" for tool in tools)
            print(f"[{done}/{total}, {left / 60:.0f} min left] {cell}: {now}", flush=True)
    return answers


def quiet(tool):
    return ("-q",) if tool.startswith("memprofile") else ()


def ratios(answers, tool):
    return [a["user"] / b["user"] for a, b in zip(answers[tool], answers["bare"], strict=False)]


def spread(values):
    """Half the distance between the quartiles."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def overhead_table(answers, tools):
    rows = [["cell", "bare", *(LABELS.get(tool, tool) for tool in tools)]]
    medians = {tool: [] for tool in tools}
    for cell, runs in answers.items():
        row = [CELLS[cell].title, f"{statistics.median(r['user'] for r in runs['bare']):.2f} s"]
        for tool in tools:
            values = ratios(runs, tool)
            medians[tool].append(statistics.median(values))
            row.append(f"{medians[tool][-1]:.3f} ± {spread(values):.3f}")
        rows.append(row)
    means = (math.exp(statistics.fmean(map(math.log, medians[tool]))) for tool in tools)
    rows.append(["**geometric mean**", "", *(f"**{mean:.3f}**" for mean in means)])
    return rows


def own_cost_table(answers):
    rows = [["cell", "own memory", "report after the cell", "output"]]
    for cell, runs in answers.items():
        shown = one(cell, "memprofile")
        own = statistics.median(
            a["high_water"] - b["high_water"]
            for a, b in zip(runs["memprofile"], runs["bare"], strict=True)
        )
        output = sum(shown["output"].values())
        rows.append(
            [
                CELLS[cell].title,
                f"{own / 2**20:.1f} MiB",
                f"{shown['after'] * 1000:.0f} ms",
                f"{output / 1000:.0f} kB",
            ]
        )
    return rows


LIVE_CELLS = ("calls", "objects", "numpy-large")


def live_table(pairs):
    """What `--live` adds: the same cell without it is what it is held against."""
    rows = [["cell", "without", "with `--live`"]]
    order = random.Random(0)
    medians = []
    for cell in LIVE_CELLS:
        runs = {"memprofile": [], "memprofile --live": []}
        for _ in range(pairs):
            tools = list(runs)
            order.shuffle(tools)
            for tool in tools:
                runs[tool].append(one(cell, tool, *quiet(tool))["user"])
        plain, live = runs.values()
        values = [with_it / without for with_it, without in zip(live, plain, strict=True)]
        medians.append(statistics.median(values))
        said = f"{medians[-1]:.3f} ± {spread(values):.3f}"
        rows.append([CELLS[cell].title, f"{statistics.median(plain):.2f} s", said])
    mean = math.exp(statistics.fmean(map(math.log, medians)))
    return [*rows, ["**geometric mean**", "", f"**{mean:.3f}**"]]


def report_table():
    command = [sys.executable, HERE / "report.py"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode:
        sys.exit(f"the reports failed:\n{done.stdout}{done.stderr}")
    rows = [["cell", "stacks", "lines", "output", "its size", "page", "its size"]]
    for row in json.loads(done.stdout.splitlines()[-1]):
        cells = [row["title"], f"{row['stacks']:,}", f"{row['lines']:,}"]
        for form in ("output", "page"):
            cells += [f"{row[form] * 1000:.0f} ms", f"{row[form + '_bytes'] / 1000:.0f} kB"]
        rows.append(cells)
    return rows


def load_table(answers):
    loads = [run for runs in answers.values() for run in runs["memprofile"]]
    cpu = statistics.median(run["load_cpu"] for run in loads)
    rss = statistics.median(run["load_rss"] for run in loads)
    return [
        ["`%load_ext memprofile`", "median"],
        ["CPU", f"{cpu * 1000:.0f} ms"],
        ["resident memory", f"{rss / 2**20:.1f} MiB"],
    ]


def truth_table():
    run = one("truth", "memprofile")
    kernel = run["high_water_absolute"]
    return [
        [TRUTH.title, "memprofile", "truth", "off by"],
        [
            "`peak_footprint`",
            f"{run['peak_footprint']:,}",
            "1,000,000,000",
            f"{run['peak_footprint'] / 1e9 - 1:+.2%}",
        ],
        [
            "`peak_rss`",
            f"{run['peak_rss']:,}",
            f"{kernel:,} (`VmHWM`)",
            f"{run['peak_rss'] / kernel - 1:+.2%}",
        ],
    ]


def frames_table(pairs):
    command = [sys.executable, HERE / "frames.py", str(pairs)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode:
        sys.exit(f"the frames failed:\n{done.stdout}{done.stderr}")
    rows = [["5,000,000 objects", "`inspect_frame`", "`memory_usage(deep=True)`", "time ratio"]]
    for run in json.loads(done.stdout):

        def said(size, seconds):
            return f"{size / 2**20:.1f} MiB in {seconds:.3f} s"

        mine = said(run["bytes"], run["seconds"])
        theirs = said(run["pandas_bytes"], run["pandas_seconds"])
        rows.append([run["kind"], mine, theirs, f"{run['ratio']:.3f}"])
    return rows


def markdown(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [" | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)


def machine(pairs):
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB; Linux {platform.release()}, "
        f"{' '.join(platform.libc_ver())}; CPython {platform.python_version()}, {versions}. "
        f"{pairs} interleaved pair{'s' * (pairs != 1)}, each run in a fresh process."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="how often each is run (%(default)s)")
    parser.add_argument("--cells", default=",".join(CELLS), help="of: %(default)s")
    parser.add_argument("--tools", default=",".join(LABELS), help="of: %(default)s")
    parser.add_argument("--objects", action="store_true", help="of the looks at objects alone")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    cells, tools = options.cells.split(","), options.tools.split(",")
    for given, known in ((cells, CELLS), (tools, TOOLS)):
        if unknown := set(given) - set(known):
            parser.error(f"{', '.join(unknown)} is none of {', '.join(known)}")

    if options.objects:
        print("\n" + markdown(objects.table()) + "\n\n" + machine(options.pairs))
        return
    answers = measure(cells, tools, options.pairs)
    parts = [
        "## Overhead",
        "User CPU time of the cell, with the start of the tool, over that of the bare cell: the\n"
        "median, and half the distance between the quartiles.",
        markdown(overhead_table(answers, tools)),
    ]
    if "memprofile" in tools:
        parts += [
            "What memprofile takes for itself: the high-water mark of the process above that of\n"
            "the bare run, the wall time from the end of the cell to the report, and its size.",
            markdown(own_cost_table(answers)),
            markdown(load_table(answers)),
            "User CPU time of a cell with its live display over that of the same cell without it.",
            markdown(live_table(options.pairs)),
            "## Reports",
            "The time to make what a notebook gets, and the page of `--save report.html`.",
            markdown(report_table()),
            "## Truth",
            markdown(truth_table()),
            "## Looks at objects",
            "The best of three, all tools in one process in an order drawn anew; dominators with\n"
            "the memory of the graph and the answer at its peak.",
            markdown(objects.table()),
        ]
    parts += [
        "## Frames",
        "The bytes of an object column and the time to find them, without advice; pandas counts\n"
        "a string once for each cell.",
        markdown(frames_table(options.pairs)),
    ]
    parts.append(machine(options.pairs))
    text = "\n\n".join(parts) + "\n"
    print("\n" + text)
    options.output.write_text(text, encoding="utf-8")
    print(f"Written to {options.output}")


if __name__ == "__main__":
    main()
