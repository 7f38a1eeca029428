"""The peak against the kernel's own figure."""

import re
import subprocess
import sys
from pathlib import Path

import memprofile
import numpy as np
import pytest

MIB = 1 << 20


def high_water_mark():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def test_a_numpy_peak_of_a_billion_bytes():
    with memprofile.profile() as profile:
        first = np.ones(50_000_000)
        second = np.ones(75_000_000)
        del first
        third = np.ones(25_000_000)
    marked = high_water_mark()
    assert profile.peak_footprint == pytest.approx(1_000_000_000, rel=0.001)
    assert profile.peak_rss == pytest.approx(marked, abs=2 * MIB)
    grown = profile.peak_rss - profile.start_rss
    assert profile.peak_footprint == pytest.approx(grown, rel=0.03)
    assert profile.footprint_delta == pytest.approx(800_000_000, rel=0.001)
    assert len(second) == 3 * len(third)


WITHOUT_A_MARK = """
import memprofile
# The mark of the process from now on, which nobody can take back.
del bytearray(b"x" * 300_000_000)[:]
with memprofile.profile() as profile:
    kept = bytearray(b"x" * 40_000_000)
assert 0 < profile.peak_rss - profile.start_rss < 150_000_000, (profile.peak_rss, profile.start_rss)
assert not profile.peak_rss_exact
assert "resident peak at least" in str(profile)
assert any("largest of the readings" in gap for gap in profile.gaps), profile.gaps
print("fine")
"""


def test_an_old_mark_is_not_taken_for_the_peak():
    """As in a container that lets no process write to its clear_refs."""
    read_only = "mount --bind /proc /proc && mount -o remount,ro,bind /proc && "
    unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
    if subprocess.run([*unshare, read_only + "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount")
    program = [*unshare, read_only + 'exec "$@"', "-", sys.executable, "-c", WITHOUT_A_MARK]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr[-3000:]


def test_a_spike_of_a_few_milliseconds_is_the_peak():
    with memprofile.profile() as profile:
        np.ones(12_500_000)
        rest = list(range(1000))
    assert profile.peak_footprint == pytest.approx(100_000_000, rel=0.01)
    assert profile.peak_rss - profile.start_rss == pytest.approx(100_000_000, rel=0.05)
    assert max(profile.timeline.footprint) == profile.peak_footprint
    assert rest


def test_objects_that_fit_into_old_arenas_still_count():
    kept = [bytes(300) for _ in range(200_000)]
    del kept
    with memprofile.profile() as profile:
        kept = [bytes(300) for _ in range(2000)]
    assert profile.exact
    assert profile.peak_footprint >= 2000 * 333
    assert len(kept) == 2000


def test_rows_and_slack_make_the_peak():
    with memprofile.profile() as profile:
        kept = [str(i) * 10 for i in range(10_000)]
    data = profile.to_dict()
    live = sum(site["peak"]["value"] for site in data["sites"])
    assert live == pytest.approx(data["totals"]["live_at_peak"]["value"])
    # What was there before and is freed meanwhile counts down, so a few bytes may be missing.
    assert live <= profile.peak_footprint + 512
    assert kept


def test_a_block_that_was_never_touched_costs_nothing():
    with memprofile.profile() as profile:
        zeros = np.zeros(250_000_000)
    assert profile.peak_footprint < MIB
    assert profile.total_allocated >= 2_000_000_000
    (site,) = [site for site in profile.sites if site.allocated_bytes >= 2_000_000_000]
    assert site.surviving_bytes <= 2 * 4096
    with memprofile.profile() as profile:
        zeros[:50_000_000] = 1
    # It was there before; what it costs now shows in the resident set.
    assert profile.peak_rss - profile.start_rss == pytest.approx(400_000_000, rel=0.05)


def test_a_block_that_is_half_touched_costs_half():
    with memprofile.profile() as profile:
        zeros = np.zeros(50_000_000)
        zeros[:25_000_000] = 1
        del zeros
    assert profile.peak_footprint == pytest.approx(200_000_000, rel=0.02)
    assert profile.footprint_delta < MIB


def test_what_a_block_holds_shows_while_others_go():
    """Blocks in pages that were resident before: the resident set does not tell of their use."""
    tens = 1_310_720
    before = [np.ones(2 * tens) for _ in range(8)]
    # Freed first, it has malloc take such blocks from the heap; the last one keeps its end.
    del before[3]
    end = np.ones(10)
    before = [np.ones(2 * tens) for _ in range(8)]
    pinned = [before.pop(), end]
    del before
    joined = []
    with memprofile.profile() as profile:
        for _ in range(5):
            pieces = [np.ones(tens // 2) for _ in range(4)]
            joined.append(np.concatenate(pieces))
            del pieces
    footprint = np.array(profile.timeline.footprint)
    assert profile.peak_footprint == pytest.approx(120 * MIB, rel=0.01)
    # It falls by the pieces, 20 MiB, and never by what was joined meanwhile.
    falls = np.maximum.accumulate(footprint) - footprint
    assert falls.max() == pytest.approx(20 * MIB, rel=0.05)
    assert pinned


@pytest.mark.parametrize("kind", [list, bytearray])
def test_a_block_that_grows_by_realloc_never_seems_to_be_gone(kind):
    item = [None] * 50_000 if kind is list else b"x" * 400_000
    with memprofile.profile() as profile:
        kept = kind()
        for _ in range(200):
            kept += item
    footprint = np.array(profile.timeline.footprint)
    # What a list asks for beyond its items is not written to yet.
    in_use = len(kept) * (8 if kind is list else 1)
    assert profile.footprint_delta == pytest.approx(in_use, rel=0.05)
    # In malloc's heap it may be copied, and is there twice meanwhile. It is never gone.
    assert 0.95 * in_use < profile.peak_footprint < 1.05 * 2 * in_use
    assert (footprint >= np.maximum.accumulate(footprint) / 2 - 8 * MIB).all()


def test_a_library_thread_works_for_the_line_that_waits():
    from concurrent.futures import ThreadPoolExecutor

    with memprofile.profile() as profile, ThreadPoolExecutor(3) as pool:
        blocks = list(pool.map(bytearray, [5_000_000] * 6))
    (line,) = [line for line in profile.lines if "pool.map(bytearray" in line.source]
    assert line.surviving_bytes == pytest.approx(sum(map(len, blocks)), rel=0.01)
