"""The tests of numpy and pandas themselves pass with the hooks on, wherever they pass without."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# How many tests pass at least: less, and the suite did not run.
SUITES = {"numpy": 30_000, "pandas": 20_000}


def start(library, way, folder, terminal):
    """The suite in a process of its own, and the file that it reports to."""
    folder.mkdir()
    report = folder / "report.json"
    # numpy's tests of f2py call meson.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            ["nice", sys.executable, HERE / "suite.py", library, way, report, str(terminal)],
            cwd=folder,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(HERE)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[terminal],
        )
    return process, report


def finish(process, report):
    status = process.wait()
    output = (report.parent / "output.txt").read_text(errors="replace")
    assert report.exists(), f"it ended with {status}\n{output[-8000:]}"
    return json.loads(report.read_text())


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("library", SUITES)
def test_it_passes_with_the_hooks_on(library, tmp_path, capfd):
    with capfd.disabled():
        print(f"\n== The tests of {library}, bare and with the hooks on", flush=True)
        terminal = os.dup(1)
        # Side by side, so that both see the same load of the machine.
        runs = [start(library, way, tmp_path / way, terminal) for way in ("bare", "hooked")]
        os.close(terminal)
        try:
            bare, hooked = (finish(*run) for run in runs)
        finally:
            for process, _ in runs:
                process.kill()
    assert bare["passed"] >= SUITES[library], bare
    # A recording that saw nothing would prove nothing.
    assert hooked["allocations"] > 10_000_000, hooked["report"]
    ours = {test: why for test, why in hooked["failed"].items() if test not in bare["failed"]}
    assert not ours, "\n\n".join(f"{test}\n{why[-2000:]}" for test, why in ours.items())
    assert hooked["passed"] >= bare["passed"], "no test was left out"
