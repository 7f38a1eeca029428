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


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_in_a_script(example, tmp_path):
    script = tmp_path / "example.py"
    script.write_text(example, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split(" bytes")[0].replace(",", "")) > 100_000 * (8 + 28)
    assert "squares = [n * n for n in range(100_000)]" in done.stdout
    assert (tmp_path / "squares.html").stat().st_size > 1000


def test_every_make_target_that_it_names_exists():
    named = set(re.findall(r"\bmake ([a-z-]+)", README)) - {"it"}
    rules = (TOP / "Makefile").read_text(encoding="utf-8")
    assert named >= {"demo", "test", "lab"}
    for target in named:
        assert re.search(rf"^{target}:", rules, re.MULTILINE), target
