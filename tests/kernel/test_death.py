"""What a front end sees when the child dies."""

from __future__ import annotations

import os
import re
import signal

import ipykernel
import pytest
from jupyter_client.manager import KernelManager
from kernel_client import TIMEOUT
from supervised import Supervised, children, held, kinds, lives, state, until

KILL = "import os, signal; print('last words', flush=True); os.kill(os.getpid(), signal.SIG{})"


def content(messages, kind):
    (found,) = [m["content"] for m in messages if m["msg_type"] == kind]
    return found


def test_the_cell_that_ran_fails_and_the_queued_ones_are_aborted_in_order(fresh):
    fresh.run_ok("name = 1")
    running = fresh.send("import os, time; print('begun', flush=True); time.sleep(60)")
    fresh.published_until(lambda m: m["msg_type"] == "stream")
    queued = [fresh.send(f"print({n})") for n in range(3)]
    os.kill(fresh.child, signal.SIGKILL)
    messages = fresh.published_until(lambda m: state(m) == "starting")
    assert kinds(messages, running) == ["display_data", "error", "idle"]
    for request in queued:
        assert kinds(messages, request) == ["busy", "idle"]
    order = [m["parent_header"].get("msg_id") for m in messages]
    assert order == sorted(order, key=[running, *queued, None].index)
    assert messages[-1]["parent_header"] == {}
    assert content(messages, "error")["ename"] == "KernelDied"
    reply = fresh.reply(running)["content"]
    assert (reply["status"], reply["ename"], reply["execution_count"]) == ("error", "KernelDied", 2)
    assert [fresh.reply(request)["content"]["status"] for request in queued] == ["aborted"] * 3
    # The same connection, another Python.
    ran = fresh.run("name")
    assert (ran.reply["ename"], ran.reply["execution_count"]) == ("NameError", 1)


def test_our_messages_are_the_cells_and_each_is_one_of_its_own(fresh):
    request = fresh.send(KILL.format("KILL"))
    messages = fresh.published_until(lambda m: state(m) == "starting")
    ours = [m for m in messages if m["header"]["username"] == "memprofile"]
    assert {"display_data", "error", "status"} <= {m["msg_type"] for m in ours}
    assert len({m["header"]["msg_id"] for m in messages}) == len(messages)
    # The whole header of the request, as a kernel gives it back.
    parents = [m["parent_header"] for m in messages if m["parent_header"]]
    assert all(parent == parents[0] for parent in parents)
    assert parents[0]["msg_id"] == request


def test_a_cell_that_the_child_never_spoke_of_fails_and_is_not_aborted(fresh):
    """nbclient takes an aborted cell for one that ran."""
    os.kill(fresh.child, signal.SIGSTOP)
    request, queued = fresh.send("never = 1"), fresh.send("later = 1")
    fresh.published_until(lambda m: state(m) == "busy")
    os.kill(fresh.child, signal.SIGKILL)
    messages = fresh.published_until(lambda m: state(m) == "starting")
    assert kinds(messages, request) == ["execute_input", "display_data", "error", "idle"]
    assert content(messages, "execute_input") == {"code": "never = 1", "execution_count": 1}
    assert fresh.reply(request)["content"]["status"] == "error"
    assert fresh.reply(queued)["content"]["status"] == "aborted"


def test_a_silent_cell_dies_silently(fresh):
    request = fresh.send(KILL.format("KILL"), silent=True)
    messages = fresh.published_until(lambda m: state(m) == "starting")
    assert not {"error", "display_data", "execute_input"} & set(kinds(messages, request))
    assert fresh.reply(request)["content"]["ename"] == "KernelDied"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (KILL.format("KILL"), "SIGKILL"),
        (KILL.format("SEGV"), "SIGSEGV"),
        ("import os; os.abort()", "SIGABRT"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import os; os._exit(0)", "exit code 0"),
    ],
    ids=["SIGKILL", "SIGSEGV", "abort", "exit 3", "exit 0"],
)
def test_the_error_says_how_it_ended(code, words):
    with Supervised() as kernel:
        ran = kernel.run(code)
        assert ran.reply["ename"] == "KernelDied"
        assert words in ran.reply["evalue"]
        assert kernel.run("1 + 1").value == "2"


def test_other_requests_are_answered_too(fresh):
    os.kill(fresh.child, signal.SIGSTOP)
    asked = fresh.client.complete("pri")
    debug = fresh.client.session.msg("debug_request", {"command": "debugInfo"})
    fresh.client.control_channel.send(debug)
    os.kill(fresh.child, signal.SIGKILL)
    assert fresh.reply(asked)["content"]["status"] == "aborted"
    assert fresh.client.get_control_msg(timeout=TIMEOUT)["content"]["status"] == "aborted"
    assert fresh.complete("prin")


@pytest.mark.skipif(ipykernel.version_info < (7,), reason="ipykernel 6 has no subshells")
def test_a_cell_in_a_subshell_fails_with_that_beside_it(fresh):
    subshell = fresh.control("create_subshell_request")["content"]["subshell_id"]
    begun = "import time; print('begun', flush=True); time.sleep(60)"
    main = fresh.send(begun)
    fresh.published_until(lambda m: m["msg_type"] == "stream")
    content = {"code": begun, "silent": False, "store_history": True, "user_expressions": {}}
    beside = fresh.client.session.msg("execute_request", content | {"allow_stdin": False})
    beside["header"]["subshell_id"] = subshell
    fresh.client.shell_channel.send(beside)
    fresh.published_until(lambda m: m["msg_type"] == "stream")
    os.kill(fresh.child, signal.SIGKILL)
    messages = fresh.published_until(lambda m: state(m) == "starting")
    for request in (main, beside["header"]["msg_id"]):
        assert kinds(messages, request) == ["display_data", "error", "idle"]
        assert fresh.reply(request)["content"]["ename"] == "KernelDied"


