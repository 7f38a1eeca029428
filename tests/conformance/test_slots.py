"""The slots of every library of a scientific environment are patched and put back."""

import subprocess
import sys
from pathlib import Path


def test_every_slot_of_every_library(capfd):
    with capfd.disabled():
        print("\n== The slots of every library of the environment", flush=True)
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", Path(__file__).with_name("slots.py")],
            stderr=subprocess.PIPE,
            text=True,
            timeout=280,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
