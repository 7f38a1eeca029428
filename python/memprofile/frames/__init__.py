"""What a DataFrame really holds: of pandas, polars, pyarrow or numpy, column by column.

No library is imported here; one that the program has not imported cannot have made its frame. A
frame is read where its library keeps it, and only read.
"""

from __future__ import annotations

from memprofile.frames.advice import Advice
from memprofile.frames.inspect import inspect_frame
from memprofile.frames.report import FrameColumn, FrameReport

__all__ = ["Advice", "FrameColumn", "FrameReport", "inspect_frame"]
