"""A limit on memory: the cell ends at the line that asked, and the kernel and its names live on."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from collections.abc import Iterator

import memprofile
import pytest
from kernel_client import Kernel, Ran
from memprofile import MemoryLimitExceeded, MemprofileError
from memprofile.options import OptionError, checked_limit

MB = 1_000_000
LIMIT = 400 * MB

# Each grows far beyond the limit, and ends by itself if nothing stops it.
GROWTH = {
    "list": "rows = []\nfor _ in range(12_000):\n    rows.append(bytearray(100_000))",
    "small objects": (
        "rows = []\nfor n in range(12_000):\n    rows.append([object() for _ in range(5000)])"
    ),
    "numpy": "import numpy as np\nrows = np.ones(150_000_000)",
    "zeros": "import numpy as np\nrows = np.zeros(150_000_000)",
    "zeros that are filled": (
        "import numpy as np\nrows = [np.zeros(2_500_000) for _ in range(50)]\n"
        "for row in rows:\n    row[:] = 1"
    ),
    "numpy.random": "import numpy as np\nrows = np.random.default_rng().random(150_000_000)",
    "bytes": "rows = b'x' * 1000\nfor _ in range(20):\n    rows = rows + rows",
    "bytearray": "rows = bytearray(b'x' * 1000)\nfor _ in range(20):\n    rows += bytes(rows)",
    "pandas": (
        "import pandas as pd\nframe = pd.DataFrame({'a': range(9_000_000)})\n"
        "rows = pd.concat([frame] * 15)"
    ),
    "thread": (
        "import threading\nover = []\ndef grow():\n    kept = []\n"
        "    while not over and len(kept) < 12_000:\n        kept.append(bytearray(100_000))\n"
        "thread = threading.Thread(target=grow)\nthread.start()\n"
        "try:\n    thread.join()\nfinally:\n    over.append(1)"
    ),
    "await": (
        "import asyncio\nrows = []\nfor _ in range(120):\n"
        "    rows.extend(bytearray(100_000) for _ in range(100))\n    await asyncio.sleep(0)"
    ),
}
# What the traceback shows of the line.
LINES = {
    "list": "rows.append(bytearray(100_000))",
    "small objects": "rows.append([object()",
    "numpy": "rows = np.ones",
    "zeros": "rows = np.zeros",
    "zeros that are filled": "row[:] = 1",
    "numpy.random": "rows = np.random",
    "bytes": "rows = rows + rows",
    "bytearray": "rows += bytes",
    "pandas": "rows = pd.concat",
    "thread": "thread.join()",
    "await": "rows.extend",
}
RESTORED = (
    "(kept, memprofile._native.limit_in_force(), 'showtraceback' in get_ipython().__dict__,"
    " signal.getsignal(signal.SIGURG) is signal.SIG_DFL, memprofile._native.is_recording())"
)
AS_BEFORE = "('name', None, False, True, False)"


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with Kernel() as kernel:
        kernel.run_ok("%load_ext memprofile\nimport gc, memprofile, signal\nkept = 'name'")
        yield kernel


def traceback_of(ran: Ran) -> str:
    (found,) = ["\n".join(c["traceback"]) for kind, c in ran.messages if kind == "error"]
    return found


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def stopped(kernel: Kernel, ran: Ran, line: str) -> None:
    """The cell was stopped at its line, and nothing else has changed."""
    assert ran.reply["ename"] == "MemoryLimitExceeded", (ran.reply, ran.stream("stderr"))
    assert "beyond its limit of 381 MiB; work in smaller pieces" in ran.reply["evalue"]
    assert len(ran.reply["evalue"].splitlines()) == 1
    shown = plain(traceback_of(ran))
    assert line in shown, shown
    kernel.run_ok("rows = row = frame = None\n_ = gc.collect()")
    assert kernel.value("kept") == "'name'"


@pytest.mark.parametrize("way", GROWTH)
def test_a_profiled_cell_ends_with_its_report(kernel: Kernel, way: str) -> None:
    ran = kernel.run(f"%%memprofile --limit 400MB\n{GROWTH[way]}")
    stopped(kernel, ran, LINES[way])
    assert kernel.value(RESTORED) == AS_BEFORE
    assert ran.kinds[-2:] == ["report", "error"]
    assert "MemoryLimitExceeded" in ran.reports[0]["data"]["text/plain"]


def test_a_limit_can_be_above_what_is_held(kernel: Kernel) -> None:
    kernel.run_ok("before = bytearray(b'x') * 200_000_000")
    kernel.run_ok("%%memprofile --limit +100MB\nrow = bytearray(b'x') * 80_000_000")
    kernel.run_ok("row = None")
    ran = kernel.run("%%memprofile --limit +100MB\nrow = bytearray(b'x') * 150_000_000")
    assert ran.reply["ename"] == "MemoryLimitExceeded", ran.reply
    stopped_by = "__import__('sys').last_value"
    limit, held, requested = (
        int(kernel.value(f"{stopped_by}.{of}")) for of in ("limit", "held", "requested")
    )
    assert requested >= 150_000_000
    assert 200_000_000 < held < limit < held + 110_000_000
    kernel.run_ok("before = row = None")


@pytest.fixture
def limited(kernel: Kernel) -> Iterator[Kernel]:
    """A kernel in which every cell is limited."""
    said = kernel.run_ok("%memlimit 400MB").stream("stdout")
    assert said.startswith("From the next cell on, every cell is stopped when this process holds")
    assert "381 MiB" in said
    yield kernel
    assert kernel.run_ok("%memlimit off").stream("stdout").startswith("The limit is off")
    kernel.run_ok("%memlimit default")
    assert kernel.value(RESTORED) == AS_BEFORE


@pytest.mark.parametrize("way", ["list", "numpy", "zeros that are filled", "bytes", "thread"])
def test_so_does_a_cell_that_nobody_profiles(limited: Kernel, way: str) -> None:
    ran = limited.run(GROWTH[way])
    assert ran.reports == []
    stopped(limited, ran, LINES[way])


def test_the_cell_may_go_on(limited: Kernel) -> None:
    """What CPython raises is a MemoryError as ever; growth is an exception that handlers see."""
    ran = limited.run_ok(
        "try:\n    rows = bytes(900_000_000)\nexcept MemoryError as error:\n"
        "    print(type(error).__name__)\n"
        "kinds, cleaned = [], []\n"
        "def grow():\n    rows = []\n    try:\n"
        "        for _ in range(12_000): rows.append(bytearray(100_000))\n"
        "    finally:\n        cleaned.append(len(rows))\n"
        "for _ in range(2):\n    try:\n        grow()\n    except Exception as error:\n"
        "        kinds.append((type(error).__name__, error.limit, error.requested))\n"
        "kinds"
    )
    assert ran.stream("stdout") == "MemoryError\n"
    assert ran.value == "[('MemoryLimitExceeded', 400000000, None)," + (
        "\n ('MemoryLimitExceeded', 400000000, None)]"
    )
    assert len(limited.value("cleaned").split(",")) == 2


def test_a_handler_has_room(limited: Kernel) -> None:
    """Until memory falls, the next exception comes a step further up, not within the handler."""
    ran = limited.run_ok(
        "rows, held = [], []\n"
        "while len(held) < 3 and len(rows) < 12_000:\n    try:\n"
        "        while len(rows) < 12_000: rows.append(bytearray(100_000))\n"
        "    except MemoryError as error:\n"
        "        held.append(error.held)\n"
        "        more = [bytearray(100_000) for _ in range(100)]\n"
        "[after - before >= 60_000_000 for before, after in zip(held, held[1:])]"
    )
    assert ran.value == "[True, True]"
    limited.run_ok("rows = None")


def test_a_memory_error_of_the_users_own_stays(limited: Kernel) -> None:
    ran = limited.run(
        "try:\n    rows = bytes(900_000_000)\nexcept MemoryError:\n    pass\n"
        "raise MemoryError('mine')"
    )
    assert (ran.reply["ename"], ran.reply["evalue"]) == ("MemoryError", "mine")


def test_a_request_that_fits_is_served(limited: Kernel) -> None:
    ran = limited.run_ok(
        "import numpy as np\na = np.zeros(40_000_000)\nb = np.ones(12_000_000)\n"
        "c = bytearray(b'x' * 50_000_000)\nprint(a[-1] + b[-1], len(c))\ndel a, b, c"
    )
    assert ran.stream("stdout") == "1.0 50000000\n"


def test_a_block_that_may_not_grow_is_left_as_it_was(limited: Kernel) -> None:
    ran = limited.run_ok(
        "block = bytearray(b'ab' * 50_000_000)\n"
        "try:\n    block += b'c' * 1\n    block.extend(bytes(1)); block *= 9\n"
        "except MemoryError as error:\n    print(type(error).__name__)\n"
        "print(len(block), block[:4], block[99_999_998:])\ndel block"
    )
    assert ran.stream("stdout") == (
        "MemoryError\n100000002 bytearray(b'abab') bytearray(b'abc\\x00')\n"
    )


def test_a_library_of_which_nothing_is_known_is_served(limited: Kernel) -> None:
    """It stands between Python's own request and the line: here it is libffi."""
    ran = limited.run_ok(
        "import ctypes\nmake = ctypes.pythonapi.PyBytes_FromStringAndSize\n"
        "make.restype, make.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_ssize_t)\n"
        "print(len(make(None, 900_000_000)))"
    )
    assert ran.stream("stdout") == "900000000\n"


