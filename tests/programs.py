"""Programs that run in a process of their own, so that nothing of them is left in the tests'."""

import subprocess
import sys
import textwrap


def run(program, *options):
    """Runs a program in a process of its own; it must end well and say "fine"."""
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", *options, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.splitlines()[-1:] == ["fine"], result.stdout
    return result
