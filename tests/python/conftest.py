"""Fixtures: real kernels, one pair for the differential tests and single ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernel_client import Kernel


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Kernel, Kernel]]:
    """Two kernels that run the same cells; memprofile is loaded in the second only."""
    with Kernel() as bare, Kernel() as profiled:
        bare.run_ok("pass")  # the two count their cells alike
        profiled.run_ok("%load_ext memprofile")
        yield bare, profiled


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A kernel with memprofile loaded, shared by the tests of a module."""
    with Kernel() as kernel:
        kernel.run_ok("%load_ext memprofile")
        yield kernel


@pytest.fixture
def fresh() -> Iterator[Kernel]:
    """A kernel of the test's own, with nothing loaded."""
    with Kernel() as kernel:
        yield kernel
