"""Run by test_interrupts.py: one watched cell after the other, interrupted one line later each.

A trace function counts the lines of memprofile's own Python code that run and raises SIGINT
at the n-th, for every n until a cell comes to its end without.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

import memprofile
from IPython.core.interactiveshell import InteractiveShell
from memprofile import _native, telemetry

OURS = os.path.dirname(memprofile.__file__)


def check(shell: InteractiveShell, moment: int) -> None:
    assert not _native.is_recording(), moment
    assert _native.next_limit() == 1, moment
    assert telemetry._told is None, moment
    assert signal.getsignal(signal.SIGURG) is signal.SIG_DFL, moment
    assert "showtraceback" not in shell.__dict__, moment
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, moment


def main(cell: str, first_line: str) -> None:
    shell = InteractiveShell.instance(colors="nocolor", history_length=0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    shell.display_pub.publish = lambda *args, **kwargs: None  # type: ignore[method-assign]
    shell._showtraceback = lambda *args: None  # type: ignore[method-assign]
    memprofile.load_ipython_extension(shell)
    bare = shell.run_cell(cell).success
    profiled = first_line.startswith("%%memprofile")
    if not profiled:
        shell.run_cell(first_line)
        # The black box stays on from here.
        shell.run_cell(cell)
    moment = 0
    while True:
        seen = 0

        def trace(frame: FrameType, event: str, argument: Any, at: int = moment + 1) -> Any:
            nonlocal seen
            if not frame.f_code.co_filename.startswith(OURS):
                return None
            if event == "line":
                seen += 1
                if seen == at:
                    signal.raise_signal(signal.SIGINT)
            return trace

        sys.settrace(trace)
        try:
            result = shell.run_cell(first_line + "\n" + cell if profiled else cell)
        except KeyboardInterrupt:
            result = None
        finally:
            sys.settrace(None)
        check(shell, moment)
        if seen <= moment:
            break
        moment += 1
    assert result is not None
    assert result.success == bare
    print(moment, "moments")


if __name__ == "__main__":
    main(*sys.argv[1:])
