"""An interrupt, at any moment, restores everything and still gives the report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from kernel_client import Kernel, Message


def interrupt_at(kernel: Kernel, mark: str) -> object:
    def act(message: Message) -> None:
        kind, content = message
        if kind == "stream" and mark in content["text"]:
            kernel.interrupt()

    return act


@pytest.mark.parametrize(
    "cell",
    [
        "print('now', flush=True)\nwhile True: pass",
        "print('now', flush=True)\nimport time\ntime.sleep(1000)",
        "def f():\n    try:\n        print('now', flush=True)\n        while True: pass\n"
        "    finally:\n        global cleaned\n        cleaned = True\nf()",
    ],
    ids=["loop", "sleep", "finally"],
)
def test_an_interrupted_cell(kernel: Kernel, cell: str) -> None:
    kernel.run_ok("before = 1")
    ran = kernel.run("%%memprofile\n" + cell, on_message=interrupt_at(kernel, "now"))
    assert ran.status == "error"
    assert ran.reply["ename"] in ("KeyboardInterrupt", "CancelledError")
    kinds = ran.kinds
    assert kinds[kinds.index("error") - 1] == "report"
    assert kernel.value("before") == "1"
    assert kernel.value("'showtraceback' in get_ipython().__dict__") == "False"
    assert len(kernel.run_ok("%%memprofile\n1").reports) == 1


EVERY_LINE = Path(__file__).with_name("interrupt_every_line.py")


@pytest.mark.parametrize("cell", ["x = 1", "1/0", "await __import__('asyncio').sleep(0)"])
def test_an_interrupt_at_every_line_of_ours(cell: str) -> None:
    done = subprocess.run(
        [sys.executable, str(EVERY_LINE), cell], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    moments = int(done.stdout.splitlines()[-1].split()[0])
    assert moments > 30, "the tracer saw our lines"
