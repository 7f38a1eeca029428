"""A kernel "Python 3 (memprofile)", and a front end that sees each of its messages."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kernel_client import TIMEOUT, Kernel

Message = dict[str, Any]


def children(pid: int) -> list[int]:
    """The processes that a process has started and that live, zombies left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def left(folder: Path) -> list[Path]:
    """The private folders of supervisors that there are."""
    return list(folder.glob("memprofile-kernel-*"))


def until(condition: Callable[[], Any], seconds: float = TIMEOUT) -> Any:
    """Waits for what no message tells of; gives what the condition gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
    return found


class Supervised(Kernel):
    """A memprofile kernel, seen from outside too."""

    def __init__(self, **environment: str) -> None:
        super().__init__("memprofile", **environment)

    def __exit__(self, *error: object) -> None:
        # Not killed, which leaves what only the next kernel removes.
        self._client.stop_channels()
        self._manager.shutdown_kernel()

    @property
    def supervisor(self) -> int:
        """The process id of what Jupyter has started."""
        return int(self.manager.provisioner.pid)

    @property
    def child(self) -> int:
        """The process id of what computes."""
        (child,) = children(self.supervisor)
        return child

    def restart(self, *, now: bool = False) -> None:
        """Restarts it, and waits until the new one answers."""
        self.manager.restart_kernel(now=now)
        asked: set[str] = set()
        # Not by `wait_for_ready` of the client's: to that any answer will do, also a late one.
        while True:
            asked.add(str(self.client.kernel_info()))
            with contextlib.suppress(queue.Empty):
                while True:
                    message = self.client.get_shell_msg(timeout=1)
                    if message["parent_header"].get("msg_id") in asked:
                        return

    def send(self, code: str, **options: Any) -> str:
        """Sends a cell and does not wait; the id of the request."""
        return str(self.client.execute(code, **options))

    def published(self, *, until_idle: str) -> list[Message]:
        """All that comes on IOPub up to the request's ``idle``, that with it."""
        return self.published_until(
            lambda m: m["parent_header"].get("msg_id") == until_idle and state(m) == "idle"
        )

    def published_until(self, last: Callable[[Message], bool]) -> list[Message]:
        seen: list[Message] = []
        while not seen or not last(seen[-1]):
            seen.append(self.client.get_iopub_msg(timeout=TIMEOUT))
        return seen

    def reply(self, request: str) -> Message:
        while True:
            message: Message = self.client.get_shell_msg(timeout=TIMEOUT)
            if message["parent_header"].get("msg_id") == request:
                return message

    def control(self, kind: str, **content: Any) -> Message:
        """Asks something on the control channel and waits for the answer."""
        request = self.client.session.msg(kind, content)
        self.client.control_channel.send(request)
        while True:
            message: Message = self.client.get_control_msg(timeout=TIMEOUT)
            if message["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                return message


def held(kernel: Supervised) -> tuple[int, int, int]:
    """What the supervisor has: open files, threads, and child processes."""
    own = Path(f"/proc/{kernel.supervisor}")
    files, threads = (len(list((own / name).iterdir())) for name in ("fd", "task"))
    return files, threads, len(children(kernel.supervisor))


def state(message: Message) -> str | None:
    """What a ``status`` says, None of another message."""
    return message["content"].get("execution_state")


def kinds(messages: list[Message], request: str) -> list[str]:
    """The types of the messages of one request, of a ``status`` its state."""
    own = [m for m in messages if m["parent_header"].get("msg_id") == request]
    return [state(m) or m["msg_type"] for m in own]
