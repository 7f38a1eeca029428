"""What a front end sees when the kernel's out-of-memory killer ends the child."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_groups import control_group
from supervised import Supervised, state

LIMIT = 400 << 20

TAKE = """
import ctypes
room = ctypes.create_string_buffer(10_000_000)
held = [bytes(room) for _ in range(100)]
"""


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of 400 MiB."""
    with control_group(LIMIT) as group:
        yield group


def test_the_killer_and_the_limit_are_named(small_group: Path) -> None:
    with Supervised() as kernel:
        kernel.run_ok("name = 1")
        # The next child is in the group from its start, as all of a container is.
        (small_group / "cgroup.procs").write_text(str(kernel.supervisor))
        os.kill(kernel.child, signal.SIGKILL)
        kernel.published_until(lambda m: state(m) == "starting")
        # Ours would end the cell before.
        kernel.run_ok("%memlimit off\nname = 1")
        ran = kernel.run(TAKE)
        assert ran.reply["ename"] == "KernelDied"
        assert "The out-of-memory killer ended Python (SIGKILL)" in ran.reply["evalue"]
        text = ran.reports[0]["data"]["text/plain"]
        assert "may take 400 MiB, and that was used up" in text
        assert "held = [bytes(room)" in text
        assert kernel.run("name").reply["ename"] == "NameError"
