"""The cells that are measured: each takes one to two seconds bare."""

from typing import NamedTuple


class Cell(NamedTuple):
    title: str
    setup: str
    body: str


CELLS = {
    "calls": Cell(
        "call-heavy pure Python",
        "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)",
        "fib(36)",
    ),
    "churn": Cell(
        "allocation churn: object()",
        "",
        "for _ in range(20_000_000):\n    object()",
    ),
    "objects": Cell(
        "2M small objects",
        "",
        """
for _ in range(4):
    rows = None
    rows = [{"id": i, "name": str(i)} for i in range(2_000_000)]
""",
    ),
    "instances": Cell(
        "1M instances",
        """
class Point:
    def __init__(self, x, y, label):
        self.x = x
        self.y = y
        self.label = label
""",
        """
points = [Point(i, i * 0.5, "p") for i in range(1_000_000)]
total = sum(point.x + point.y for point in points)
points = [Point(point.y, point.x, point.label) for point in points]
""",
    ),
    "text": Cell(
        "50 MB of text",
        "text = 'the quick brown fox jumps over the lazy dog and is gone\\n' * 900_000",
        """
for _ in range(2):
    words = text.split()
    joined = " ".join(words)
    lines = [line.upper() for line in text.splitlines()]
    lengths = [str(len(line)) for line in lines]
""",
    ),
    "json": Cell(
        "json.loads of 60 MB",
        """
import json
document = json.dumps([
    {"id": i, "name": f"user {i}", "tags": ["a", "b", str(i)], "score": i / 7, "active": i % 2 == 0}
    for i in range(720_000)
])
""",
        "data = json.loads(document)",
    ),
    "numpy-small": Cell(
        "numpy temporaries of 1.6 kB",
        "import numpy as np\na, b, c = np.random.default_rng(0).random((3, 200))",
        "for _ in range(1_600_000):\n    d = a * b + c",
    ),
    "numpy-large": Cell(
        "numpy temporaries of 40 MB",
        "import numpy as np\na, b, c = np.random.default_rng(0).random((3, 5_000_000))",
        "for _ in range(60):\n    d = np.sqrt(a * b + c) - a",
    ),
    "pandas": Cell(
        "pandas groupby",
        """
import numpy as np
import pandas as pd
draw = np.random.default_rng(0)
frame = pd.DataFrame({
    "key": draw.choice([f"customer {n}" for n in range(1000)], 2_000_000),
    "group": draw.integers(0, 50, 2_000_000),
    "value": draw.random(2_000_000),
})
frame.head(1000).groupby("key").value.agg(["sum", "mean"])
""",
        """
for _ in range(9):
    by_key = frame.groupby("key").value.agg(["sum", "mean", "max"])
    by_both = frame.groupby(["key", "group"]).value.sum()
top = frame.assign(share=frame.value / frame.groupby("key").value.transform("sum"))
""",
    ),
    "polars": Cell(
        "polars group_by",
        """
import numpy as np
import polars as pl
draw = np.random.default_rng(0)
frame = pl.DataFrame({
    "key": draw.choice([f"customer {n}" for n in range(1000)], 4_000_000),
    "group": draw.integers(0, 50, 4_000_000),
    "value": draw.random(4_000_000),
})
frame.head(1000).lazy().group_by("key").agg(pl.col("value").sum()).collect()
""",
        """
for _ in range(10):
    out = (
        frame.lazy()
        .with_columns(twice=pl.col("value") * 2)
        .group_by("key", "group")
        .agg(pl.col("twice").sum(), pl.col("value").mean())
        .sort("twice")
        .collect()
    )
""",
    ),
    "forest": Cell(
        "sklearn forest",
        """
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
X, y = make_classification(n_samples=8_000, n_features=20, random_state=0)
RandomForestClassifier(n_estimators=2, random_state=0).fit(X[:100], y[:100])
""",
        "model = RandomForestClassifier(n_estimators=80, random_state=0).fit(X, y)",
    ),
    "cycles": Cell(
        "reference cycles",
        "class Node:\n    pass",
        """
for _ in range(4_000_000):
    left, right = Node(), Node()
    left.other, right.other = right, left
""",
    ),
}

TRUTH = Cell(
    "an array of 1,000,000,000 bytes",
    "import numpy as np",
    "array = np.ones(125_000_000)",
)
