"""What a front end sees when the kernel's out-of-memory killer ends the child."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from supervised import Supervised, state

LIMIT = 400 << 20

TAKE = """
import ctypes
room = ctypes.create_string_buffer(10_000_000)
held = [bytes(room) for _ in range(100)]
"""


def homes() -> Iterator[tuple[Path, str, str]]:
    """Where a group may be made, with its files for the limits of memory and of swap."""
    root = Path("/sys/fs/cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, own = line.split(":", 2)
        if controllers == "memory":
            yield root / "memory" / own.strip("/"), "memory.limit_in_bytes", "memory.swappiness"
        if controllers == "":
            # Of the second version: a group that has processes can have no groups with limits.
            here = root / own.strip("/")
            for group in (here, *here.parents):
                with contextlib.suppress(OSError):
                    if "memory" in (group / "cgroup.subtree_control").read_text().split():
                        yield group, "memory.max", "memory.swap.max"


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of 400 MiB."""
    for home, limit, swap in homes():
        group = home / f"memprofile-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if not (group / limit).exists():
                continue
            (group / limit).write_text(str(LIMIT))
            with contextlib.suppress(OSError):
                (group / swap).write_text("0")
            yield group
            return
        finally:
            group.rmdir()
    pytest.skip("this machine lets nobody make a control group that limits memory")


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
