"""What passes through the supervisor, and what it adds: each way in which that can go wrong."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import ipykernel
import pytest
import zmq
from jupyter_client.manager import KernelManager
from kernel_client import TIMEOUT, Kernel
from supervised import Supervised, children, kinds, left, lives, state, until

# A C function that is called with the interpreter's lock held, for a minute.
LOCKED = "import ctypes; print('begun', flush=True); ctypes.PyDLL(None).sleep(60)"


def connection(kernel: Supervised) -> dict:
    return json.loads(Path(kernel.manager.connection_file).read_text())


@pytest.fixture
def connect() -> Iterator[Callable[[dict, int, str], zmq.Socket]]:
    """Connects a socket of a type to a port of a connection."""
    context = zmq.Context()
    sockets = []

    def connect(info: dict, kind: int, port: str) -> zmq.Socket:
        sockets.append(socket := context.socket(kind))
        if kind == zmq.SUB:
            socket.subscribe(b"")
        socket.connect(f"tcp://{info['ip']}:{info[port]}")
        socket.rcvtimeo = int(TIMEOUT * 1000)
        return socket

    yield connect
    for socket in sockets:
        socket.close(linger=0)
    context.term()


def frames(kernel: Supervised, kind: str, content: dict, key: str | None = None) -> list[bytes]:
    """A message as the protocol has it, written by hand."""
    header = {"msg_id": os.urandom(8).hex(), "msg_type": kind, "session": "by-hand"}
    header |= {"username": "", "date": "2026-01-01T00:00:00.000000Z", "version": "5.4"}
    parts = [json.dumps(part).encode() for part in (header, {}, {}, content)]
    signature = hmac.new((key or connection(kernel)["key"]).encode(), digestmod=hashlib.sha256)
    for part in parts:
        signature.update(part)
    return [b"<IDS|MSG>", signature.hexdigest().encode(), *parts]


@contextlib.contextmanager
def silent(kernel: Supervised) -> Iterator[None]:
    """The child says nothing meanwhile, as when native code holds the interpreter at once."""
    os.kill(kernel.child, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kernel.child, signal.SIGCONT)


def test_of_a_child_that_says_nothing_we_say_that_it_is_busy(kernel):
    with silent(kernel):
        request = kernel.send("print('back')")
        first = kernel.published_until(lambda m: state(m) == "busy")[-1]
    rest = kernel.published(until_idle=request)
    assert first["parent_header"]["msg_id"] == request
    # What the child said of it later was not passed on.
    assert kinds(rest, request) == ["execute_input", "stream", "idle"]
    assert first["header"]["session"] != rest[0]["header"]["session"]
    assert kernel.reply(request)["content"]["status"] == "ok"


def test_a_cell_that_does_not_lock_says_itself_that_it_is_busy(kernel):
    request = kernel.send("import time; time.sleep(0.5)")
    messages = kernel.published(until_idle=request)
    assert kinds(messages, request) == ["busy", "execute_input", "idle"]
    assert len({m["header"]["session"] for m in messages}) == 1


def test_input_finds_its_way(kernel):
    assert kernel.run("print(input('name? '))", answer="Ada").stream("stdout") == "Ada\n"


def test_identities_may_be_any_number_and_come_back(kernel, connect):
    shell = connect(connection(kernel), zmq.DEALER, "shell_port")
    for identities in ([], [b"one"], [b"one", b"two", b""]):
        shell.send_multipart([*identities, *frames(kernel, "kernel_info_request", {})])
        reply = shell.recv_multipart()
        assert reply[: len(identities)] == identities
        assert reply[len(identities)] == b"<IDS|MSG>"


def test_each_subscription_is_welcomed_by_the_supervisor_alone(kernel, connect):
    for _ in range(3):
        socket = connect(connection(kernel), zmq.SUB, "iopub_port")
        first = socket.recv_multipart()
        assert json.loads(first[2])["msg_type"] == "iopub_welcome"
        assert json.loads(first[5]) == {"subscription": ""}
        assert socket.poll(200) == 0


def test_what_was_subscribed_stays_whole_for_everybody(kernel, connect):
    others = [connect(connection(kernel), zmq.SUB, "iopub_port") for _ in range(3)]
    for socket in others:
        socket.recv_multipart()
    request = kernel.send("print('for all')")
    kernel.published(until_idle=request)
    for socket in others:
        text = b""
        while b"for all" not in text:
            text = b"".join(socket.recv_multipart())


def test_what_was_not_signed_with_the_key_is_not_answered(fresh, connect):
    shell = connect(connection(fresh), zmq.DEALER, "shell_port")
    shell.send_multipart(frames(fresh, "kernel_info_request", {}, key="guessed"))
    shell.send_multipart([b"neither", b"is", b"this"])
    shell.send_multipart([b"<IDS|MSG>", b"", b"{}"])
    shell.send_multipart(frames(fresh, "kernel_info_request", {}))
    # One answer, that to the last one.
    assert json.loads(shell.recv_multipart()[2])["msg_type"] == "kernel_info_reply"
    assert shell.poll(200) == 0
    assert fresh.run("1 + 1").value == "2"


TEAR = """
import threading, zmq
whole, sent = zmq.Socket.send, []
def send(socket, part, flags=0, **options):
    if flags & zmq.SNDMORE and threading.current_thread() is threading.main_thread():
        if len(sent) == {kept}:
            zmq.Socket.send = whole
            raise KeyboardInterrupt
        sent.append(part)
    return whole(socket, part, flags, **options)
