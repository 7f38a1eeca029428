"""The memprofile kernel: ``python -m memprofile.kernel -f CONNECTION_FILE``.

Jupyter runs this line, which stands in ``kernel.json``, when "Python 3 (memprofile)" is chosen.
This process supervises; a second one computes: a stock ipykernel with the magics in place and the
hooks loaded before anything else.
"""

from __future__ import annotations

# Nothing is imported here that the child's first cell would not find imported in a stock kernel.
import signal
import sys
from types import FrameType

from memprofile import _native

_CHILD = "--child"
_USAGE = """usage: python -m memprofile.kernel -f CONNECTION_FILE [OPTION OF IPYKERNEL]...

Jupyter starts this when the kernel "Python 3 (memprofile)" is chosen, and writes the file.
In a terminal: jupyter console --kernel memprofile
"""


def _not_now(signum: int, frame: FrameType | None) -> None:
    """An interrupt where there is no cell to interrupt; "ignored" is what a child would inherit."""


def supervise(arguments: list[str]) -> int:
    """Runs the supervisor with ``-f FILE`` and options for ipykernel; gives the exit code."""
    if arguments[:1] != ["-f"] or len(arguments) < 2:
        print(_USAGE, file=sys.stderr)
        return 2
    import os
    import subprocess

    signal.signal(signal.SIGINT, _not_now)
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    child = [sys.executable, *flags, "-m", __spec__.name, _CHILD, str(os.getpid()), *arguments[2:]]
    try:
        return _native.run_kernel(arguments[1], child)
    except _native.MemprofileError as error:
        print(f"memprofile: {error}", file=sys.stderr)
        return 1


def _note_crashes(arguments: list[str]) -> None:
    """Has Python write the lines that ran beside the connection file when native code crashes."""
    import faulthandler
    import os

    path = os.path.join(os.path.dirname(arguments[arguments.index("-f") + 1]), "faults")
    faulthandler.enable(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def compute(supervisor: int, arguments: list[str]) -> None:
    """Runs a stock kernel as the child of the process ``supervisor``."""
    # ipykernel takes interrupts over; before that one would end us.
    signal.signal(signal.SIGINT, _not_now)
    _native.end_with_parent(supervisor)
    _note_crashes(arguments)
    # As ipykernel_launcher does: what lies in the working directory comes after what is installed.
    from pathlib import Path

    if sys.path[0] == "" or Path(sys.path[0]) == Path.cwd():
        del sys.path[0]
    import ipykernel_launcher
    from ipykernel.kernelapp import IPKernelApp

    from memprofile import load_ipython_extension

    class KernelApp(IPKernelApp):
        """The stock application, with the magics in place before any code of the user's runs."""

        def init_extensions(self) -> None:
            if self.shell is not None:
                load_ipython_extension(self.shell)
            super().init_extensions()  # type: ignore[no-untyped-call, unused-ignore]

    sys.argv = [ipykernel_launcher.__file__, *arguments]
    KernelApp.launch_instance()


if __name__ == "__main__":
    if sys.argv[1:2] == [_CHILD]:
        compute(int(sys.argv[2]), sys.argv[3:])
    else:
        sys.exit(supervise(sys.argv[1:]))
