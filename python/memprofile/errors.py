"""The one exception that callers catch."""

from __future__ import annotations

from memprofile._native import MemprofileError

__all__ = ["MemprofileError"]
