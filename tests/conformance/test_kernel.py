"""A thousand deaths of the memprofile kernel's child, and as many restarts, leave nothing."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest
from supervised import Supervised, children, held, left, lives, until

DEATHS = 1000
RESTARTS = 1000


def resident(pid: int) -> int:
    """The anonymous part of the resident set size, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024


@pytest.fixture
def folder(monkeypatch):
    """Where kernels of this test keep their private files; short, as sockets need it."""
    folder = Path(f"/tmp/mpk{os.getpid()}")
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    folder.rmdir()


def held_here():
    """The children and the threads of this process."""
    return len(children(os.getpid())), threading.active_count()


@pytest.mark.timeout(3600)
def test_a_thousand_deaths_leave_nothing(folder):
    with Supervised() as kernel:
        supervisor = kernel.supervisor
        settled = None
        for death in range(DEATHS):
            ran = kernel.run("import os; os.kill(os.getpid(), 9)")
            assert ran.reply["ename"] == "KernelDied", death
            kernel.run_ok("pass")
            if death == 100:
                settled = held(kernel), resident(supervisor)
        assert held(kernel) == settled[0]
        # Less than 5 kB for each of them.
        assert resident(supervisor) - settled[1] < 5000 * (DEATHS - 100)
        (own,) = left(folder)
        assert len(list(own.iterdir())) == 1
        last = kernel.supervisor
    assert not lives(last)
    assert not children(last)
    assert not left(folder)


@pytest.mark.timeout(3600)
def test_a_thousand_restarts_leave_nothing(folder):
    own = held_here()
    with Supervised() as kernel:
        for restart in range(RESTARTS):
            gone = (kernel.supervisor, kernel.child)
            # As a user does, and as a front end does that has lost its patience.
            kernel.restart(now=restart % 2 == 1)
            until(lambda gone=gone: not any(map(lives, gone)))
            assert len(left(folder)) == 1
    assert not left(folder)
    assert held_here() == own
