"""What a front end sees of a long cell, while native code holds the interpreter's lock."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from kernel_client import TIMEOUT
from supervised import Message, Supervised, kinds, state

DEFINE = """
import ctypes, os, sys
fd = os.open({path!r}, os.O_RDWR)
room = ctypes.create_string_buffer(1)
def hold():
    # A C function that is called with the lock held, and returns when the test has written.
    ctypes.PyDLL(None).read(fd, room, 1)
# Who has the lock is not asked for it: what the cell has sent waits in the child.
sys.setswitchinterval(1000)
"""


class Gate:
    """What a cell that holds the lock waits for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    def open(self) -> None:
        with self.path.open("w") as pipe:
            pipe.write("x")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


@pytest.fixture
def held(fresh: Supervised, gate: Gate) -> Iterator[Supervised]:
    """A kernel in which ``hold()`` keeps the lock until the gate is opened."""
    fresh.run_ok(DEFINE.format(path=str(gate.path)))
    yield fresh
    fresh.run("sys.setswitchinterval(0.005)")


def is_update(message: Message) -> bool:
    return bool(message["msg_type"] == "update_display_data")


def until_updated(kernel: Supervised, times: int = 3) -> list[Message]:
    return [m for _ in range(times) for m in kernel.published_until(is_update)]


def to_the_end(kernel: Supervised, request: str) -> list[Message]:
    """Up to ``idle``, and what comes before the next cell's ``busy``, which shall be nothing."""
    seen = kernel.published(until_idle=request)
    more = kernel.send("None")
    after = kernel.published(until_idle=more)
    assert kinds(after, request) == []
    return seen


def shown(message: Message) -> str:
    return str(message["content"]["data"]["text/plain"])


def display_id(message: Message) -> str:
    return str(message["content"]["transient"]["display_id"])


def without_updates(messages: list[Message], request: str) -> list[str]:
    return [kind for kind in kinds(messages, request) if kind != "update_display_data"]


def test_a_plot_is_updated_while_the_lock_is_held_and_becomes_the_report(
    held: Supervised, gate: Gate
) -> None:
    code = "%%memprofile --live\nkept = bytearray(b'x') * 50_000_000\nhold()\nprint('after')"
    request = held.send(code)
    seen = until_updated(held)
    gate.open()
    seen += to_the_end(held, request)
    assert without_updates(seen, request) == [
        "busy",
        "execute_input",
        "display_data",
        "stream",
        "idle",
    ]
    updates = [m for m in seen if is_update(m)]
    for update in updates[:3]:
        assert re.search(r"cell \[2\] after [\d.]+ s: 47\.", shown(update))
        assert "line 2: kept = bytearray(b'x') * 50_000_000" in shown(update)
        assert "line 3: hold()" in shown(update), "which runs, and allocates nothing"
        assert "data:image/svg+xml" in update["content"]["data"]["text/html"]
    assert "kept = bytearray(" in updates[-1]["content"]["data"]["text/html"]
    assert "image/png" in updates[-1]["content"]["data"]
    (opened,) = [m for m in seen if m["msg_type"] == "display_data"]
    assert {display_id(m) for m in updates} == {display_id(opened)}
    own = [m for m in seen if m["parent_header"].get("msg_id") == request]
    assert all(m["parent_header"] == own[0]["parent_header"] for m in own)
    assert len({m["header"]["msg_id"] for m in own}) == len(own)
    assert {m["content"]["execution_count"] for m in own if m["msg_type"] == "execute_input"} == {2}


def test_every_cell_can_be_shown_and_leaves_how_it_went(held: Supervised, gate: Gate) -> None:
    assert "longer than a second" in held.run_ok("%memprofile_live on").stream("stdout")
    request = held.send("kept = bytearray(b'x') * 50_000_000\nhold()\nkept = 1")
    seen = held.published_until(lambda m: m["msg_type"] == "display_data") + until_updated(held)
    gate.open()
    seen += to_the_end(held, request)
    assert without_updates(seen, request) == ["busy", "execute_input", "display_data", "idle"]
    updates = [m for m in seen if is_update(m)]
    assert all(re.search(r"cell \[3\] after [\d.]+ s: 47\.", shown(u)) for u in updates[:-1])
    assert "cell [3] ran for " in shown(updates[-1])
    assert "peak 47." in shown(updates[-1])
    assert "line 1: kept" in shown(updates[0])
    assert "line 2: hold()" in shown(updates[0])
    assert "line 1: kept" not in shown(updates[-1])
    # A profiled one has its report there, and a short one nothing at all.
    request = held.send("%%memprofile\nhold()")
    seen = until_updated(held)
    gate.open()
    seen += to_the_end(held, request)
    assert kinds(seen, request).count("display_data") == 1
    assert "image/png" in [m for m in seen if is_update(m)][-1]["content"]["data"]
    assert held.run_ok("print('short')").kinds == ["stream"]
    assert "not shown" in held.run_ok("%memprofile_live off").stream("stdout")
    assert "not shown" in held.run_ok("%memprofile_live").stream("stdout")
    assert held.run("import time; time.sleep(1.3)").messages == []
    assert held.run("%memprofile_live maybe").reply["ename"] == "UsageError"


