"""A library's own tests in this process: suite.py numpy|pandas bare|hooked REPORT PROGRESS.

``REPORT`` is a file to be written, ``PROGRESS`` the descriptor of one to say how far it is.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

import memprofile
import outcomes

OURS = ["-p", "outcomes", "-p", "no:cacheprovider", "--tb=short"]


def numpy_suite():
    import numpy

    # A configuration of its own: pytest would look for one in the folders above numpy.
    Path("pytest.ini").write_text("[pytest]\n")
    numpy.test(extra_argv=[*OURS, "-c", "pytest.ini"])


def pandas_suite():
    import pandas
    import pytest

    tests = Path(pandas.__file__).parent / "tests"
    # What pandas.test() leaves out, too.
    marks = "not slow and not network and not db and not single_cpu"
    pytest.main([*OURS, "-q", "-m", marks, str(tests / "frame"), str(tests / "groupby")])


def main(library, way, report, progress):
    terminal = os.fdopen(int(progress), "w", buffering=1)
    outcomes.say = lambda text: print(f"   {library}, {way}: {text}", file=terminal)
    recording = memprofile.profile() if way == "hooked" else contextlib.nullcontext()
    with recording as profile:
        {"numpy": numpy_suite, "pandas": pandas_suite}[library]()
    result = {"passed": outcomes.passed, "failed": outcomes.failed}
    if profile is not None:
        result |= {"allocations": profile.allocation_count, "gaps": profile.gaps}
        result["report"] = profile.to_text()
    Path(report).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
