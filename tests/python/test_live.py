"""``%%memprofile --live``: what a front end gets while a cell runs, and what stays of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from kernel_client import Kernel, Message, Ran
from nbclient import NotebookClient

# Runs until the test, which sees every update, has made the file.
UNTIL = """import os, time
blocks = [bytearray(b"x") * 50_000_000]
while not os.path.exists({flag!r}):
    {wait}
"""


def updates(ran: Ran) -> list[dict[str, Any]]:
    return [content["data"] for kind, content in ran.messages if kind == "update_display_data"]


def after(count: int, then: Callable[[], object]) -> Callable[[Message], None]:
    """Calls ``then`` at the update of that number."""
    seen = 0

    def look(message: Message) -> None:
        nonlocal seen
        if message[0] == "update_display_data":
            seen += 1
            if seen == count:
                then()

    return look


@pytest.mark.parametrize("wait", ["time.sleep(0.01)", "sum(range(1000))"])
def test_a_display_is_updated_in_place_and_becomes_the_report(
    kernel: Kernel, tmp_path: Any, wait: str
) -> None:
    flag = tmp_path / "go on"
    cell = "%%memprofile --live\nprint('before')\n" + UNTIL.format(flag=str(flag), wait=wait)
    # What an earlier cell of this kernel holds would be given back by this one.
    ran = kernel.run(cell + "print('after')\ndel blocks\n7", on_message=after(4, flag.touch))
    assert ran.status == "ok"
    assert ran.value == "7"
    shown = updates(ran)
    assert len(shown) >= 5
    for data in shown[1:4]:
        assert " s: 47." in data["text/plain"]
        assert " s: 47." in data["text/html"]
        assert "line 6: " in data["text/plain"] or "line 5: " in data["text/plain"]
    assert "image/png" in shown[-1]
    assert "] after " not in shown[-1]["text/plain"]
    # One display, before the cell's own outputs, whose order is theirs.
    assert [kind for kind, _ in ran.messages if kind == "display_data"] == ["display_data"]
    assert ran.messages[0][0] == "display_data"
    kinds = [kind for kind, _ in ran.messages if kind != "update_display_data"]
    assert [kind for kind in kinds if kind != "stream"] == ["display_data", "execute_result"]
    assert ran.stream("stdout") == "before\nafter\n"
    assert threads(kernel) == []


def threads(kernel: Kernel) -> list[str]:
    names = "[t.name for t in __import__('threading').enumerate() if 'memprofile' in t.name]"
    return list(eval(kernel.value(names)))


def test_a_short_cell_has_its_report(kernel: Kernel) -> None:
    ran = kernel.run_ok("%%memprofile --live\nx = bytearray(5_000_000)")
    assert "x = bytearray(5_000_000)" in updates(ran)[-1]["text/html"]
    assert threads(kernel) == []


def test_quietly_a_line_stays(kernel: Kernel) -> None:
    ran = kernel.run_ok("%%memprofile --live -q -o usage\nx = bytearray(5_000_000)")
    assert list(updates(ran)[-1]) == ["text/plain"]
    assert re.search(r"peak 4\.(7|8)\d MiB", updates(ran)[-1]["text/plain"])
    assert kernel.value("usage.peak_footprint > 5_000_000") == "True"


def test_every_profiled_cell_can_be_shown(kernel: Kernel) -> None:
    try:
        said = kernel.run_ok("%memprofile_live on").stream("stdout")
        assert "Every %%memprofile cell" in said
        assert "can neither show other cells" in said
        assert "image/png" in updates(kernel.run_ok("%%memprofile\nx = bytearray(5_000_000)"))[-1]
        assert kernel.run_ok("x = bytearray(5_000_000)").messages == []
    finally:
        kernel.run_ok("%memprofile_live off")
    assert updates(kernel.run_ok("%%memprofile\nx = bytearray(5_000_000)")) == []
    assert "not shown" in kernel.run_ok("%memprofile_live").stream("stdout")
    assert kernel.run("%memprofile_live perhaps").reply["ename"] == "UsageError"


def test_an_error_and_an_interrupt_end_it(kernel: Kernel, tmp_path: Any) -> None:
    ran = kernel.run("%%memprofile --live\nx = bytearray(5_000_000)\n1 / 0")
    assert ran.reply["ename"] == "ZeroDivisionError"
    assert "ZeroDivisionError" in updates(ran)[-1]["text/plain"]
    cell = "%%memprofile --live\n" + UNTIL.format(flag=str(tmp_path / "no"), wait="time.sleep(9)")
    ran = kernel.run(cell, on_message=after(2, kernel.interrupt))
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert "Interrupted after" in updates(ran)[-1]["text/plain"]
    assert threads(kernel) == []


def test_it_is_updated_while_the_cell_awaits(kernel: Kernel, tmp_path: Any) -> None:
    flag = tmp_path / "go on"
    cell = "%%memprofile --live\nimport asyncio\n" + UNTIL.format(
        flag=str(flag), wait="await asyncio.sleep(0.01)"
    )
    ran = kernel.run(cell, on_message=after(3, flag.touch))
    assert ran.status == "ok"
    assert len(updates(ran)) >= 4


def test_a_cell_that_clears_its_outputs_has_the_report_below(kernel: Kernel) -> None:
    ran = kernel.run_ok(
        "%%memprofile --live\n"
        "from IPython.display import clear_output\n"
        "x = bytearray(5_000_000)\nclear_output()\nprint('shown')"
    )
    kinds = [kind for kind, _ in ran.messages if kind != "update_display_data"]
    assert kinds == ["display_data", "clear_output", "stream", "display_data"]
    assert "below" in updates(ran)[-1]["text/plain"]
    assert len(ran.reports) == 1
    again = kernel.run_ok("from IPython import get_ipython\nget_ipython().display_pub.__dict__")
    assert "clear_output" not in str(again.value)


def test_a_fork_in_the_cell_does_not_warn_of_it_and_it_goes_on(
    kernel: Kernel, tmp_path: Any
) -> None:
    flag = tmp_path / "go on"
    cell = (
        "%%memprofile --live\n"
        "import os, threading\n"
        "names = []\n"
        "os.register_at_fork(after_in_parent=lambda: names.extend(\n"
        "    t.name for t in threading.enumerate() if 'memprofile' in t.name))\n"
        "for _ in range(3):\n"
        "    if (pid := os.fork()) == 0:\n"
        "        os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
    ) + UNTIL.format(flag=str(flag), wait="time.sleep(0.01)")
    ran = kernel.run(cell, on_message=after(3, flag.touch))
    assert ran.status == "ok"
    assert len(updates(ran)) >= 4
    assert kernel.value("names") == "[]"
    assert threads(kernel) == []


def test_a_saved_notebook_has_the_report_and_no_display_that_waits() -> None:
    cells = ["%load_ext memprofile", "%%memprofile --live\nimport time\ntime.sleep(0.6)\nprint(1)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = notebook.cells[1].outputs
    assert [output.output_type for output in outputs] == ["display_data", "stream"]
    assert "] after " not in outputs[0].data["text/plain"]
    assert "image/png" in outputs[0].data


def test_widgets_of_the_cell_keep_their_outputs(kernel: Kernel) -> None:
    pytest.importorskip("ipywidgets")
    ran = kernel.run_ok(
        "%%memprofile --live\n"
        "import ipywidgets, time\n"
        "out = ipywidgets.Output()\n"
        "with out:\n"
        "    print('inside')\n"
        "    time.sleep(0.6)\n"
    )
    assert ran.stream("stdout") == "inside\n"
    assert "] after " not in updates(ran)[-1]["text/plain"]


def test_in_a_terminal_there_is_the_report_alone(kernel: Kernel) -> None:
    ran = kernel.run_ok(
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        "import subprocess, sys\n"
        "code = '''from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        'shell.display_formatter.active_types = ["text/plain"]\n'
        'shell.run_line_magic("load_ext", "memprofile")\n'
        "shell.run_cell(\"%%memprofile --live\\\\nimport time\\\\ntime.sleep(0.6)\")'''\n"
        "print(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout)"
    )
    assert "] after " not in ran.stream("stdout")
    assert "peak" in ran.stream("stdout")
