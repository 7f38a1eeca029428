"""What a terminal can show."""

from __future__ import annotations

import os
import shutil
from typing import TextIO

USUAL_WIDTH = 80
"""Letters of a line of text where nobody says another number."""


def has_colors(stream: TextIO | None) -> bool:
    """Whether text that is written there may hold ANSI colours.

    It is a terminal, not a dumb one, and nobody said ``NO_COLOR`` (https://no-color.org).
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return _is_terminal(stream)


def columns(stream: TextIO | None) -> int:
    """How many letters a line may have there: those of the terminal, else the usual ones."""
    if not _is_terminal(stream):
        return USUAL_WIDTH
    return shutil.get_terminal_size((USUAL_WIDTH, 24)).columns


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):  # what stands in for a stream, or a closed one
        return False
