"""A front end double: runs cells in a real kernel and gives back every message."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from jupyter_client.manager import KernelManager

TIMEOUT = 60.0
"""Seconds until a test gives up on its kernel."""

Message = tuple[str, Any]
"""The type of a message and the part of its content that a reader sees."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# What differs between any two runs of the same cell.
_VARIES = (
    (re.compile(r"0x[0-9a-f]{6,}"), "0x..."),
    (re.compile(r"^(CPU times|Wall time|Compiler *):.*$", re.M), r"\1: ..."),
    (re.compile(r"ipykernel_\d+/\d+\.py"), "ipykernel_PID/HASH.py"),
    (re.compile(r"\b\d{6,}\.py"), "HASH.py"),
    (re.compile(r"\(\d+ times\)"), "(N times)"),
    (re.compile(r"\bpid=\d+"), "pid=PID"),
    (re.compile(r"<ipython-input-(\d+)-\w+>"), r"<ipython-input-\1-HASH>"),
)


def normal(value: Any) -> Any:
    """The same value without colours, addresses, times and hashes."""
    if isinstance(value, str):
        value = _ANSI.sub("", value)
        for pattern, replacement in _VARIES:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, dict):
        return {k: normal(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [normal(v) for v in value]
    return value


def is_report(message: Message) -> bool:
    """Whether a message is a memprofile report."""
    kind, content = message
    return kind == "display_data" and "memprofile" in content["data"].get("text/html", "")


@dataclass
class Ran:
    """What came of one cell."""

    reply: dict[str, Any]
    messages: list[Message] = field(default_factory=list)
    message_id: str = ""

    @property
    def status(self) -> str:
        return str(self.reply["status"])

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [content for kind, content in filter(is_report, self.messages)]

    @property
    def others(self) -> list[Message]:
        """All messages but the reports, pieces of a stream joined across them."""
        return joined(m for m in self.messages if not is_report(m))

    @property
    def kinds(self) -> list[str]:
        return ["report" if is_report(m) else m[0] for m in joined(self.messages)]

    def stream(self, name: str) -> str:
        return "".join(c["text"] for k, c in self.messages if k == "stream" and c["name"] == name)

    @property
    def value(self) -> str | None:
        """The text of the cell's value."""
        texts = [c["data"]["text/plain"] for k, c in self.messages if k == "execute_result"]
        return texts[0] if texts else None


def joined(messages: Iterable[Message]) -> list[Message]:
    """Neighbouring pieces of one stream as one message: where a kernel cuts is chance."""
    result: list[Message] = []
    for kind, content in messages:
        if kind == "stream" and result and result[-1][0] == "stream":
            last = result[-1][1]
            if last["name"] == content["name"]:
                last["text"] += content["text"]
                continue
        result.append((kind, dict(content) if isinstance(content, dict) else content))
    return result


class Kernel:
    """A kernel process and its client; a context manager."""

    def __init__(
        self, name: str = "python3", pass_fds: Sequence[int] = (), **environment: str
    ) -> None:
        self._manager = KernelManager(kernel_name=name)
        env = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1", **environment}
        env.pop("PYTHONWARNINGS", None)
        self._manager.start_kernel(env=env, pass_fds=pass_fds)
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=TIMEOUT)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    @property
    def manager(self) -> KernelManager:
        return self._manager

    @property
    def client(self) -> Any:
        return self._client

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()

    def request_interrupt(self) -> None:
        """As a front end does that has no process to signal; can be called from any thread."""
        request = self._client.session.msg("interrupt_request", {})
        self._client.control_channel.send(request)

    def is_complete(self, code: str) -> str:
        self._client.is_complete(code)
        return str(self._client.get_shell_msg(timeout=TIMEOUT)["content"]["status"])

    def complete(self, code: str) -> list[str]:
        self._client.complete(code, len(code))
        content = self._client.get_shell_msg(timeout=TIMEOUT)["content"]
        return [str(match) for match in content["matches"]]

    def run(
        self,
        code: str,
        *,
        answer: str | None = None,
        on_message: Callable[[Message], None] | None = None,
        store_history: bool = True,
        silent: bool = False,
        timeout: float = TIMEOUT,
    ) -> Ran:
        """Runs one cell to its end. ``answer`` is typed at input(); ``on_message`` sees
        every message as it comes, to act at a moment that the cell itself marks."""
        ran = Ran({})

        def output(message: dict[str, Any]) -> None:
            kind, content = message["msg_type"], message["content"]
            if kind in ("status", "execute_input"):
                return
            seen = (kind, {k: v for k, v in content.items() if k != "transient"})
            ran.messages.append(seen)
            if on_message is not None:
                on_message(seen)

        def stdin(message: dict[str, Any]) -> None:
            ran.messages.append(("input_request", message["content"]))
            assert answer is not None, "the cell asks for input that the test has not foreseen"
            self._client.input(answer)

        reply = self._client.execute_interactive(
            code,
            silent=silent,
            store_history=store_history,
            allow_stdin=True,
            user_expressions={"seen": "1 + 1"},
            stop_on_error=False,
            timeout=timeout,
            output_hook=output,
            stdin_hook=stdin,
        )
        ran.reply, ran.message_id = reply["content"], reply["parent_header"]["msg_id"]
        ran.messages = joined(ran.messages)
        return ran

    def run_ok(self, code: str) -> Ran:
        """Runs a cell that must not fail."""
        ran = self.run(code)
        assert ran.status == "ok", (code, ran.reply, ran.messages)
        return ran

    def value(self, expression: str) -> str:
        """The repr of an expression, without a trace in Out and history."""
        ran = self.run(f"print(repr({expression}))", store_history=False)
        assert ran.status == "ok", (expression, ran.reply)
        return ran.stream("stdout").rstrip("\n")
