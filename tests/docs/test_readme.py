"""What the README promises can be typed in."""

import re
import subprocess
import sys

import pytest
from conftest import TOP

README = (TOP / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_there_is_an_example():
    assert EXAMPLES


@pytest.fixture(params=EXAMPLES)
def said(request, tmp_path):
    """What an example prints in a script of its own."""
    script = tmp_path / "example.py"
    script.write_text(request.param, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_example_runs_in_a_script(said, tmp_path):
    assert int(said.split(" bytes")[0].replace(",", "")) > 100_000 * (8 + 28)
    if "squares" in said:
        assert "squares = [n * n for n in range(100_000)]" in said
        assert (tmp_path / "squares.html").stat().st_size > 1000


def test_every_make_target_that_it_names_exists():
    named = set(re.findall(r"\bmake ([a-z-]+)", README)) - {"it"}
    rules = (TOP / "Makefile").read_text(encoding="utf-8")
    assert named >= {"demo", "test", "lab"}
    for target in named:
        assert re.search(rf"^{target}:", rules, re.MULTILINE), target
