"""Control groups that limit memory, where this machine lets somebody make them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


def _homes() -> Iterator[tuple[Path, str, str]]:
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


@contextlib.contextmanager
def control_group(most: int) -> Iterator[Path]:
    """A group whose processes may take so many bytes together."""
    for home, limit, swap in _homes():
        group = home / f"memprofile-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if not (group / limit).exists():
                continue
            (group / limit).write_text(str(most))
            with contextlib.suppress(OSError):
                (group / swap).write_text("0")
            yield group
            return
        finally:
            group.rmdir()
    pytest.skip("this machine lets nobody make a control group that limits memory")
