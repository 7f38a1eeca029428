"""By allocator, by size and by line: the same allocations, taken apart in three ways."""

import sys

import memprofile
import numpy as np
import pandas as pd
import pytest

MIB = 1 << 20


def adds_up(profile):
    sites = profile.to_dict()["sites"]
    for field, of_site in [("allocated_bytes", "allocated"), ("allocation_count", "count")]:
        whole = sum(site[of_site]["value"] for site in sites)
        for rows in (profile.allocators, profile.sizes):
            parts = sum(getattr(row, field) for row in rows)
            # Each row is rounded to a whole number, each site to nothing below half a byte.
            assert parts == pytest.approx(whole, abs=len(rows) + len(sites) / 2)
    for field, of_site in [("peak_bytes", "peak"), ("surviving_bytes", "surviving")]:
        parts = sum(getattr(row, field) for row in profile.allocators)
        whole = sum(site[of_site]["value"] for site in sites)
        assert parts == pytest.approx(whole, abs=len(profile.allocators))


def test_an_exact_recording_is_counted_by_size():
    with memprofile.profile() as profile:
        small = [bytes(67) for _ in range(1000)]
        middle = [bytearray(40_000) for _ in range(20)]
        large = np.ones(3 * MIB // 8)
    assert profile.exact
    adds_up(profile)
    assert profile.allocation_count == sum(row.allocation_count for row in profile.sizes)
    assert profile.total_allocated == sum(row.allocated_bytes for row in profile.sizes)
    counts = {row.smallest: row.allocation_count for row in profile.sizes}
    # bytes(67) with its head of 33 bytes.
    assert counts[64] >= 1000
    assert counts[32_768] == 20
    assert counts[2 * MIB] == 1
    assert all(row.relative_error == 0 for row in profile.sizes)
    assert len(profile.to_pandas("sizes")) == len(profile.sizes)
    assert set(profile.to_pandas("allocators").allocator) == {"pymalloc", "malloc"}
    assert small
    assert middle
    assert len(large)


def test_a_sampled_recording_adds_up_too():
    with memprofile.profile() as profile:
        kept = [bytes(100 + i % 300) for i in range(600_000)]
    assert not profile.exact
    adds_up(profile)
    (row,) = [row for row in profile.sizes if row.smallest == 256]
    truth = sum(size for size in map(sys.getsizeof, kept) if 256 <= size < 512)
    # A busy machine has a larger interval. Each sample stands for one, and of so many chance adds or takes
    # away a root; of few it is said with more caution, by a root again.
    samples = row.allocated_bytes / profile.sample_interval
    root = samples**0.5
    assert row.relative_error == pytest.approx(1.96 / root, rel=1.5 / root)
    assert samples > 30
    assert row.allocated_bytes == pytest.approx(truth, rel=2 * row.relative_error)


def made_by(profile, text):
    """What the report says of the line that holds ``text``."""
    (line,) = {line.lineno for line in profile.lines if text in line.source}
    found = [c for c in profile.to_dict()["copies"] if c["line"]["line"] == line]
    return found[0] if found else None


def test_a_numpy_expression_says_how_many_temporaries_it_made():
    a, b, c = (np.ones(4 * MIB) for _ in range(3))
    with memprofile.profile() as profile:
        # Two products and a view's sum: what numpy cannot do in place.
        result = (a * 2)[::1] + (b * 3)[::1] - (c * 4)[::1]
    made = made_by(profile, "result = (a * 2)")
    size = 32 * MIB
    assert made["sizes"] == [size, size]
    assert made["temporaries"] >= 2
    assert made["temporary"] == made["temporaries"] * size
    assert made["result"] == pytest.approx(size, rel=0.001)
    whole = made["most"] / made["result"]
    words = (
        f"{made['temporaries']} temporaries of 32.0 MiB at once; "
        f"the line’s peak is {whole:.0f}× its result"
    )
    assert words in profile.to_text(width=200)
    assert words in profile.to_html()
    # It is what the process held, too.
    assert profile.peak_footprint == pytest.approx(made["most"], rel=0.02)
    assert len(result)


def test_a_line_that_only_makes_its_result_says_nothing():
    with memprofile.profile() as profile:
        result = np.ones(4 * MIB)
        kept = [np.ones(MIB) for _ in range(3)]
        del kept
    assert profile.to_dict()["copies"] == []
    assert "temporaries" not in profile.to_text().replace("temporary ", "")
    assert len(result)


def test_a_line_far_below_the_peak_says_so_too():
    with memprofile.profile() as profile:
        large = np.ones(20 * MIB)
        del large
        a = np.ones(4 * MIB)
        for _ in range(3):
            a = a * 2
    made = made_by(profile, "a = a * 2")
    # The old value while the new one is made; the line frees both of them the next time.
    assert (made["temporaries"], made["temporary"]) == (2, 64 * MIB)
    assert made["result"] == pytest.approx(32 * MIB, rel=0.001)
    assert (
        "2 temporaries of 32.0 MiB at once; the line’s peak is 2× its result" in profile.to_html()
    )
    assert len(a)


def test_a_pandas_line_that_copies_says_so():
    frame = pd.DataFrame({name: np.arange(2 * MIB, dtype=float) for name in "abcd"})
    with memprofile.profile() as profile:
        result = (frame * 2 + frame * 3).sort_values("a").reset_index(drop=True)
    made = made_by(profile, "result = (frame * 2")
    assert made["temporaries"] >= 2
    assert made["temporary"] >= 0.95 * made["result"]
    assert "at once; the line’s peak is" in profile.to_html()
    assert made["most"] <= 1.02 * profile.peak_footprint
    assert len(result)


def test_how_it_was_measured_says_exact_and_its_cost():
    with memprofile.profile(exact=True) as profile:
        kept = [bytes(100) for _ in range(60_000)]
    assert profile.exact
    recording = profile.to_dict()["recording"]
    assert recording["exact_asked"]
    assert recording["events"] == profile.allocation_count
    html = profile.to_html()
    assert (
        f"every allocation was recorded, as --exact asks for, {profile.allocation_count:,}" in html
    )
    assert "Overhead as measured: " in html
    assert len(kept) == 60_000
