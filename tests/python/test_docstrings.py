"""What the docstrings say is there, and their examples run."""

from __future__ import annotations

import doctest
import inspect
import pydoc
import subprocess
import sys

import memprofile
import pytest
from memprofile import _native

MODULES = [memprofile, *(vars(memprofile)[name] for name in ("api", "block", "errors", "objects"))]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_the_examples_run(module: object) -> None:
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed


def test_every_public_name_says_what_it_is() -> None:
    assert sorted(memprofile.__all__) == sorted(
        name
        for name, value in vars(memprofile).items()
        if name == "__version__"
        or (getattr(value, "__module__", "").startswith("memprofile") and "_ip" not in name)
    )
    for name in memprofile.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(memprofile, name)), name
    for name, member in vars(memprofile.Profile).items():
        assert name.startswith("_") or inspect.getdoc(member), name
    classes = (_native.Line, _native.Site, _native.Timeline)
    for owner in (*classes, _native.AllocatorFigures, _native.SizeClass):
        assert inspect.getdoc(owner), owner


def test_the_help() -> None:
    shown = pydoc.plain(pydoc.render_doc(memprofile.Profile))
    assert "Bytes are integers, times are seconds." in shown
    assert "above the start" in shown
    assert "_finished" not in shown


HEAVY = {"IPython", "asyncio", "numpy", "pandas", "matplotlib", "tempfile", "subprocess", "email"}


def test_the_import_is_clean_and_light() -> None:
    code = "import sys, memprofile; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not HEAVY & set(done.stdout.split())
