"""What a terminal can show."""

from __future__ import annotations

import os
from typing import TextIO


def has_colors(stream: TextIO | None) -> bool:
    """Whether text that is written there may hold ANSI colours.

    It is a terminal, not a dumb one, and nobody said ``NO_COLOR`` (https://no-color.org).
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):  # what stands in for a stream, or a closed one
        return False
