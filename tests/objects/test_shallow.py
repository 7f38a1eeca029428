"""Shallow sizes, held against what the allocators really gave for some 50 kinds of objects."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "allocated.py"


@pytest.mark.parametrize("allocator", ["malloc", "pymalloc"])
def test_the_size_of_each_kind_is_what_the_allocators_gave(allocator):
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(PROGRAM)],
        env={**os.environ, "PYTHONMALLOC": allocator},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    kinds = [line.split("\t") for line in result.stdout.splitlines()]
    assert len(kinds) > 45
    wrong = []
    for name, blocks, said, given in kinds:
        # malloc's own word in front of a block is in what it gave, and not in what we say.
        words, more = 8 * int(blocks), float(given) - float(said)
        noise = 2.5 if float(said) < 2000 else 20
        least = words if allocator == "malloc" else 0
        if not least - noise < more < words + noise:
            wrong.append((name, said, given))
    assert not wrong


def test_a_debugging_allocator_ends_nothing():
    program = (
        "from memprofile._native import shallow_size as size\n"
        "sizes = [size(x) for x in (object(), [1] * 1000, 'x' * 600, type('A', (), {})())]\n"
        "assert sizes[0] == 16 and 8056 <= sizes[1] < 8100, sizes\n"
    )
    subprocess.run([sys.executable, "-X", "dev", "-c", program], check=True, timeout=60)