zmq.Socket.send = send
"""


@pytest.mark.parametrize("kept", [0, 1, 3, 6])
def test_a_reply_that_an_interrupt_tears_is_given_and_takes_none_along(kernel, kept):
    """An interrupt between two frames of a stock kernel's reply: they are in the next one then."""
    torn = kernel.client.execute(TEAR.format(kept=kept))
    kernel.published(until_idle=torn)
    following = kernel.client.execute("1 + 1")
    replies = {}
    while following not in replies:
        reply = kernel.client.get_shell_msg(timeout=TIMEOUT)
        replies[reply["parent_header"]["msg_id"]] = reply["content"]
    assert replies[torn]["status"] == "error"
    assert replies[torn]["ename"] == "KeyboardInterrupt"
    assert replies[following]["status"] == "ok"
    assert kernel.run("2 + 2").value == "4"


def test_the_log_counts_what_was_dropped_and_has_no_key(tmp_path, connect):
    manager = KernelManager(kernel_name="memprofile")
    with (tmp_path / "log").open("wb") as log:
        manager.start_kernel(stdout=log, stderr=log)
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=TIMEOUT)
        info = json.loads(Path(manager.connection_file).read_text())
        shell = connect(info, zmq.DEALER, "shell_port")
        for _ in range(3):
            shell.send_multipart([b"<IDS|MSG>", b"00", b"{}", b"{}", b"{}", b"{}"])
        # What comes after them on the same socket is answered after them.
        client.kernel_info()
        client.get_shell_msg(timeout=TIMEOUT)
        client.stop_channels()
        manager.shutdown_kernel()
    text = (tmp_path / "log").read_text()
    assert "dropped a message that was not signed with this kernel's key" in text
    assert "dropped 3 messages in all" in text
    assert info["key"] not in text


def test_only_the_given_interface_is_bound(kernel):
    listening = []
    own = set()
    for pid in (kernel.supervisor, kernel.child):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            own.add(os.readlink(link).removeprefix("socket:[").removesuffix("]"))
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in own:
                listening.append(fields[1].split(":"))
    ports = {v for k, v in connection(kernel).items() if k.endswith("_port")}
    assert {int(port, 16) for _, port in listening} >= ports
    assert {address for address, _ in listening} == {"0100007F"}


