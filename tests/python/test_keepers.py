"""What the notebook keeps by itself after a cell is said: ``Out[n]``, the last traceback."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

MIB = 1 << 20

FRAME = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
cells = json.loads(sys.argv[1])
for cell in ["%load_ext memprofile", *cells]:
    shell.run_cell(cell, store_history=True)
p = shell.user_ns["p"]
print(json.dumps([p.to_dict()["keepers"], p.to_html(), len(cells) + 1]))
"""


def keepers(*cells: str) -> tuple[dict[str, int], str, int]:
    """Who keeps how many bytes after the last of these cells, its report, and its number."""
    *before, last = map(textwrap.dedent, cells)
    told = json.dumps([*before, "%%memprofile -o p -q\n" + last])
    done = subprocess.run(
        [sys.executable, "-c", FRAME, told], capture_output=True, text=True, check=True, timeout=120
    )
    found: list[dict[str, Any]]
    found, html, number = json.loads(done.stdout.splitlines()[-1])
    return {keeper["name"]: keeper["bytes"] for keeper in found}, html, number


def test_a_result_that_has_no_name_is_kept_by_out() -> None:
    found, html, number = keepers("x = 1", "list(range(1000, 151_000))")
    who = f"Out[{number}]"
    assert list(found) == [who]
    # A list of pointers, and an int of 32 bytes (28 and what its block has more) for each.
    assert found[who] == pytest.approx(150_000 * (8 + 32), rel=0.05)
    assert f"is held by {who}" in html


def test_a_result_that_has_a_name_is_no_news() -> None:
    found, html, _ = keepers("data = bytearray(20_000_000)\ndata")
    assert sum(found.values()) == 0
    assert "is held by Out" not in html


@pytest.mark.parametrize("last", ["None", "bytearray(20_000_000);"])
def test_a_cell_without_a_result_has_no_keeper(last: str) -> None:
    assert keepers(last)[0] == {}


def test_the_variables_of_a_function_that_raised_are_kept_by_the_traceback() -> None:
    found, html, _ = keepers(
        """
        mine = bytearray(10_000_000)
        def fails(given):
            rows = bytearray(20_000_000)
            return given[0] / len(rows) / 0
        """,
        "fails(mine)",
    )
    assert list(found) == ["the last traceback"]
    assert found["the last traceback"] == pytest.approx(20_000_000, rel=0.05)
    assert "19.1 MiB is held by the last traceback" in html


def test_a_result_that_is_far_too_large_to_look_at_is_looked_at_in_part() -> None:
    found, _, number = keepers("[[n] for n in range(1_000_000)]")
    assert 4 * MIB < found[f"Out[{number}]"] < 80 * MIB
