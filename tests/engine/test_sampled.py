"""A recording with more events than can be kept: estimates, with an error that holds."""

import sys

import memprofile
import pytest


def many():
    return [bytes(100 + i % 300) for i in range(600_000)]


def test_a_sampled_line_lies_within_its_error():
    with memprofile.profile() as profile:
        kept = many()
    assert not profile.exact
    assert profile.sample_interval > 0
    lines = [line for line in profile.lines if "bytes(100 + i" in line.source]
    truth = sum(len(block) + 33 for block in kept)
    estimate = sum(line.surviving_bytes for line in lines)
    error = max(line.relative_error for line in lines)
    assert 0 < error < 0.2
    # Four of its half-widths: this is one run; the coverage is tested with seeds, in Rust.
    assert estimate - 8 * len(kept) == pytest.approx(truth, rel=2 * error)
    # The total is counted, not estimated.
    assert profile.total_allocated >= truth


def test_exact_records_everything():
    with memprofile.profile(exact=True) as profile:
        kept = many()
    assert profile.exact
    truth = sum(len(block) + 33 for block in kept)
    lines = [line for line in profile.lines if "bytes(100 + i" in line.source]
    # Beside them the list's array, of which the places in reserve may be untouched, and its head.
    held = sum(line.surviving_bytes for line in lines)
    assert truth + 8 * len(kept) <= held <= truth + sys.getsizeof(kept) + 200
