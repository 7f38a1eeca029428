"""A copy of memprofile for each process that is measured.

The pages of a file keep their places in the machine's memory from run to run, and with them the
sets of the caches that its code shares with others': of the copies of one build some cost a loop
of numpy's temporaries 1.5% more, each time. With a new copy for each run that is part of the
spread.
"""

import importlib.util
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def copied_library():
    """What to add to a process's environment, so that it imports a copy. It is there meanwhile."""
    installed = Path(importlib.util.find_spec("memprofile").origin).parent
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(installed, Path(folder, "memprofile"))
        yield {"PYTHONPATH": folder}
