"""An interpreter whose frames nobody has looked at is refused at the build, in a sentence."""

import os
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]

# What PyO3 is told of an interpreter, as if it had asked it.
INTERPRETERS = {
    "a free-threaded build of CPython 3.14": "version=3.14\nbuild_flags=Py_GIL_DISABLED",
    "CPython 3.10": "version=3.10",
    "PyPy 3.11": "version=3.11\nimplementation=PyPy",
}


# The first one builds what it depends on.
@pytest.mark.timeout(1300)
@pytest.mark.parametrize("what", INTERPRETERS)
def test_it_says_which_would_do(tmp_path, what):
    config = tmp_path / "interpreter.txt"
    config.write_text(f"{INTERPRETERS[what]}\nshared=true\n")
    done = subprocess.run(
        ["cargo", "check", "--locked", "--quiet", "--lib", "--features", "python"],
        cwd=TOP,
        env={**os.environ, "PYO3_CONFIG_FILE": str(config), "CARGO_TARGET_DIR": "build/refused"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode != 0
    said = f"memprofile measures CPython 3.11 to 3.15 with the GIL, and this is {what}: "
    assert said in done.stderr, done.stderr[-3000:]
