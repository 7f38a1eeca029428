"""What a kernel tells whoever started it, by shared memory, while it runs and after its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kernel_client import Kernel, Message
from memprofile import _native

Told = dict[str, Any]

MIB = 1 << 20


class KilledError(Exception):
    """The kernel is gone."""


class Segment:
    """A segment as a supervisor has it."""

    def __init__(self) -> None:
        self.descriptor = _native.make_segment()

    def read(self) -> Told | None:
        letter = _native.read_segment(f"/proc/self/fd/{self.descriptor}")
        return None if letter is None else json.loads(letter)

    def now(self) -> Told:
        told = self.read()
        assert told is not None
        return told


@pytest.fixture
def segment() -> Iterator[Segment]:
    made = Segment()
    yield made
    os.close(made.descriptor)


@pytest.fixture
def told(segment: Segment) -> Iterator[tuple[Kernel, Segment]]:
    """A kernel that tells, and its segment."""
    environment = {_native.TELEMETRY_FD: str(segment.descriptor)}
    with Kernel(pass_fds=[segment.descriptor], **environment) as kernel:
        kernel.run_ok("%load_ext memprofile")
        yield kernel, segment


HOLD = """%%memprofile -q
import os
blocks = []
def grow():
    blocks.append(bytearray(b"x") * {size})
for _ in range(4):
    grow()
print("held")
while not os.path.exists({flag!r}):
    sum(range(1000))
"""


def test_the_cell_that_runs_and_its_end(told: tuple[Kernel, Segment], tmp_path: Path) -> None:
    kernel, segment = told
    flag = tmp_path / "go on"
    seen: list[Told] = []

    def look(message: Message) -> None:
        if message[0] == "stream":
            while True:
                now = segment.now()
                if now["cell"]["footprint"] >= 200 * MIB and now["holders"]:
                    break
            seen.append(now)
            flag.touch()

    ran = kernel.run(HOLD.format(size=50 * MIB, flag=str(flag)), on_message=look)
    assert ran.status == "ok"
    cell = seen[0]["cell"]
    assert not cell["ended"]
    assert cell["label"] == "cell [2]"
    assert cell["message"] == ran.message_id
    assert 200 * MIB <= cell["footprint"] <= cell["peak"] < 300 * MIB
    assert seen[0]["anonymous"] <= seen[0]["rss"] < cell["start_rss"] + 300 * MIB
    top = seen[0]["holders"][0]
    where = {"label": "cell [2]", "line": 5, "function": "grow"}
    assert where.items() <= top["place"].items()
    assert top["bytes"] >= 200 * MIB
    moments = seen[0]["moments"]
    assert moments == sorted(moments)
    assert moments[-1][1] >= 150 * MIB

    end = segment.now()["cell"]
    assert end["ended"]
    assert end["message"] == cell["message"]
    kernel.run_ok("x = 1")
    assert segment.now()["cell"]["message"] not in ("", cell["message"])


WAIT = """import os
def wait():
    while not os.path.exists({flag!r}): pass
print("begun")
wait()
"""

WANDER = """import os
def deep(n):
    return deep(n - 1) if n else [k for k in count(3)]
def count(n):
    for k in range(n):
        yield k
print("begun")
while not os.path.exists({flag!r}):
    deep(20); sorted(range(9), key=lambda k: -k)
