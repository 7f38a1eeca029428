"""What a column of 5,000,000 cells takes, asked of memprofile and of pandas in turn; prints JSON.

Both answer in one process, one right after the other, in an order that is drawn for each pair.
"""

import json
import random
import statistics
import sys
import time

import memprofile
import numpy as np
import pandas as pd

ROWS = 5_000_000


def cells(different):
    words = np.array([f"a word {i}" for i in range(different)], dtype=object)
    return pd.Series(words[np.random.default_rng(0).integers(0, different, ROWS)], dtype=object)


KINDS = {
    "12 different strings": lambda: cells(12),
    "100,000 different strings": lambda: cells(100_000),
    "all strings different": lambda: pd.Series([f"a word {i}" for i in range(ROWS)], dtype=object),
}


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(pairs):
    order = random.Random(0)
    rows = []
    for kind, make in KINDS.items():
        frame = pd.DataFrame({"x": make()})
        calls = {
            "memprofile": lambda f=frame: memprofile.inspect_frame(f, advice=False),
            "pandas": lambda f=frame: f.memory_usage(deep=True),
        }
        taken = {name: [] for name in calls}
        for _ in range(pairs):
            for name in order.sample(sorted(calls), 2):
                taken[name].append(seconds(calls[name]))
        found = memprofile.inspect_frame(frame, advice=False)
        ratios = [a / b for a, b in zip(taken["memprofile"], taken["pandas"], strict=True)]
        rows.append(
            {
                "kind": kind,
                "seconds": statistics.median(taken["memprofile"]),
                "pandas_seconds": statistics.median(taken["pandas"]),
                "ratio": statistics.median(ratios),
                "bytes": found.owned + found.shared,
                "pandas_bytes": int(frame.memory_usage(deep=True).sum()),
            }
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main(int(sys.argv[1]))
