"""Stretches of memory that columns refer to, and whose they are.

A byte of a frame is of one of three kinds. It is a column's *own* when it would be freed with
that column; it is *within* the frame when several of its columns refer to it and nothing else
does; and it is *shared* when something outside of the frame refers to it too, so that it stays
when the frame goes.

Who else refers to an array is told by its reference count: references that were found while the
frame was read are known, any more are somebody's. Arrow's and polars' own counts cannot be read
from Python; there, what a name of the caller's holds is found by address, and so is the name of
any other holder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from memprofile import _native

UNUSED = "unused"
"""The part of an array that a view of it keeps alive and no column uses."""

OBJECTS = "objects"
"""What the cells of an object column refer to."""

_SEEN = 3
"""References of ours while an object is asked for its count: the table, a local, the argument."""

# Below this, or this share of it, what an allocation has beyond its use is rounding, not a view.
_SLACK_BYTES = 4096
_SLACK_SHARE = 1 / 16


@dataclass(slots=True)
class Stretch:
    """What a column uses of one allocation. Sizes are bytes."""

    start: int
    """Address of the allocation."""
    size: int
    """Bytes of the allocation."""
    used: int
    """Bytes that the column uses of it."""
    view: tuple[int, ...]
    """What of it: the same for two columns that use the very same bytes."""
    role: str
    """What is in it: ``values``, ``missing``, ``offsets``, ``codes``, ..."""
    keepers: tuple[int, ...] = ()
    """Ids of the objects that hold it, among those the reader has kept."""
    outside: bool = False
    """Whether something outside of the frame is known to hold it."""
    mapped: bool = False
    """Whether it is a file mapped into memory, which the kernel can drop."""


class Cells(NamedTuple):
    """The objects that the cells of an array refer to."""

    number: int
    """In what the reader has counted."""
    role: str
    stretch: Stretch
    """The references themselves."""


class Opaque(NamedTuple):
    """Memory without an address that is known."""

    role: str
    size: int
    shared: bool = False
    keepers: tuple[int, ...] = ()


class Interval(NamedTuple):
    """An allocation that somebody else's name holds."""

    start: int
    size: int
    name: str
    used: int
    """Bytes that the name uses of it."""


@dataclass(slots=True)
class Held:
    """What one column holds, in bytes."""

    own: int = 0
    within: int = 0
    shared: int = 0
    mapped: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    """All of its bytes by what is in them."""
    keeps: int = 0
    """Bytes of larger allocations that its views keep alive, all of them."""
    holders: list[str] = field(default_factory=list)
    """Names outside of the frame that hold the same memory."""
    viewers: list[str] = field(default_factory=list)
    """Names outside that hold a view of a part of the column's own memory."""
    unnamed: bool = False
    """Whether something else without a name that is known does so."""
    is_view: bool = False
    """Whether it uses only a part of what it keeps alive."""
    unused: int = 0
    """Of its own bytes, those that nobody uses."""

    def add(self, role: str, size: int) -> None:
        """Counts bytes under their role."""
        if size:
            self.parts[role] = self.parts.get(role, 0) + size


class Column:
    """The memory of a column while it is read."""

    __slots__ = (
        *("counted", "dtype", "label", "nulls", "objects", "opaque", "role", "rows"),
        "stretches",
    )

    def __init__(self, label: object, dtype: str, rows: int, role: str = "column") -> None:
        self.label = label
        self.dtype = dtype
        self.rows = rows
        self.role = role
        self.nulls: int | None = None
        self.stretches: list[Stretch] = []
        self.objects: list[Cells] = []
        self.counted: set[tuple[int, ...]] = set()
        """Arrays of references whose cells are among ``objects``."""
        self.opaque: list[Opaque] = []

    def held_through(self, first: tuple[int, int], keepers: tuple[int, ...]) -> None:
        """Notes that what was added since ``first`` (a ``mark``) is held by these objects, too."""
        for stretch in self.stretches[first[0] :]:
            stretch.keepers += keepers
        self.opaque[first[1] :] = [
            part._replace(keepers=part.keepers + keepers) for part in self.opaque[first[1] :]
        ]

    def mark(self) -> tuple[int, int]:
        """How much was added by now."""
        return len(self.stretches), len(self.opaque)


