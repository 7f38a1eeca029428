"""``%memframe`` in a real kernel."""

from __future__ import annotations

import pytest
from kernel_client import Kernel

FRAME = """
import numpy as np, pandas as pd
df = pd.DataFrame({"x": np.arange(100_000), "y": np.random.default_rng(0).random(100_000)})
half = df.iloc[:50_000]
"""


@pytest.fixture(scope="module")
def frames() -> object:
    with Kernel() as kernel:
        kernel.run_ok("%load_ext memprofile")
        kernel.run_ok(FRAME)
        yield kernel


def test_it_shows_the_frame_wherever_it_stands(frames: Kernel) -> None:
    ran = frames.run_ok("%memframe df\n1 + 1")
    (shown,) = [content for kind, content in ran.messages if kind == "display_data"]
    data = shown["data"]
    assert "df holds" in data["text/plain"]
    assert 'df["x"] = df["x"].astype("int32")' in data["text/plain"]
    assert data["text/html"].startswith('<div class="memprofile"')
    assert data["image/png"]
    assert "image/svg+xml" not in data
    assert shown["metadata"]["image/png"]["alt"].startswith("df holds")
    assert sum(len(form) for form in data.values()) < 100_000


def test_a_view_names_what_it_is_of(frames: Kernel) -> None:
    frames.run_ok("%memframe -o report half")
    assert frames.value("[c.holders for c in report.columns[:2]]") == "[['df'], ['df']]"
    assert frames.value("report.owned") == "0"


def test_an_expression_is_inspected(frames: Kernel) -> None:
    frames.run_ok('%memframe -o report df["x"]')
    shown = frames.value("(report.name, report.columns[0].holders)")
    assert shown == repr(('df["x"]', ["df"]))
    frames.run_ok("%memframe --no-advice -o report df.head()")
    assert frames.value("(report.name, report.code)") == "('df', '')"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "it needs a frame to look at"),
        ("salez", "name 'salez' is not defined"),
        ("df[", "is no expression"),
        ("df['z']", "KeyError"),
        ("df = 3", "is no expression"),
        ("[1, 2]", "this is of type list"),
        ("-x df", "unknown option '-x'"),
        ("-o 3 df", "-o needs a variable name"),
    ],
)
def test_a_mistake_gets_one_sentence_with_an_example(frames: Kernel, line: str, words: str) -> None:
    ran = frames.run(f"%memframe {line}")
    said = "".join(content.get("text", "") for _, content in ran.messages)
    said += " ".join(ran.reply.get("traceback", []))
    assert words in said
    assert "for example: " in said
    assert "Traceback" not in said


def test_the_magic_goes_with_the_extension(frames: Kernel) -> None:
    frames.run_ok("%unload_ext memprofile")
    assert frames.value('"memframe" in get_ipython().magics_manager.magics["line"]') == "False"
    frames.run_ok("%load_ext memprofile")
    frames.run_ok("%memframe df")