def test_the_event_loop_is_never_stopped(limited: Kernel) -> None:
    """What a task does while the cell waits goes on; the exception is the cell's own."""
    ran = limited.run(
        "import asyncio\nrows = []\nasync def grow():\n"
        "    for _ in range(60):\n        rows.extend(bytearray(100_000) for _ in range(100))\n"
        "        await asyncio.sleep(0)\n"
        "    return 'grown'\n"
        "print(await asyncio.ensure_future(grow()))\n"
        "for _ in range(1_000_000_000):\n    pass"
    )
    assert ran.stream("stdout") == "grown\n"
    stopped(limited, ran, "for _ in range(1_000_000_000)")


def test_what_shows_an_error_of_the_cell_is_not_stopped(limited: Kernel) -> None:
    """It may be that of a request that was refused."""
    limited.run_ok(
        "import signal, socket\nrows = []\ndef shown(shell, kind, error, tb, tb_offset=None):\n"
        "    here, there = socket.socketpair()\n    there.setblocking(False)\n"
        "    before = signal.set_wakeup_fd(there.fileno())\n"
        "    rows.extend(bytearray(100_000) for _ in range(6_000))\n"
        "    print(here.recv(1) == bytes([signal.SIGURG]))\n    signal.set_wakeup_fd(before)\n"
        "get_ipython().set_custom_exc((ZeroDivisionError,), shown)"
    )
    ran = limited.run("1 / 0")
    assert ran.stream("stdout") == "True\n", ran.reply
    limited.run_ok("get_ipython().set_custom_exc((), None)\nrows = None\n_ = gc.collect()")


