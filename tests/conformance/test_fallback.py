"""What other platforms have, built here: Python's objects and the resident set, and this said."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]

PROGRAM = """
import gc, memprofile, os, threading
assert memprofile.__file__.startswith(os.environ["PYTHONPATH"])

def work():
    return [bytes(100 + i % 300) for i in range(20_000)]

with memprofile.profile() as exact:
    kept = [bytes(400) for _ in range(1000)]
(line,) = [line for line in exact.lines if line.surviving_bytes >= 400_000]
assert line.lineno == 9 and exact.exact, exact.lines
assert 433_000 <= line.surviving_bytes < 460_000, line

with memprofile.profile() as busy:
    kept = [work() for _ in range(20)]
truth = sum(len(block) + 33 for blocks in kept for block in blocks)
assert not busy.exact
assert abs(busy.surviving_bytes - truth) < 0.2 * truth, (busy.surviving_bytes, truth)
assert busy.peak_rss - busy.start_rss > 0.8 * truth

with memprofile.profile() as threads:
    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    child = os.fork()
    if child == 0:
        os._exit(len(work()) != 20_000)
    assert os.waitpid(child, 0)[1] == 0
    for worker in workers:
        worker.join()
for profile in (exact, busy, threads):
    assert any("only Linux with glibc has" in gap for gap in profile.gaps), profile.gaps
    assert "Native memory (numpy" in profile.to_html()
    assert str(profile).startswith("Peak"), str(profile)
assert not gc.callbacks
try:
    with memprofile.profile(limit="100GB"):
        pass
except memprofile.MemprofileError as error:
    print(error)
print("fine")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with memprofile in it, built without hooks of the C library."""
    folder = tmp_path_factory.mktemp("fallback")
    build = [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--quiet"]
    build += ["--compatibility", "linux", "--interpreter", sys.executable, "--out", str(folder)]
    env = {**os.environ, "MEMPROFILE_FALLBACK": "1", "CARGO_TARGET_DIR": "build/fallback"}
    subprocess.run(build, cwd=TOP, env=env, check=True, timeout=1200)
    (wheel,) = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*pip, str(folder / "site"), str(wheel)], check=True, timeout=120)
    return folder / "site"


@pytest.mark.timeout(1500)
def test_a_program_is_measured(installed):
    env = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PROGRAM],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("fine\n"), done.stdout
