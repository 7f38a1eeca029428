"""Kernels "Python 3 (memprofile)"."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from supervised import Supervised, left


@pytest.fixture(scope="module")
def kernel() -> Iterator[Supervised]:
    """One kernel for the tests of a module that leave it as it was."""
    with Supervised() as kernel:
        yield kernel


@pytest.fixture
def fresh() -> Iterator[Supervised]:
    """A kernel for a test that does things to it."""
    with Supervised() as kernel:
        yield kernel


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where kernels of this test keep their private files; short, as sockets need it."""
    short = Path(f"/tmp/mpk{os.getpid()}")
    short.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(short))
    yield short
    forgotten = left(short)
    shutil.rmtree(short)
    assert not forgotten
