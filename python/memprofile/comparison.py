"""``Profile.diff``: what changed from one profile to another."""

from __future__ import annotations

import sys
from collections.abc import Container

from memprofile import _native
from memprofile.options import DEFAULT_TOP
from memprofile.terminal import USUAL_WIDTH, columns


class Diff:
    """What changed from one profile to another, as ``Profile.diff`` finds it.

    Bytes, the second less the first. Shown in a notebook it is a table of what grew; printed, it
    is text.
    """

    __slots__ = ("_found",)

    def __init__(self, found: _native.Diff) -> None:
        self._found = found

    @property
    def peak_footprint(self) -> int:
        """By how much the peak grew."""
        return self._found.peak_footprint

    @property
    def surviving_bytes(self) -> int:
        """By how much what stays grew."""
        return self._found.surviving_bytes

    @property
    def total_allocated(self) -> int:
        """How much more was allocated in all."""
        return self._found.total_allocated

    @property
    def peak_rss(self) -> int:
        """By how much the largest resident set size of the process grew."""
        return self._found.peak_rss

    @property
    def lines(self) -> list[_native.DiffLine]:
        """Each line that allocated in one of them, the one that changed most first.

        ``name``, ``source``, and changes in bytes: ``peak_bytes``, ``surviving_bytes``,
        ``allocated_bytes``. ``within_error``: they may be chance, as something was sampled.
        """
        return self._found.lines

    def to_text(self, top: int = DEFAULT_TOP, *, width: int = USUAL_WIDTH) -> str:
        """The comparison as text; the ``top`` lines that changed most, the rest as one row.

        Columns that do not fit into ``width`` letters are left out.
        """
        return self._found.to_text(top, width)

    def to_html(self, top: int = DEFAULT_TOP) -> str:
        """The comparison as an HTML fragment without scripts."""
        return self._found.to_html(top)

    def __repr__(self) -> str:
        return f"<memprofile.Diff: {self._found.to_line()}>"

    def __str__(self) -> str:
        return self.to_text(width=columns(sys.stdout)).rstrip("\n")

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        """The comparison for a front end: HTML and text."""
        forms = {"text/plain": self.to_text, "text/html": self.to_html}
        return {
            mime: draw()
            for mime, draw in forms.items()
            if (include is None or mime in include) and (exclude is None or mime not in exclude)
        }