def test_outputs_of_the_cell_keep_their_order(held: Supervised, gate: Gate) -> None:
    code = (
        "%%memprofile --live\n"
        "from IPython.display import display\n"
        "for n in range(3): print(n, flush=True); display(n)\n"
        "hold()\n"
        "for n in range(3, 6): print(n, flush=True); display(n)\n"
        "'value'"
    )
    request = held.send(code)
    seen = until_updated(held)
    gate.open()
    seen += to_the_end(held, request)
    own = [m["content"] for m in seen if m["msg_type"] in ("stream", "display_data")]
    texts = [c["text"].strip() if "text" in c else c["data"]["text/plain"] for c in own]
    # Where a stream is cut is chance.
    texts = [text for text in texts if text]
    assert texts[1:] == [str(n) for n in range(6) for _ in range(2)]
    assert re.match(r"cell \[2\] (has begun|after )", texts[0])
    assert kinds(seen, request)[-3:] in (
        ["update_display_data", "execute_result", "idle"],
        ["execute_result", "update_display_data", "idle"],
    )


@pytest.mark.parametrize("magic", ["%%memprofile --live\n", ""])
def test_an_interrupt_ends_it(held: Supervised, magic: str) -> None:
    held.run_ok("%memprofile_live on")
    request = held.send(magic + "hold()\nhold()")
    seen = until_updated(held)
    held.interrupt()
    seen += to_the_end(held, request)
    assert held.reply(request)["content"]["ename"] == "KeyboardInterrupt"
    assert kinds(seen, request).count("display_data") == 1
    last = [m for m in seen if is_update(m)][-1]
    assert ("Interrupted after" if magic else "ran for") in shown(last)


@pytest.mark.parametrize("magic", ["%%memprofile --live\n", ""])
def test_a_death_puts_its_report_in_that_place(held: Supervised, magic: str) -> None:
    held.run_ok("%memprofile_live on")
    request = held.send(magic + "kept = bytearray(b'x') * 50_000_000\nhold()")
    seen = until_updated(held)
    os.kill(held.child, signal.SIGKILL)
    seen += held.published_until(lambda m: state(m) == "starting")
    (opened,) = [m for m in seen if m["msg_type"] == "display_data"]
    last = [m for m in seen if is_update(m)][-1]
    assert display_id(last) == display_id(opened)
    assert "Python was killed from outside (SIGKILL)" in shown(last)
    assert re.search(r"line \d  hold\(\)", shown(last))
    assert kinds(seen, request)[-3:] == ["update_display_data", "error", "idle"]
    assert kinds(seen, request).count("execute_input") == 1
    assert held.reply(request)["content"]["execution_count"] == 3
    held.run_ok("import sys")


def test_a_shutdown_says_that_what_was_shown_does_not_go_on(gate: Gate) -> None:
    with Supervised() as kernel:
        kernel.run_ok(DEFINE.format(path=str(gate.path)))
        request = kernel.send("%%memprofile --live\nhold()")
        until_updated(kernel)
        os.kill(kernel.supervisor, signal.SIGTERM)
        seen = kernel.published_until(lambda m: is_update(m) and "cut short" in shown(m))
        assert seen[-1]["parent_header"]["msg_id"] == request
        assert "with its kernel: peak" in seen[-1]["content"]["data"]["text/html"]


def test_a_widget_that_takes_the_outputs_is_left_alone(held: Supervised, gate: Gate) -> None:
    pytest.importorskip("ipywidgets")
    held.run_ok("%memprofile_live on\nimport ipywidgets, time; out = ipywidgets.Output()")
    request = held.send("with out:\n    time.sleep(1.4)\nprint(flush=True)\nhold()")
    seen = until_updated(held)
    gate.open()
    seen += to_the_end(held, request)
    order = [m["content"].get("data", {}).get("state", {}).get("msg_id") for m in seen]
    opened = [m["msg_type"] for m in seen].index("display_data")
    assert request in order[:opened]
    assert "" in order[order.index(request) : opened]


def test_a_cell_that_clears_its_outputs_has_no_plot_from_there_on(
    held: Supervised, gate: Gate
) -> None:
    held.run_ok("%memprofile_live on\nfrom IPython.display import clear_output\nimport time")
    assert held.run_ok("clear_output(); time.sleep(1.4)").kinds == ["clear_output"]
    ran = held.run_ok("%%memprofile --live\nclear_output(); time.sleep(1.4); print('seen')")
    (update,) = [content for kind, content in ran.messages if kind == "update_display_data"]
    assert "below" in update["data"]["text/plain"]
    assert len(ran.reports) == 1


def test_a_saved_notebook_has_the_reports_alone() -> None:
    cells = ["%memprofile_live on", "import time; time.sleep(1.5)"]
    cells += ["%%memprofile\ntime.sleep(1.5)\nprint('seen')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = nbclient.NotebookClient(notebook, timeout=TIMEOUT, kernel_name="memprofile")
    client.execute()
    _, bare, profiled = (cell.outputs for cell in notebook.cells)
    assert [output.output_type for output in bare] == ["display_data"]
    assert "cell [2] ran for 1." in bare[0].data["text/plain"]
    assert [output.output_type for output in profiled] == ["display_data", "stream"]
    assert "image/png" in profiled[0].data


def test_the_supervisor_draws_in_place_of_the_childs_thread(held: Supervised, gate: Gate) -> None:
    """Two of them would each show what the other does not know."""
    held.run_ok("import threading")
    request = held.send(
        "%%memprofile --live\nhold()\nprint([t.name for t in threading.enumerate()])"
    )
    seen = until_updated(held)
    gate.open()
    seen += to_the_end(held, request)
    names: Any = "".join(m["content"]["text"] for m in seen if m["msg_type"] == "stream")
    assert "MainThread" in names
    assert "memprofile" not in names