def test_private_files_are_for_their_owner_alone(folder):
    with Supervised() as kernel:
        (own,) = left(folder)
        paths = [own, *own.rglob("*")]
        assert any(path.is_socket() for path in paths)
        files = [path for path in paths if path.is_file()]
        name = Path(kernel.manager.connection_file).name
        assert {path.name for path in files} == {name, "faults"}
        for path in paths:
            mode = stat.S_IMODE(path.stat().st_mode)
            if path.is_dir():
                assert mode == 0o700, path
            elif path.is_file():
                assert mode == 0o600, path
            else:
                assert len(str(path)) < 108


def test_the_heartbeat_beats_while_the_child_is_stopped(kernel, connect):
    heart = connect(connection(kernel), zmq.REQ, "hb_port")
    with silent(kernel):
        heart.send(b"ping")
        assert heart.recv() == b"ping"
    assert kernel.run("1 + 1").value == "2"


@pytest.mark.parametrize("how", ["signal", "request"])
@pytest.mark.parametrize("code", ["time.sleep(60)", "\nwhile True: pass"], ids=["sleep", "loop"])
def test_an_interrupt_reaches_the_cell(kernel, how, code):
    def interrupt(message):
        if message[0] == "stream":
            if how == "signal":
                kernel.interrupt()
            else:
                kernel.request_interrupt()

    ran = kernel.run(f"import time; print('begun', flush=True);{code}", on_message=interrupt)
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert kernel.run("1 + 1").value == "2"


def test_an_interrupt_request_is_answered_while_the_child_is_locked(kernel, tmp_path):
    code = f"""
        import ctypes, pathlib
        print("begun", flush=True)
        pathlib.Path({str(tmp_path)!r}, "reached").touch()
        ctypes.PyDLL(None).usleep(2_000_000)
        pathlib.Path({str(tmp_path)!r}, "back").touch()
        while True: pass"""
    request = kernel.send("\n".join(line[8:] for line in code.splitlines()))
    until((tmp_path / "reached").exists)
    assert kernel.control("interrupt_request")["content"] == {"status": "ok"}
    # The answer did not wait for the child.
    assert not (tmp_path / "back").exists()
    assert kernel.reply(request)["content"]["ename"] == "KeyboardInterrupt"
    kernel.published(until_idle=request)


def test_an_interrupt_that_meets_a_starting_child_is_no_crash():
    manager = KernelManager(kernel_name="memprofile")
    manager.start_kernel()
    try:
        supervisor = manager.provisioner.pid
        for _ in range(3):
            (child,) = until(lambda: children(supervisor))
            os.kill(child, signal.SIGINT)
            manager.interrupt_kernel()
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=TIMEOUT)
        assert client.execute_interactive("1 + 1")["content"]["status"] == "ok"
        client.stop_channels()
    finally:
        manager.shutdown_kernel(now=True)


