"""CPython's own tests pass with the hooks on, wherever they pass without."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULES = [
    "test_asyncio",
    "test_dict",
    "test_fork1",
    "test_gc",
    "test_generators",
    "test_json",
    "test_list",
    "test_memoryio",
    "test_pickle",
    "test_threading",
    "test_tracemalloc",
    "test_weakref",
]

if importlib.util.find_spec("test") is None or importlib.util.find_spec("test.test_gc") is None:
    pytest.skip("this CPython comes without its test suite", allow_module_level=True)


def run(command, folder):
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=900,
    )


def failures(output):
    return set(re.findall(r"^(?:FAIL|ERROR): (.*)$", output, re.MULTILINE))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("module", MODULES)
def test_it_passes_with_the_hooks_on(module, tmp_path):
    hooked = run([HERE / "with_hooks.py", "-W", module], tmp_path)
    if hooked.returncode == 0:
        assert "the hooks saw" in hooked.stdout
        return
    bare = run(["-m", "test", "-W", module], tmp_path)
    ours = failures(hooked.stdout) - failures(bare.stdout)
    if bare.returncode and failures(hooked.stdout) and not ours:
        pytest.skip(f"fails without us too: {', '.join(sorted(failures(bare.stdout)))}")
    pytest.fail(f"only with the hooks on: {sorted(ours)}\n{hooked.stdout[-8000:]}")
