"""The same magic in other front ends: a terminal, nbclient, VS Code's naming of cells."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pexpect
import pytest
from kernel_client import Kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

CELL = "%%memprofile -o p\ndata = bytearray(30_000_000)\nlen(data)"


@pytest.fixture
def terminal(tmp_path: Path) -> pexpect.spawn:
    env = {**os.environ, "IPYTHONDIR": str(tmp_path), "TERM": "dumb", "NO_COLOR": ""}
    child = pexpect.spawn(
        sys.executable,
        ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor"],
        env=env,
        encoding="utf-8",
        timeout=60,
        dimensions=(50, 200),
    )
    child.expect_exact("In [1]: ")
    yield child
    child.close(force=True)


def test_a_terminal(terminal: pexpect.spawn) -> None:
    terminal.sendline("%load_ext memprofile")
    terminal.expect_exact("In [2]: ")
    for line in CELL.splitlines():
        terminal.sendline(line)
    terminal.sendline("")
    terminal.sendline("")
    terminal.expect_exact("Out[2]: 30000000")
    # Or an arena of small objects more, where the one before is just full.
    terminal.expect(r"Peak 2[89]\.6 MiB")
    terminal.expect_exact("data = bytearray(30_000_000)")
    terminal.expect_exact("In [3]: ")
    assert "\x1b[" not in terminal.before, "--colors=nocolor"
    assert "<div" not in terminal.before
    terminal.sendline("p.lines[0].filename")
    terminal.expect_exact("<ipython-input-2-")
    terminal.expect_exact("In [4]: ")
    terminal.sendline("%memprofile 6 * 7")
    terminal.expect_exact("Out[4]: 42")
    terminal.expect_exact("In [5]: ")
    terminal.sendline("exit")
    terminal.expect(pexpect.EOF)


def test_a_terminal_in_colour(tmp_path: Path) -> None:
    env = {**os.environ, "IPYTHONDIR": str(tmp_path), "TERM": "xterm-256color"}
    code = (
        "get_ipython().run_cell('%load_ext memprofile');"
        "get_ipython().run_cell('%%memprofile\\nd = bytearray(10**7)')"
    )
    child = pexpect.spawn(
        sys.executable, ["-m", "IPython", "-c", code], env=env, encoding="utf-8", timeout=60
    )
    child.expect(pexpect.EOF)
    assert "\x1b[" in child.before
    plain = subprocess.run(
        [sys.executable, "-m", "IPython", "-c", code], env=env, capture_output=True, text=True
    )
    assert re.search(r"Peak (9|10)\.5", plain.stdout), plain.stdout
    # IPython 7 names the window there all the same.
    assert not re.search(r"\x1b\[[0-9;]*m", plain.stdout), "no colour into a pipe"


def test_an_interrupt_in_a_terminal(terminal: pexpect.spawn) -> None:
    terminal.sendline("%load_ext memprofile")
    terminal.expect_exact("In [2]: ")
    for line in ("%%memprofile", "print('no' + 'w', flush=True)", "while True: pass", "", ""):
        terminal.sendline(line)
    terminal.expect_exact("now")
    terminal.sendintr()
    terminal.expect("resident peak")
    terminal.expect_exact("KeyboardInterrupt")
    terminal.expect_exact("In [3]: ")
    terminal.sendline("'showtraceback' in get_ipython().__dict__")
    terminal.expect_exact("Out[3]: False")


def notebook(*cells: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])


def test_nbclient(tmp_path: Path) -> None:
    document = notebook("%load_ext memprofile", CELL)
    NotebookClient(document, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = document.cells[1].outputs
    kinds = [output.output_type for output in outputs]
    assert kinds == ["execute_result", "display_data"]
    data = outputs[1].data
    assert set(data) == {"text/html", "image/png", "text/plain"}
    assert sum(map(len, data.values())) <= 180_000
    assert outputs[1].metadata["vscode_altText"]
    nbformat.validate(document)


def test_nbclient_stops_at_a_failing_cell(tmp_path: Path) -> None:
    document = notebook("%load_ext memprofile", "%%memprofile\n1/0", "never = 1")
    client = NotebookClient(document, timeout=60, resources={"metadata": {"path": str(tmp_path)}})
    with pytest.raises(CellExecutionError):
        client.execute()
    kinds = [output.output_type for output in document.cells[1].outputs]
    assert kinds == ["display_data", "error"]
    assert document.cells[2].outputs == []


def test_the_cell_name_of_the_environment(tmp_path: Path) -> None:
    name = str(tmp_path / "window.py")
    with Kernel(IPYKERNEL_CELL_NAME=name) as kernel:
        kernel.run_ok("%load_ext memprofile")
        assert len(kernel.run_ok(CELL).reports) == 1
        assert kernel.value("p.lines[0].filename") == repr(name)
        assert kernel.value("p.lines[0].source") == "'data = bytearray(30_000_000)'"
        assert kernel.value("p.title") == "'cell [2]'"


def test_the_kernels_own_name(kernel: Kernel) -> None:
    kernel.run_ok(CELL)
    assert "/ipykernel_" in kernel.value("p.lines[0].filename")
    assert kernel.value("p.title").startswith("'cell [")


@pytest.mark.parametrize("leave", ["exit()", "quit()"])
def test_leaving_from_a_profiled_cell(fresh: Kernel, leave: str) -> None:
    fresh.run_ok("%load_ext memprofile")
    ran = fresh.run("%%memprofile\nx = 1\n" + leave)
    assert ran.status == "ok"
    assert len(ran.reports) == 1
    assert ran.reply["payload"] == [{"source": "ask_exit", "keepkernel": False}]


def test_silent_and_unstored_cells(kernel: Kernel) -> None:
    count = kernel.value("get_ipython().execution_count")
    assert len(kernel.run("%%memprofile\n1", store_history=False).reports) == 1
    assert kernel.run("%%memprofile -q\n1", silent=True).status == "ok"
    assert kernel.value("get_ipython().execution_count") == count
