"""What a notebook cell really costs in memory.

In a notebook or an IPython terminal::

    %load_ext memprofile

and from then on ``%%memprofile`` as the first line of a cell, or ``%memprofile STATEMENT``.
In any Python program: ``with memprofile.profile() as p:`` or ``@memprofile.profile``.
``%memlimit 80%`` ends a cell that takes too much memory with ``MemoryLimitExceeded``.
``%memframe df``, or ``memprofile.inspect_frame(df)``, tells what a DataFrame really holds. What
goes wrong on the way raises ``MemprofileError``, whose message says what to do next.

>>> import memprofile
>>> with memprofile.profile() as p:
...     squares = [n * n for n in range(100_000)]
>>> p.peak_footprint > 100_000 * 8
True
>>> try:
...     p.save("squares.docx")
... except memprofile.MemprofileError as error:
...     print(str(error).count("save(") > 0)
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memprofile._native import __version__
from memprofile.api import Profile
from memprofile.block import profile
from memprofile.comparison import Diff
from memprofile.errors import MemoryLimitExceeded, MemprofileError
from memprofile.frames import FrameReport, inspect_frame
from memprofile.objects import heap, retained, sizeof, why_alive

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "Diff",
    "FrameReport",
    "MemoryLimitExceeded",
    "MemprofileError",
    "Profile",
    "__version__",
    "heap",
    "inspect_frame",
    "profile",
    "retained",
    "sizeof",
    "why_alive",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Adds ``%%memprofile`` and the other magics to a shell; called by ``%load_ext memprofile``."""
    # IPython is imported here only, so that scripts without it can use profile().
    from memprofile import magic, telemetry

    telemetry.begin()
    magic.install(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Takes the magics out again; called by ``%unload_ext memprofile``."""
    from memprofile import magic

    magic.uninstall(shell)
