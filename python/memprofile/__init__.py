"""What a notebook cell really costs in memory.

In a notebook or an IPython terminal::

    %load_ext memprofile

and from then on ``%%memprofile`` as the first line of a cell, or ``%memprofile STATEMENT``.
In any Python program: ``with memprofile.profile() as p:`` or ``@memprofile.profile``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memprofile._native import __version__
from memprofile.api import Profile, profile
from memprofile.errors import MemprofileError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["MemprofileError", "Profile", "__version__", "profile"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Adds ``%%memprofile`` and ``%memprofile`` to a shell; called by ``%load_ext memprofile``."""
    # IPython is imported here only, so that scripts without it can use profile().
    from memprofile import magic

    magic.install(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Takes the magics out again; called by ``%unload_ext memprofile``."""
    from memprofile import magic

    magic.uninstall(shell)
