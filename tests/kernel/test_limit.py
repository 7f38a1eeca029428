"""A limit in the memprofile kernel: for every cell, and with a last step from outside."""

from __future__ import annotations

import re
from typing import Any

from supervised import Supervised

# Two calls that never come back to Python in between, of memory that no hook sees.
NATIVE = """import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def fill():
    libc.memset(ctypes.c_void_p(libc.malloc(ctypes.c_size_t(3 << 30))), 1, ctypes.c_size_t(3 << 30))
fill()"""

GROW = "rows = []\nfor _ in range(15_000):\n    rows.append(bytearray(100_000))"


def test_every_cell_is_limited_near_what_there_is(kernel: Supervised) -> None:
    kernel.run_ok("import memprofile")
    ran = kernel.run_ok("memprofile._native.limit_in_force()")
    assert re.fullmatch(r"\(\d+, '(machine|control group)'\)", ran.value or "")
    said = kernel.run_ok("%memlimit").stream("stdout")
    assert said.startswith("Every cell is stopped before the ")
    kernel.run_ok("%memlimit off")
    assert kernel.run_ok("memprofile._native.limit_in_force()").value is None
    kernel.run_ok("%memlimit default")


def test_growth_and_a_request_end_the_cell_and_keep_the_names(kernel: Supervised) -> None:
    kernel.run_ok("kept = 'name'")
    kernel.run_ok("%memlimit 500MB")
    for code in (GROW, "rows = bytes(900_000_000)", "%%memprofile -q\n" + GROW):
        ran = kernel.run(code)
        assert ran.reply["ename"] == "MemoryLimitExceeded", (code, ran.reply)
        kernel.run_ok("rows = None")
    assert kernel.value("kept") == "'name'"
    kernel.run_ok("%memlimit default")


def test_native_code_that_does_not_come_back_is_ended(fresh: Supervised) -> None:
    fresh.run_ok("%memlimit 300MB")
    ran = fresh.run(NATIVE)
    assert ran.reply["ename"] == "KernelDied"
    assert ran.reply["evalue"].startswith("Python was ended at its memory limit (SIGKILL)")
    report: dict[str, Any] = ran.reports[0]["data"]
    for text in (report["text/plain"], report["text/html"]):
        assert "beyond its limit of 286 MiB, set by %memlimit or --limit" in text
        assert "native code did not come back to Python in time" in text
        assert "All names are gone" in text
    assert "limit: 286 MiB" in report["text/plain"]
    held = re.search(r"It held ([\d.]+) (MiB|GiB), beyond", report["text/plain"])
    assert held is not None
    assert held[2] == "MiB" or float(held[1]) < 2.5, "long before it had all"
    assert fresh.run("1 + 1").value == "2"
    assert "Every cell is stopped before" in fresh.run_ok("%memlimit").stream("stdout")