"""


def test_the_line_that_runs(told: tuple[Kernel, Segment], tmp_path: Path) -> None:
    """Of a cell that nobody profiles, and that allocates nothing."""
    kernel, segment = told
    flag = tmp_path / "go on"

    def look(message: Message) -> None:
        if message[0] == "stream":
            place = None
            while not place or place["line"] == 4:
                place = segment.now()["cell"]["running"]
            flag.touch()
            assert (place["label"], place["line"], place["function"]) == ("cell [2]", 3, "wait")

    assert kernel.run(WAIT.format(flag=str(flag)), on_message=look).status == "ok"
    assert segment.now()["cell"]["running"] is None


def test_a_line_is_one_that_runs_while_frames_come_and_go(
    told: tuple[Kernel, Segment], tmp_path: Path
) -> None:
    kernel, segment = told
    flag = tmp_path / "go on"
    places: list[Told] = []

    def look(message: Message) -> None:
        if message[0] == "stream":
            while len(places) < 10:
                place = segment.now()["cell"]["running"]
                if place and place not in places[-1:]:
                    places.append(place)
            flag.touch()

    assert kernel.run(WANDER.format(flag=str(flag)), on_message=look).status == "ok"
    assert {place["line"] for place in places} <= {3, 5, 6, 7, 8, 9}


def test_what_was_told_is_there_after_a_kill(told: tuple[Kernel, Segment], tmp_path: Path) -> None:
    kernel, segment = told
    pid = int(kernel.value("__import__('os').getpid()"))

    def kill(message: Message) -> None:
        if message[0] == "stream":
            while segment.now()["cell"]["footprint"] < 40 * MIB:
                pass
            os.kill(pid, 9)
            raise KilledError

    with pytest.raises(KilledError):
        kernel.run(HOLD.format(size=10 * MIB, flag=str(tmp_path / "never")), on_message=kill)
    last = segment.now()
    assert last["process"] == pid
    assert not last["cell"]["ended"]
    assert last["cell"]["footprint"] >= 40 * MIB
    assert last["holders"][0]["place"]["line"] == 5


def test_children_do_not_write_and_do_not_inherit(told: tuple[Kernel, Segment]) -> None:
    kernel, segment = told
    ran = kernel.run_ok(
        "%%memprofile -q\n"
        "import os, subprocess, sys\n"
        "if (pid := os.fork()) == 0:\n"
        "    import memprofile._native as native\n"
        "    native.begin_cell('child', 'child', 'child')\n"
        "    native.end_cell()\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        'listing = \'import os; print([os.readlink(f"/proc/self/fd/{n}") for n in range(3, 40)'
        ' if os.path.lexists(f"/proc/self/fd/{n}")])\'\n'
        "print(subprocess.run([sys.executable, '-c', listing], capture_output=True, text=True,"
        " close_fds=False).stdout, 'MEMPROFILE_TELEMETRY_FD' in os.environ)\n"
    )
    printed = ran.stream("stdout")
    assert "memprofile" not in printed, printed
    assert "False" in printed
    assert segment.now()["cell"]["message"] == ran.message_id


@pytest.mark.parametrize("number", ["0", "77", "none"])
def test_a_descriptor_of_nobody_is_said_and_left_alone(number: str) -> None:
    script = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_line_magic('load_ext', 'memprofile')\n"
        "shell.run_cell('%%memprofile -q\\nx = 1')\n"
        "print(input())"
    )
    environment = {**os.environ, _native.TELEMETRY_FD: number}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        input="still there",
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("still there\n"), done
    assert "restart the kernel" in done.stderr
    assert number in done.stderr


def test_a_cell_that_nobody_profiles_is_in_the_black_box(
    told: tuple[Kernel, Segment], tmp_path: Path
) -> None:
    kernel, segment = told
    kernel.run_ok("kept = bytearray(b'x') * (150 << 20)\nnumbers = list(range(3_000_000))")
    flag = tmp_path / "go on"
    seen: list[Told] = []

    def look(message: Message) -> None:
        if message[0] == "stream":
            while (now := segment.now())["cell"]["footprint"] < 200 * MIB:
                pass
            seen.append(now)
            flag.touch()

    cell = HOLD.replace("%%memprofile -q\n", "").format(size=50 * MIB, flag=str(flag))
    ran = kernel.run(cell, on_message=look)
    assert ran.status == "ok"
    now = seen[0]
    assert now["cell"]["message"] == ran.message_id
    assert 200 * MIB <= now["cell"]["footprint"] <= now["cell"]["peak"] < 300 * MIB
    # What earlier cells hold is known, too: a block, and small objects by their arenas.
    held = {(h["place"]["label"], h["place"]["line"]): h["bytes"] for h in now["holders"]}
    assert held["cell [2]", 1] >= 150 * MIB
    assert held["cell [2]", 2] >= 80 * MIB
    assert held["cell [3]", 4] >= 200 * MIB

    # A recording of the user's goes first, and then the box begins anew.
    report = kernel.run_ok("%%memprofile -o usage\nmore = bytearray(b'x') * (20 << 20)")
    assert len(report.reports) == 1
    assert 20 * MIB <= int(kernel.value("usage.peak_footprint")) < 22 * MIB
    kernel.run_ok("again = bytearray(b'x') * (30 << 20)")
    last = segment.now()
    # The light recording has pieces of less than a sample's interval untold.
    assert 29.9 * MIB <= last["cell"]["peak"] < 32 * MIB
    assert any(h["place"]["line"] == 1 and h["bytes"] >= 29.9 * MIB for h in last["holders"])


def test_the_black_box_leaves_children_and_threads_alone(told: tuple[Kernel, Segment]) -> None:
    kernel, _ = told
    ran = kernel.run_ok(
        "import multiprocessing, os, threading, warnings\n"
        "def work(n):\n"
        "    return len(bytearray(n << 20))\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "        print(sum(pool.map(work, range(20))))\n"
        "threads = [threading.Thread(target=work, args=(9,)) for _ in range(8)]\n"
        "[t.start() for t in threads], [t.join() for t in threads]\n"
        "%load_ext memprofile\n"
        "None"
    )
    assert ran.stream("stdout").startswith(str(190 << 20))