@pytest.mark.skipif(ipykernel.version_info < (7,), reason="ipykernel 6 has no subshells")
def test_a_subshell_runs_beside_a_cell(kernel):
    subshell = kernel.control("create_subshell_request")["content"]["subshell_id"]
    session = kernel.client.session
    main = kernel.send("import threading; gate = threading.Event(); print(gate.wait(60))")
    kernel.published_until(lambda m: m["msg_type"] == "execute_input")
    content = {"code": "gate.set()", "silent": False, "store_history": True}
    content |= {"user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
    request = session.msg("execute_request", content)
    request["header"]["subshell_id"] = subshell
    kernel.client.shell_channel.send(request)
    assert kernel.reply(request["header"]["msg_id"])["content"]["status"] == "ok"
    assert "True" in str(kernel.published(until_idle=main))
    assert kernel.control("delete_subshell_request", subshell_id=subshell)


def test_the_debugger_stops_at_a_breakpoint_and_goes_on(fresh):
    def debug(command, **arguments):
        content = {"type": "request", "seq": 1, "command": command, "arguments": arguments}
        answer = fresh.control("debug_request", **content)["content"]
        assert answer["success"], answer
        return answer.get("body")

    code = "here = 1\nthere = here + 1\nprint('there', there)"
    debug("initialize", adapterID="", pathFormat="path", linesStartAt1=True, columnsStartAt1=True)
    debug("attach")
    path = debug("dumpCell", code=code)["sourcePath"]
    stops = debug("setBreakpoints", source={"path": path}, breakpoints=[{"line": 2}])
    assert stops["breakpoints"][0]["verified"]
    debug("configurationDone")
    request = fresh.send(code)
    stopped = fresh.published_until(lambda m: m["content"].get("event") == "stopped")[-1]
    thread = stopped["content"]["body"]["threadId"]
    (frame, *_) = debug("stackTrace", threadId=thread)["stackFrames"]
    assert frame["line"] == 2
    debug("continue", threadId=thread)
    assert "there 2" in str(fresh.published(until_idle=request))


def test_a_stopped_client_does_not_stop_the_others(fresh):
    """A subscriber that is stopped reads nothing; 40 MB go by it to another one."""
    client = (
        "import sys; from jupyter_client import BlockingKernelClient as C;"
        "c = C(connection_file=sys.argv[1]); c.load_connection_file(); c.start_channels();"
        "c.wait_for_ready(60); print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", client, fresh.manager.connection_file]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"ready\n"
        other.send_signal(signal.SIGSTOP)
        try:
            show = (
                "from IPython.display import display\nfor n in range(2000): print(n, 'x' * 20_000)"
            )
            ran = fresh.run(show)
            assert len(ran.stream("stdout").splitlines()) == 2000
        finally:
            other.send_signal(signal.SIGCONT)
            other.kill()


def test_large_displays_and_many_prints_arrive_whole(kernel):
    show = "from IPython.display import display, HTML\n"
    show += "for n in range(3): display(HTML(str(n) * 20_000_000))"
    shown = [c["data"]["text/html"] for k, c in kernel.run(show).messages if k == "display_data"]
    assert [(text[0], len(text)) for text in shown] == [(str(n), 20_000_000) for n in range(3)]
    printed = kernel.run("for n in range(20_000): print(n, flush=n % 10 == 0)").stream("stdout")
    assert printed.split() == [str(n) for n in range(20_000)]


def test_buffers_pass_untouched(kernel):
    code = """
        from comm import create_comm
        echo = create_comm("none", data={}, buffers=[bytes(range(256)) * 1000, b""])
    """
    request = kernel.send("\n".join(line.strip() for line in code.splitlines()))
    messages = kernel.published(until_idle=request)
    (opened,) = [m for m in messages if m["msg_type"] == "comm_open"]
    assert [bytes(buffer) for buffer in opened["buffers"]] == [bytes(range(256)) * 1000, b""]


def test_the_magic_is_there_without_load_ext(kernel):
    ran = kernel.run("%%memprofile\nkept = bytearray(10_000_000)")
    assert ran.status == "ok"
    assert "9.54 MiB" in ran.reports[0]["data"]["text/plain"]
    assert kernel.run("%load_ext memprofile").messages == []


def test_the_first_cell_finds_what_a_stock_kernel_has():
    """Its modules, but for ours; arguments, path and signals."""
    ask = (
        "import sys, signal, os, json; print(json.dumps(dict("
        "modules=sorted(sys.modules), argv=[os.path.basename(a) for a in sys.argv], path=sys.path,"
        "handlers=[str(signal.getsignal(s)).split(' at ')[0] for s in range(1, 32)],"
        "environment=sorted(os.environ), main=sorted(sys.modules['__main__'].__dict__))))"
    )
    with Kernel() as stock, Supervised() as ours:
        expected, found = (json.loads(k.run(ask).stream("stdout")) for k in (stock, ours))
    extra = set(found.pop("modules")) - set(expected.pop("modules"))
    assert {name.split(".")[0] for name in extra} <= {
        "memprofile",
        "ipykernel_launcher",
        "memprofile_self_test",
        "tracemalloc",
        "_tracemalloc",
        "gc",
    }
    for kernel in (expected, found):
        kernel["argv"][-1] = "kernel-ID.json"
    # The memory limit of the cell raises by it.
    urgent = signal.SIGURG - 1
    assert "LimitHandler" in found["handlers"][urgent]
    found["handlers"][urgent] = expected["handlers"][urgent]
    assert found == expected


def test_a_restart_is_a_new_kernel_on_the_same_ports(fresh, folder):
    before = connection(fresh)
    first = (fresh.supervisor, fresh.child)
    fresh.run_ok("name = 1")
    fresh.restart()
    assert connection(fresh) == before
    assert not any(map(lives, first))
    assert fresh.run("name").reply["ename"] == "NameError"


def test_a_shutdown_leaves_nothing(folder):
    with Supervised() as kernel:
        both = (kernel.supervisor, kernel.child)
        assert left(folder)
    assert not any(map(lives, both))
    assert not left(folder)


def test_the_child_goes_with_its_supervisor_and_the_next_one_cleans_up(folder):
    with Supervised() as kernel:
        child = kernel.child
        os.kill(kernel.supervisor, signal.SIGKILL)
        until(lambda: not lives(child))
        (abandoned,) = left(folder)
    with Supervised():
        assert not abandoned.exists()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_who_is_asked_to_end_ends_the_child_and_leaves_nothing(folder, name):
    with Supervised() as kernel:
        both = (kernel.supervisor, kernel.child)
        kernel.send(LOCKED)
        kernel.published_until(lambda m: m["msg_type"] == "execute_input")
        os.kill(kernel.supervisor, getattr(signal, name))
        until(lambda: not any(map(lives, both)))
        assert not left(folder)


def test_a_kernel_goes_with_who_has_started_it(folder):
    start = (
        "from jupyter_client.manager import start_new_kernel as start;"
        "m, c = start(kernel_name='memprofile');"
        "print(m.provisioner.pid, flush=True); input()"
    )
    command = [sys.executable, "-c", start]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:
        supervisor = int(starter.stdout.readline())
        both = (supervisor, *children(supervisor))
        starter.kill()
        until(lambda: not any(map(lives, both)))
    assert not left(folder)


def test_a_kernel_that_cannot_start_says_so_and_ends(tmp_path, monkeypatch):
    (tmp_path / "ipykernel_launcher.py").write_text("raise ImportError('broken on purpose')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    manager = KernelManager(kernel_name="memprofile")
    with (tmp_path / "log").open("wb") as log:
        manager.start_kernel(stdout=log, stderr=log)
        assert manager.provisioner.process.wait(TIMEOUT) == 1
    manager.cleanup_resources()
    text = (tmp_path / "log").read_text()
    assert "broken on purpose" in text
    assert "Python ended itself with exit code 1 before it could be used" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        ("{}", "not a connection file"),
        ("CURVE", "supported_encryption"),
    ],
)
def test_a_connection_file_that_cannot_be_used_is_one_sentence(tmp_path, text, words):
    path = tmp_path / "kernel-1.json"
    if text == "CURVE":
        ports = {f"{name}_port": 1 for name in ("shell", "iopub", "stdin", "control", "hb")}
        text = json.dumps(ports | {"ip": "127.0.0.1", "transport": "tcp", "key": "k"})
        text = text.replace('"key"', '"curve_publickey": "p", "key"')
    if text is not None:
        path.write_text(text)
    command = [sys.executable, "-m", "memprofile.kernel", "-f", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert ran.returncode == 1
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_exit_ends_it_as_it_ends_a_stock_kernel(folder):
    with Supervised() as kernel:
        kernel.send("exit()")
        assert kernel.manager.provisioner.process.wait(TIMEOUT) == 0


def test_many_restarts_leave_nothing(folder):
    """A thousand of them are in make conformance."""
    threads = threading.active_count()
    with Supervised() as kernel:
        for _ in range(5):
            gone = (kernel.supervisor, kernel.child)
            kernel.restart()
            assert not any(map(lives, gone))
            assert len(left(folder)) == 1
    assert threading.active_count() == threads