def test_interrupts_are_as_before(limited: Kernel) -> None:
    def interrupt(message: tuple[str, dict[str, str]]) -> None:
        # Once: the text may come in two parts.
        if message[0] == "stream" and "now" in message[1]["text"]:
            limited.interrupt()

    ran = limited.run("print('now', flush=True)\nwhile True: pass", on_message=interrupt)
    assert ran.reply["ename"] == "KeyboardInterrupt"
    # And the other way round: a handler of the user's own stays the user's.
    ran = limited.run_ok(
        "seen = []\nbefore = signal.signal(signal.SIGURG, lambda *_: seen.append(1))\n"
        "signal.raise_signal(signal.SIGURG)\nprint(seen)"
    )
    assert ran.stream("stdout") == "[1]\n"
    limited.run_ok("signal.raise_signal(signal.SIGURG)")
    assert limited.value("seen") == "[1, 1]"
    limited.run_ok("_ = signal.signal(signal.SIGURG, signal.SIG_DFL)")


def test_a_statement_in_a_limited_cell_ends_the_recording_not_the_limit(limited: Kernel) -> None:
    ran = limited.run("%memprofile sorted(range(1000))\nrows = bytes(900_000_000)")
    stopped(limited, ran, "rows = bytes")


def test_a_forked_child_is_free(limited: Kernel) -> None:
    ran = limited.run_ok(
        "import os\nif (pid := os.fork()) == 0:\n"
        "    os._exit(0 if len(bytes(900_000_000)) else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert ran.stream("stdout") == "0\n"


def test_an_inner_limit_is_the_cells_own(limited: Kernel) -> None:
    ran = limited.run_ok(
        "%%memprofile -q --limit 2GB\nrows = bytes(500_000_000); held = len(rows); del rows; held"
    )
    assert ran.value == "500000000"


def test_without_a_limit_nothing_is_there(kernel: Kernel) -> None:
    ran = kernel.run_ok("rows = bytes(900_000_000); del rows\n" + RESTORED)
    assert ran.value == AS_BEFORE
    inside = kernel.run_ok("%%memprofile -q\nmemprofile._native.limit_in_force()[1]")
    assert inside.value in ("'machine'", "'control group'")
    assert "before the" in kernel.run_ok("%memlimit").stream("stdout")
    kernel.run_ok("%memlimit off")
    assert kernel.run_ok("%%memprofile -q\nmemprofile._native.limit_in_force()").value is None
    kernel.run_ok("%memlimit default")


BAD = [
    ("wat", "needs a size as 2GB, 1.5GiB, 80% or +300MB"),
    ("2", "needs a size as 2GB, 1.5GiB, 80% or +300MB"),
    ("-2GB", "needs a size as 2GB, 1.5GiB, 80% or +300MB"),
    ("2G", "needs a size as 2GB, 1.5GiB, 80% or +300MB"),
    ("0%", "needs 1% to 100%"),
    ("120%", "needs 1% to 100%"),
    ("1MB", "is no more than this process holds already"),
]


@pytest.mark.parametrize(("value", "sentence"), BAD)
def test_a_bad_limit_is_one_sentence_with_what_to_do(
    kernel: Kernel, value: str, sentence: str
) -> None:
    kernel.run_ok("ran = 0")
    for cell in (f"%%memprofile --limit {value}\nran = 1", f"%memlimit {value}\nran = 1"):
        ran = kernel.run(cell)
        assert ran.reply["ename"] == "UsageError"
        said = ran.stream("stderr")
        assert sentence in said
        assert "for example: " in said
        assert len(said.splitlines()) == 1
    assert kernel.value("ran") == "0"


def test_sizes() -> None:
    def read(text: str) -> int:
        return checked_limit(text, "--limit", "")

    assert [read("900GB"), read("1.5TB"), read("900gib")] == [900 * 10**9, 15 * 10**11, 900 << 30]
    assert 0.49 < read("50%") / read("100%") < 0.51
    with pytest.raises(OptionError):
        read("")


def grow() -> list[bytearray]:
    return [bytearray(100_000) for _ in range(12_000)]


def held() -> int:
    now = memprofile._native.memory_now()
    assert now is not None
    return now[0]


def test_a_block_of_any_program() -> None:
    limit = held() + 200 * MB
    with pytest.raises(MemoryLimitExceeded) as caught, memprofile.profile(limit=limit) as p:
        grow()
    error = caught.value
    assert (error.limit, error.requested) == (limit, None)
    assert limit < error.held < limit + 200 * MB
    assert p.peak_footprint > 100 * MB
    assert p.to_dict()["recording"]["exception"] == "MemoryLimitExceeded"

    with pytest.raises(MemoryLimitExceeded) as caught, memprofile.profile(limit=limit):
        bytes(900 * MB)
    assert caught.value.requested == pytest.approx(900 * MB, abs=1000)
    assert "bytes(900 * MB)" in str(caught.traceback[-1].statement)

    @memprofile.profile(limit=limit)
    def function() -> int:
        return len(grow())

    with pytest.raises(MemoryLimitExceeded):
        function()
    assert memprofile._native.limit_in_force() is None
    for bad in ("2 apples", 1000):
        with (
            pytest.raises(MemprofileError, match=r"profile\(limit=\.\.\.\)"),
            memprofile.profile(limit=bad),
        ):
            pass


def test_the_exception_can_be_pickled() -> None:
    error = MemoryLimitExceeded(10 * MB, 7 * MB, 5 * MB)
    again = pickle.loads(pickle.dumps(error))
    assert (again.limit, again.held, again.requested, str(again)) == (
        10 * MB,
        7 * MB,
        5 * MB,
        str(error),
    )


RUST = """
import memprofile, polars
held = memprofile._native.memory_now()[0]
frame = polars.DataFrame({"a": [1]})
try:
    with memprofile.profile(limit=held + 150_000_000):
        frame = polars.select(polars.int_range(0, 40_000_000).alias("a"))
        frame = frame.with_columns(polars.col("a") * 2)
        for _ in range(1000):
            pass
except memprofile.MemoryLimitExceeded:
    print("stopped")
"""


def test_code_that_would_abort_is_never_refused() -> None:
    done = subprocess.run([sys.executable, "-c", RUST], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr
