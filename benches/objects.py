"""What looking at objects costs, beside what others take for it, in one process: a row a question.

Each is asked in turn, in an order drawn anew, several times; the best time counts, since whatever
else runs only adds to it. Run by ``benches/run.py``.
"""

import gc
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import memprofile

ROOT = Path(__file__).parent.parent


class Question(NamedTuple):
    title: str
    make: Callable[[], Any]
    ask: dict[str, Callable[[Any], object]]
    times: int = 3


def nested() -> dict[int, dict[str, Any]]:
    """A million objects: dicts, lists, ints and floats."""
    return {i: {"a": list(range(1000 + i, 1008 + i)), "b": float(i)} for i in range(83_000)}


def records() -> list[Any]:
    """Two million objects, with what is there anyway."""
    return [{"id": i, "name": str(i), "pair": (i, str(i))} for i in range(380_000)]


def column() -> Any:
    import numpy
    import pandas

    words = numpy.array([f"category {i}" for i in range(12)], dtype=object)
    return pandas.Series(words[numpy.arange(5_000_000) % 12], dtype=object)


def asizeof(value: object) -> object:
    from pympler import asizeof

    return asizeof.asizeof(value)


def guppy(value: object) -> object:
    import guppy

    return guppy.hpy().iso(value).domisize


def muppy(_: object) -> object:
    from pympler import muppy, summary

    return summary.summarize(muppy.get_objects())


def guppy_heap(_: object) -> object:
    import guppy

    return guppy.hpy().heap().size


QUESTIONS = [
    Question(
        "deep size of nested dicts and lists, 1M objects",
        nested,
        {"memprofile": memprofile.sizeof, "Pympler": asizeof, "guppy3": guppy},
    ),
    Question(
        "what would be free without them",
        nested,
        {"memprofile": memprofile.retained, "guppy3": guppy},
    ),
    Question(
        "object column of 5M rows, 12 strings",
        column,
        {"memprofile": memprofile.sizeof, "pandas": lambda c: c.memory_usage(deep=True)},
    ),
    Question(
        "all objects by type, 2M objects",
        records,
        {"memprofile": lambda _: memprofile.heap().types, "Pympler": muppy, "guppy3": guppy_heap},
    ),
]


def seconds(ask: Callable[[Any], object], value: object) -> float:
    gc.collect()
    start = time.perf_counter()
    ask(value)
    return time.perf_counter() - start


def times_of(question: Question) -> dict[str, float]:
    value = question.make()
    tools = list(question.ask)
    best = dict.fromkeys(tools, float("inf"))
    for _ in range(question.times):
        random.shuffle(tools)
        for tool in tools:
            best[tool] = min(best[tool], seconds(question.ask[tool], value))
    return best


def notebook() -> float:
    """``%memvars`` in a notebook with numpy, pandas and a frame."""
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.display_pub = CapturingDisplayPublisher()
    shell.run_line_magic("load_ext", "memprofile")
    shell.run_cell("""
import numpy as np, pandas as pd
words = pd.Series([f"x{i}" for i in range(100_000)], dtype=object)
df = pd.DataFrame({"a": np.arange(100_000), "words": words})
view = df.head()
""").raise_error()
    shell.display_formatter.active_types = ["text/plain", "text/html"]
    return min(seconds(lambda _: shell.run_line_magic("memvars", ""), None) for _ in range(5))


def dominators() -> tuple[float, int]:
    """Seconds, and the bytes of all of it at the peak."""
    build = ["cargo", "build", "--quiet", "--release", "--locked", "--example", "dominators"]
    subprocess.run(build, cwd=ROOT, check=True)
    done = subprocess.run(
        [ROOT / "target/release/examples/dominators"], capture_output=True, text=True, check=True
    )
    took, peak = done.stdout.split()
    return float(took), int(peak)


def one(number: int) -> dict[str, float]:
    """A question in a process of its own; the one after the last is the notebook."""
    command = [sys.executable, __file__, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"question {number} failed:\n{done.stdout}{done.stderr}")
    times: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times


def table() -> list[list[str]]:
    """Rows of cells, the head first."""
    tools = ["memprofile", "Pympler", "guppy3", "pandas"]
    rows = [["question", *tools]]
    for number, question in enumerate(QUESTIONS):
        times = one(number)
        cells = [f"{times[tool]:.3f} s" if tool in times else "" for tool in tools]
        rows.append([question.title, *cells])
        print(" | ".join(rows[-1]), flush=True)
    times = one(len(QUESTIONS))
    rows.append(
        ["`%memvars` in a notebook with pandas", f"{times['memprofile']:.3f} s", "", "", ""]
    )
    took, peak = dominators()
    title = "dominators of 10M objects"
    rows.append([title, f"{took:.2f} s, {peak / 1e6:.0f} MB", "", "", ""])
    return rows


if __name__ == "__main__":
    chosen = int(sys.argv[1])
    if chosen == len(QUESTIONS):
        print(json.dumps({"memprofile": notebook()}))
    else:
        print(json.dumps(times_of(QUESTIONS[chosen])))