def test_a_death_while_no_cell_ran_is_told_by_the_next_cell(fresh):
    fresh.run_ok("name = 1")
    os.kill(fresh.child, signal.SIGKILL)
    fresh.published_until(lambda m: state(m) == "starting")
    # What a front end runs for itself is not the reader's.
    assert fresh.run("1", silent=True).messages == []
    first = fresh.run("print('first')")
    assert first.kinds == ["report", "stream"]
    assert "while no cell ran" in first.reports[0]["data"]["text/plain"]
    assert fresh.run("print('second')").kinds == ["stream"]


def test_the_report_of_a_crash_names_the_lines(fresh):
    fresh.run_ok("import ctypes\ndef helper():\n    return ctypes.string_at(1)")
    ran = fresh.run("held = bytearray(300_000_000)\n\nhelper()  # here")
    text, html = (ran.reports[0]["data"][kind] for kind in ("text/plain", "text/html"))
    for report in (text, html):
        assert "Python crashed in native code (SIGSEGV)" in report
        assert "line 3 of an earlier cell in helper" in report
        assert "helper()  # here" in report
        assert "All names are gone" in report
    assert "MiB when it was last seen" in text
    assert "at ctypes" in ran.reply["evalue"] or "at __init__.py" in ran.reply["evalue"]


def test_the_memory_of_the_last_seconds_is_in_the_report(fresh):
    code = (
        "import os, time; kept = []\n"
        "for _ in range(8): kept.append(b'x' * 40_000_000); time.sleep(0.06)\n"
        "os.kill(os.getpid(), 9)"
    )
    report = fresh.run(code).reports[0]["data"]
    assert "data:image/svg+xml" in report["text/html"]
    seen = re.search(r"Resident set: (\d+) MiB when it was last seen", report["text/plain"])
    assert seen is not None
    assert int(seen[1]) > 8 * 38


def test_a_client_that_knows_nothing_of_it_goes_on(fresh):
    """What asks for the kernel's state after a death gets an answer."""
    for _ in range(3):
        os.kill(fresh.child, signal.SIGKILL)
        fresh.published_until(lambda m: state(m) == "starting")
        fresh.client.kernel_info()
        fresh.client.get_shell_msg(timeout=TIMEOUT)
        assert fresh.run("1 + 1").value == "2"


def test_a_forked_child_that_keeps_the_sockets_open_does_not_hold_us_up(fresh):
    code = "import os, time\nif not (pid := os.fork()): time.sleep(60); os._exit(0)\nprint(pid)"
    pid = int(fresh.run(code).stream("stdout"))
    try:
        assert fresh.run(KILL.format("KILL")).reply["ename"] == "KernelDied"
        assert fresh.run("1 + 1").value == "2"
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_child_that_is_killed_while_it_starts_is_followed_by_another(fresh):
    fresh.run_ok("name = 1")
    gone = fresh.child
    os.kill(gone, signal.SIGKILL)
    (starting,) = until(lambda: [pid for pid in children(fresh.supervisor) if pid != gone])
    os.kill(starting, signal.SIGKILL)
    assert fresh.run("name").reply["ename"] == "NameError"
    assert lives(fresh.supervisor)


def test_what_is_asked_of_a_child_that_dies_while_it_starts_is_answered(fresh):
    fresh.run_ok("name = 1")
    gone = fresh.child
    os.kill(gone, signal.SIGKILL)
    (starting,) = until(lambda: [pid for pid in children(fresh.supervisor) if pid != gone])
    os.kill(starting, signal.SIGSTOP)
    fresh.client.session.send(
        fresh.client.control_channel.socket, "debug_request", {"command": "debugInfo"}
    )
    # Answered by the supervisor, after it has taken what came before.
    assert fresh.control("interrupt_request")["content"] == {"status": "ok"}
    os.kill(starting, signal.SIGKILL)
    assert fresh.client.get_control_msg(timeout=TIMEOUT)["content"]["status"] == "aborted"


@pytest.mark.parametrize("sent", ["SIGKILL", "SIGTERM"])
def test_the_first_child_that_is_ended_while_it_starts_ends_the_kernel(folder, sent):
    manager = KernelManager(kernel_name="memprofile")
    manager.start_kernel()
    supervisor = manager.provisioner.pid
    (child,) = until(lambda: children(supervisor))
    os.kill(child, getattr(signal, sent))
    assert manager.provisioner.process.wait(TIMEOUT) == 1
    manager.cleanup_resources()


def test_many_deaths_leave_nothing(fresh):
    """A thousand of them are in make conformance."""
    before = None
    for _ in range(4):
        assert fresh.run(KILL.format("KILL")).reply["ename"] == "KernelDied"
        fresh.run_ok("pass")
        now = held(fresh)
        assert before in (None, now)
        before = now


def test_a_child_that_dies_again_and_again_is_given_up(tmp_path):
    manager = KernelManager(kernel_name="memprofile")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=TIMEOUT)
    supervisor = manager.provisioner.pid
    gone: set[int] = set()
    for _ in range(3):
        (child,) = until(lambda: [pid for pid in children(supervisor) if pid not in gone])
        client.kernel_info()
        client.get_shell_msg(timeout=TIMEOUT)
        os.kill(child, signal.SIGKILL)
        gone.add(child)
    assert manager.provisioner.process.wait(TIMEOUT) == 1
    assert not lives(supervisor)
    client.stop_channels()
    manager.cleanup_resources()