class Reader:
    """Collects what columns refer to. What it keeps it gives back in ``whose``."""

    def __init__(self, nulls: Iterable[object] = (), *, objects: bool = True) -> None:
        self.columns: list[Column] = []
        self.cells = _native.Cells(list(nulls)) if objects else None
        self._kept: dict[int, Any] = {}
        self._known: dict[int, set[int]] = {}
        self.blocks: set[int] = set()
        """Ids of the blocks and indexes that are the frame's, or of a name that is known."""

    def knows(self, other: Reader) -> None:
        """Takes the references of a named frame for known: that name is found by address."""
        for held, by in other._known.items():
            self._known.setdefault(held, set()).update(by)
        self.blocks |= other.blocks

    def column(self, label: object, dtype: str, rows: int, role: str = "column") -> Column:
        """A new column."""
        column = Column(label, dtype, rows, role)
        self.columns.append(column)
        return column

    def keep(self, held: object, by: int) -> int:
        """Notes that the object with the id ``by``, which is part of the frame, refers to
        another.
        """
        self._kept.setdefault(id(held), held)
        self._known.setdefault(id(held), set()).add(by)
        return id(held)

    def add_objects(
        self, column: Column, array: Any, stretch: Stretch, role: str = OBJECTS, held: int = 0
    ) -> None:
        """Counts what the cells of a one-dimensional object array refer to, once for a column: its
        cache may have the very same array.

        ``held`` is how often the frame refers to each object from elsewhere.
        """
        view = (array.__array_interface__["data"][0], *array.shape, *array.strides)
        if self.cells is not None and len(array) and view not in column.counted:
            column.counted.add(view)
            column.objects.append(Cells(self.cells.add(array, held), role, stretch))

    def _held_elsewhere(self) -> set[int]:
        """Ids of the kept objects with more references than the frame's. Forgets them all."""
        found = set()
        for held in self._kept.values():
            if sys.getrefcount(held) - _SEEN > len(self._known[id(held)]):
                found.add(id(held))
        self._kept.clear()
        return found

    def whose(self, others: Iterable[Interval] = ()) -> tuple[list[Held], Totals]:
        """Divides all bytes among the columns; ``others`` are what names outside hold."""
        elsewhere = self._held_elsewhere()
        held = [Held() for _ in self.columns]
        totals = Totals()
        for group in _groups(self.columns, others):
            group.divide(held, totals, elsewhere)
        counted, within, outside = self.cells.finish() if self.cells else ([], 0, 0)
        totals.within += within
        totals.shared += outside
        for column, share in zip(self.columns, held, strict=True):
            for cells in column.objects:
                found = counted[cells.number]
                # An array of references that others hold keeps for them what is in its cells.
                moved = found.owned if cells.stretch.outside else 0
                share.add(cells.role, found.owned + found.within + found.outside)
                share.own += found.owned - moved
                share.within += found.within
                share.shared += found.outside + moved
                totals.shared += moved
            for part in column.opaque:
                share.add(part.role, part.size)
                if part.shared or elsewhere.intersection(part.keepers):
                    share.shared += part.size
                    totals.shared += part.size
                else:
                    share.own += part.size
        totals.own = sum(share.own for share in held)
        self.counted = counted
        return held, totals


@dataclass(slots=True)
class Totals:
    """The whole frame, each byte once."""

    own: int = 0
    within: int = 0
    shared: int = 0
    unused: int = 0
    keeps: int = 0
    """Bytes of the arrays that are used in part only, all of them."""

    @property
    def freed(self) -> int:
        """Bytes that would be freed with the frame."""
        return self.own + self.within


