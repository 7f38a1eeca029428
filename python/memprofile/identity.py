"""What became of the objects of an earlier heap: what ``Heap.since()`` returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memprofile import _native
from memprofile._native import bytes_text

__all__ = ["ChangeRow", "HeapChange"]

NOTE = (
    "objects are told apart by their place, type and, of str, int, float, bytes and tuple, value; "
    "another one of the same type in the place of one that is gone counts as that one"
)


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A group of objects: how many of it are new and gone, with their bytes.

    ``grown_bytes`` is what those that stayed have grown by; below 0 where they shrank.
    """

    name: str
    new_count: int
    new_bytes: int
    gone_count: int
    gone_bytes: int
    grown_bytes: int


def signed_text(size: int) -> str:
    """Bytes with a minus where they are below 0."""
    return f"-{bytes_text(-size)}" if size < 0 else bytes_text(size)


def _sum(rows: Sequence[ChangeRow], name: str) -> ChangeRow:
    columns = zip(
        *((r.new_count, r.new_bytes, r.gone_count, r.gone_bytes, r.grown_bytes) for r in rows),
        strict=True,
    )
    return ChangeRow(name, *map(sum, columns)) if rows else ChangeRow(name, 0, 0, 0, 0, 0)


def _cells(row: ChangeRow) -> list[str]:
    new, gone = f"{row.new_count:,}", f"{row.gone_count:,}"
    sizes = bytes_text(row.new_bytes), bytes_text(row.gone_bytes), signed_text(row.grown_bytes)
    return [row.name, new, sizes[0], gone, sizes[1], sizes[2]]


class HeapChange:
    """Which objects are new and gone since an earlier heap. ``types`` and ``modules`` are rows of
    both, what is new most first; each adds up to all of it.
    """

    __slots__ = ("modules", "types")

    def __init__(self, change: _native.RollChange) -> None:
        self.types = [ChangeRow(*row) for row in change.types]
        self.modules = [ChangeRow(*row) for row in change.modules]

    def listing(self, by: Literal["type", "module"] = "type", top: int = 10) -> _native.Listing:
        """The table, ready to draw."""
        rows = self.types if by == "type" else self.modules
        cells = [_cells(row) for row in rows[:top]]
        if rows[top:]:
            cells.append(_cells(_sum(rows[top:], f"{len(rows) - top} more")))
        columns = [by, "new", "bytes of new", "gone", "bytes of gone", "others grew"]
        return _native.Listing(str(self), "", [("", columns, 1, cells, NOTE)])

    def __str__(self) -> str:
        whole = _sum(self.types, "")
        return (
            f"{whole.new_count:,} objects of {bytes_text(whole.new_bytes)} are new, "
            f"{whole.gone_count:,} of {bytes_text(whole.gone_bytes)} are gone; "
            f"what stayed grew by {signed_text(whole.grown_bytes)}."
        )

    def __repr__(self) -> str:
        return f"<HeapChange: {self}>"

    def _repr_html_(self) -> str:
        return self.listing().to_html()