class _Group:
    """Allocations that overlap: one, as far as anybody can tell."""

    __slots__ = ("end", "names", "start", "users")

    def __init__(self, start: int, size: int) -> None:
        self.start = start
        self.end = start + size
        self.users: list[tuple[int, Stretch]] = []
        self.names: dict[str, int] = {}
        """Who else holds it, and how many bytes of it each uses."""

    def divide(self, held: list[Held], totals: Totals, elsewhere: set[int]) -> None:
        if not self.users:
            return
        views: dict[tuple[int, ...], list[tuple[int, Stretch]]] = {}
        for user in self.users:
            views.setdefault(user[1].view, []).append(user)
        size = self.end - self.start
        used = min(sum(users[0][1].used for users in views.values()), size)
        rest = size - used
        slack = max(_SLACK_BYTES, size * _SLACK_SHARE)
        if rest <= slack:
            rest = 0
        unnamed = any(stretch.outside for _, stretch in self.users) or any(
            keeper in elsewhere for _, stretch in self.users for keeper in stretch.keepers
        )
        # Who uses less of it than the frame has a view of the memory of the frame.
        viewers = [name for name, part in self.names.items() if used - part > slack]
        if rest and not unnamed and len(viewers) == len(self.names):
            viewers = []
        holders = [name for name in self.names if name not in viewers]
        # What the frame uses all of goes with it, whatever views of it remain; a part does not.
        outside = bool(holders or unnamed or (rest and self.names))
        for _, stretch in self.users:
            stretch.outside = outside
        for users in views.values():
            self._share(users, held, totals, outside)
        if rest:
            totals.keeps += size
        for share in {id(held[i]): held[i] for i, _ in self.users}.values():
            share.keeps += size
            share.is_view |= bool(rest)
            share.holders += [name for name in holders if name not in share.holders]
            share.viewers += [name for name in viewers if name not in share.viewers]
            share.unnamed |= unnamed
        if rest and not outside:
            self._leave(rest, used, held, totals)

    def _share(
        self, users: list[tuple[int, Stretch]], held: list[Held], totals: Totals, outside: bool
    ) -> None:
        first = users[0][1]
        columns = {i for i, _ in users}
        if first.mapped:
            pass
        elif outside:
            totals.shared += first.used
        elif len(columns) > 1:
            totals.within += first.used
        for i in columns:
            share = held[i]
            share.add(first.role, first.used)
            if first.mapped:
                share.mapped += first.used
            elif outside:
                share.shared += first.used
            elif len(columns) > 1:
                share.within += first.used
            else:
                share.own += first.used

    def _leave(self, rest: int, used: int, held: list[Held], totals: Totals) -> None:
        """What nobody uses is kept alive by all users, in proportion to what they use."""
        totals.unused += rest
        columns = sorted({i for i, _ in self.users})
        for number, i in enumerate(columns):
            of = sum(stretch.used for j, stretch in self.users if j == i)
            last = number == len(columns) - 1
            part = rest if last else min(rest, rest * of // max(used, 1))
            rest -= part
            held[i].own += part
            held[i].unused += part
            held[i].add(UNUSED, part)


def _groups(columns: list[Column], others: Iterable[Interval]) -> list[_Group]:
    """All stretches by the allocation that they lie in, whatever was said to be its end."""
    marks: list[tuple[int, int, int, Stretch | Interval]] = []
    for i, column in enumerate(columns):
        for stretch in column.stretches:
            if stretch.used or stretch.size:
                marks.append((stretch.start, max(stretch.size, stretch.used), i, stretch))
    marks += [(other.start, other.size, -1, other) for other in others if other.size]
    marks.sort(key=lambda mark: mark[:3])
    groups: list[_Group] = []
    for start, size, i, what in marks:
        if not groups or start >= groups[-1].end:
            groups.append(_Group(start, size))
        group = groups[-1]
        group.end = max(group.end, start + size)
        if isinstance(what, Stretch):
            group.users.append((i, what))
        else:
            group.names[what.name] = group.names.get(what.name, 0) + what.used
    return groups
