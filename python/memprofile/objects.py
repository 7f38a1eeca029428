"""``sizeof``, ``retained``, ``why_alive`` and ``heap``: what holds the memory.

All of them read objects in the interpreter's own structures. No attribute is looked up and no
method is called, so properties, ``__getattr__``, ``__sizeof__`` and ``__repr__`` of a class never
run.
"""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, overload

from memprofile import _native, buffers
from memprofile._native import bytes_text
from memprofile.errors import MemprofileError
from memprofile.identity import HeapChange, signed_text

__all__ = ["Alive", "Heap", "HeapRow", "Size", "heap", "retained", "sizeof", "why_alive"]

Grouping: TypeAlias = Literal["type", "module", "referrer", "size"]
"""What the objects of a heap can be counted by."""

_MOST_PARTS = 10
"""Parts of one object that are printed; the rest is one line."""


def _libraries() -> buffers.Libraries:
    """The libraries to be asked; warns the caller of who asks for one that cannot be."""
    if (gap := buffers.gap()) is not None:
        warnings.warn(f"memprofile: {gap}", stacklevel=3)
    return buffers.libraries()


class Size:
    """A deep size with its parts: what ``sizeof(obj, detail=1)`` returns. Printed, it is a tree.

    ``label`` says how the object is reached (``['key']``, ``[3]``, ``.attribute``), ``type`` its
    type, ``size`` its deep and ``shallow`` its own bytes, ``count`` the objects in ``size``, and
    ``parts`` what it refers to, the largest first; attributes are its own parts, though a dict has
    them. What several parts share belongs to the first of them, so ``size`` is ``shallow`` and the
    sizes of the parts.
    """

    __slots__ = ("_tree",)

    def __init__(self, tree: _native.SizeTree) -> None:
        self._tree = tree

    @property
    def label(self) -> str:
        """How the object is reached from the one that holds it; empty at the top."""
        return self._tree.label

    @property
    def type(self) -> str:
        """The full name of its type."""
        return self._tree.type

    @property
    def size(self) -> int:
        """Bytes of the object and all that it reaches, less what an earlier part has."""
        return self._tree.size

    @property
    def shallow(self) -> int:
        """Bytes of the object itself."""
        return self._tree.shallow

    @property
    def count(self) -> int:
        """How many objects ``size`` is the sum of."""
        return self._tree.count

    @property
    def parts(self) -> list[Size]:
        """What it refers to, the largest first, down to the level that was asked for."""
        return [Size(part) for part in self._tree.parts]

    def __int__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"<Size of {self.type}: {bytes_text(self.size)} in {self.count} objects>"

    def __str__(self) -> str:
        return "\n".join(self._lines(0))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _lines(self, depth: int) -> Iterator[str]:
        name = f"{self.label.lstrip('.')} {self.type}".strip()
        yield f"{bytes_text(self.size):>10}  {'  ' * depth}{name}"
        parts = self.parts
        for part in parts[:_MOST_PARTS]:
            yield from part._lines(depth + 1)
        if len(parts) > _MOST_PARTS:
            rest = sum(part.size for part in parts[_MOST_PARTS:])
            yield f"{bytes_text(rest):>10}  {'  ' * (depth + 1)}{len(parts) - _MOST_PARTS} more"


@overload
def sizeof(  # type: ignore[overload-overlap]  # a literal 0 is an int, too
    obj: object,
    detail: Literal[0] = 0,
    *,
    exclude: Sequence[object] = (),
    code: bool = False,
    limit: int | None = None,
) -> int: ...
@overload
def sizeof(
    obj: object,
    detail: int,
    *,
    exclude: Sequence[object] = (),
    code: bool = False,
    limit: int | None = None,
) -> Size: ...
def sizeof(
    obj: object,
    detail: int = 0,
    *,
    exclude: Sequence[object] = (),
    code: bool = False,
    limit: int | None = None,
) -> int | Size:
    """The deep size of an object in bytes: its own blocks and those of all that it reaches.

    Each object counts once, by the blocks that the allocator gave for it; an array's data counts
    with the array that owns it, however many views there are, and so do the buffers of pyarrow and
    polars, also behind pandas. Modules end the way, and types,
    builtin functions and code objects too unless ``code`` is true. What lies in a library's own
    data (``None``, ``True``, small integers) takes nothing.

    ``exclude`` are objects that are left out with all that only they reach; of a type all its
    instances are. ``limit`` is the most references to follow. With ``detail`` above 0 the result is
    a ``Size``: a tree by attribute, key and index of that many levels.

    >>> import memprofile
    >>> memprofile.sizeof(bytearray(1_000_000)) // 1000
    1000
    >>> data = {"numbers": list(range(1000)), "text": "x" * 5000}
    >>> print(memprofile.sizeof(data, detail=1).parts[0].label)
    ['numbers']
    >>> memprofile.sizeof(data, exclude=[list]) < 6000
    True

    Raises MemprofileError when the memory that is left is too little to look at so many objects.
    """
    for name, value in (("detail", detail), ("limit", limit)):
        if value is not None and (not isinstance(value, int) or value < 0):
            raise MemprofileError(
                f"{name} is a number of levels from 0 on, not {value!r}; "
                f"for example: sizeof(data, {name}=2)"
            )
    if isinstance(exclude, type) or not isinstance(exclude, Sequence):
        raise MemprofileError(
            "exclude is a list of types and objects; for example: sizeof(data, exclude=[list])"
        )
    if not detail and limit is None:
        return _native.deep_size(obj, list(exclude), code, _libraries())
    tree = _native.size_tree(obj, detail, list(exclude), code, limit, _libraries())
    return Size(tree) if detail else tree.size


def retained(obj: object) -> int:
    """The bytes that are free once an object is gone: itself, and what only it keeps.

    That is what ``del name`` frees, with a run of the collector where there are cycles, if ``name``
    is the last one for it; ``%memvars`` says who else has it.

    >>> import memprofile
    >>> shared = bytearray(1_000_000)
    >>> mine = [shared, bytearray(2_000_000)]
    >>> memprofile.sizeof(mine) // 1_000_000, memprofile.retained(mine) // 1_000_000
    (3, 2)

    Raises MemprofileError when the memory that is left is too little to look at so many objects.
    """
    return _native.retained_size(obj, _libraries())


_TABLES = ("types", "modules", "referrers", "sizes", "garbage")


@dataclass(frozen=True, slots=True)
class HeapRow:
    """A group of objects. In a difference of two heaps figures may be below 0."""

    name: str
    count: int
    bytes: int


class Heap:
    """All objects at one moment, counted: what ``heap()`` returns. ``later - earlier`` is a change.

    ``count`` and ``bytes`` are of all objects; ``types``, ``modules`` and ``sizes`` add up to them,
    and so does ``referrers`` (by the type of what refers to an object). ``garbage`` are the cycles,
    by type, that nobody refers to and that the collector has not yet found.
    """

    __slots__ = ("_census", "_changes", "bytes", "count")

    def __init__(
        self,
        count: int,
        size: int,
        census: _native.HeapCensus | None,
        changes: dict[str, list[HeapRow]] | None = None,
    ) -> None:
        self.count = count
        self.bytes = size
        self._census = census
        self._changes = changes

    @property
    def is_difference(self) -> bool:
        """Whether it is what one heap has more than another."""
        return self._changes is not None

    def _table(self, name: str) -> list[HeapRow]:
        # Rows are made when they are asked for: a thousand of them would be in the next heap.
        if self._changes is not None:
            return self._changes[name]
        return [HeapRow(*row) for row in getattr(self._census, name)]

    @property
    def types(self) -> list[HeapRow]:
        """By type, the largest first."""
        return self._table("types")

    @property
    def modules(self) -> list[HeapRow]:
        """By the package that the type is from."""
        return self._table("modules")

    @property
    def referrers(self) -> list[HeapRow]:
        """By the type of what refers to an object."""
        return self._table("referrers")

    @property
    def sizes(self) -> list[HeapRow]:
        """By shallow size, in powers of two."""
        return self._table("sizes")

    @property
    def garbage(self) -> list[HeapRow]:
        """Cycles that nobody refers to, by type."""
        return self._table("garbage")

    def since(self) -> HeapChange:
        """Looks at the heap again: which objects are new since this one, and which are gone.

        ``self`` is of ``heap(identities=True)``. An object is the same one where its place and type
        are, and of str, int, float, bytes and tuple its value: what took the place of another one
        of its type counts as that one. Raises MemprofileError without identities, and when the
        memory that is left is too little to look at so many objects.

        >>> import memprofile
        >>> before = memprofile.heap(identities=True)
        >>> data = [bytearray(100_000) for _ in range(10)]
        >>> next(r.new_count for r in before.since().types if r.name == "bytearray")
        10
        """
        if self._census is None or self._census.roll is None:
            raise MemprofileError(
                "this heap does not know its objects; take it with: heap(identities=True)"
            )
        return HeapChange(self._census.roll.since(_libraries()))

    def __sub__(self, earlier: Heap) -> Heap:
        changes = {name: _difference(self._table(name), earlier._table(name)) for name in _TABLES}
        return Heap(self.count - earlier.count, self.bytes - earlier.bytes, None, changes)

    def listing(self, by: Grouping = "type", top: int = 10) -> _native.Listing:
        """The table by one thing that objects share, ready to draw."""
        rows = self._table(f"{by}s")
        whole = sum(abs(row.bytes) for row in rows) or 1
        cells = [_cells(row, whole, self.is_difference) for row in rows[:top]]
        rest = rows[top:]
        if rest:
            together = HeapRow(
                f"{len(rest)} more", sum(r.count for r in rest), sum(r.bytes for r in rest)
            )
            cells.append(_cells(together, whole, self.is_difference))
        lost = sum(row.bytes for row in self.garbage)
        facts = ""
        if lost > 0 and not self.is_difference:
            number = sum(row.count for row in self.garbage)
            facts = (
                f"{bytes_text(lost)} in {number:,} objects are cycles that nobody refers to: "
                "gc.collect() frees them."
            )
        columns = [by, "objects", "bytes", "share"]
        return _native.Listing(str(self), facts, [("", columns, 1, cells, "")], [])

    def __str__(self) -> str:
        if self.is_difference:
            return f"The heap changed by {self.count:+,} objects and {signed_text(self.bytes)}."
        return f"The heap has {self.count:,} objects of {bytes_text(self.bytes)}."

    def __repr__(self) -> str:
        kind = "HeapDifference" if self.is_difference else "Heap"
        return f"<{kind}: {self.count:,} objects, {signed_text(self.bytes)}>"

    def _repr_html_(self) -> str:
        return self.listing().to_html()


def _cells(row: HeapRow, whole: int, signed: bool) -> list[str]:
    count = f"{row.count:+,}" if signed else f"{row.count:,}"
    share = f"{100 * abs(row.bytes) / whole:.1f}%"
    return [row.name, count, signed_text(row.bytes), share]


def _difference(rows: list[HeapRow], earlier: list[HeapRow]) -> list[HeapRow]:
    before = {row.name: row for row in earlier}
    changed = []
    for row in rows:
        old = before.pop(row.name, HeapRow(row.name, 0, 0))
        changed.append(HeapRow(row.name, row.count - old.count, row.bytes - old.bytes))
    changed += [HeapRow(row.name, -row.count, -row.bytes) for row in before.values()]
    changed = [row for row in changed if row.count or row.bytes]
    return sorted(changed, key=lambda row: (-abs(row.bytes), row.name))


def heap(*, identities: bool = False) -> Heap:
    """All objects that the collector knows, and all that they reach, counted.

    Sizes are those of the blocks that the allocator gave; the buffers of pyarrow, polars and torch
    are rows of their own (``polars.buffer``). Nothing is collected and nothing of the user's is
    called. With ``identities`` the objects are noted, too, in 24 bytes each, so that
    ``since()`` can tell which are new; none is kept alive.

    >>> import memprofile
    >>> before = memprofile.heap()
    >>> data = [bytearray(100_000) for _ in range(10)]
    >>> change = memprofile.heap() - before
    >>> next(row.count for row in change.types if row.name == "bytearray")
    10

    Raises MemprofileError when the memory that is left is too little to look at so many objects.
    """
    census = _native.heap_census(identities, _libraries())
    return Heap(census.objects, census.bytes, census)


class Alive:
    """Why an object is alive: what ``why_alive(obj)`` returns. Printed, it says the ways to it.

    ``ways`` are the shortest ways from what stays (the notebook's names, modules, variables of
    functions that run, C code), one for each of its referrers: lists of (how it is reached, what it
    is). What is immortal has none, and 0 bytes are ``retained``. ``refcount`` is the
    number of references without those of the question itself, ``retained`` and ``shallow`` are
    bytes, ``generation`` is the collector's (None: it does not know the object), ``allocated_at``
    the lines where it was made if tracemalloc is on.
    ``recorded_at`` says which line allocated the block at its place, as the last recording of this
    process knows it, and ``data_recorded_at`` the same of the largest block of its own beside it
    (an array's data, a list's items): a block that was freed since may have given its place to
    another.
    """

    __slots__ = (
        *("allocated_at", "data_recorded_at", "generation", "immortal", "interned"),
        *("recorded_at", "refcount", "retained", "shallow", "type", "ways"),
    )

    def __init__(self) -> None:
        self.ways: list[list[tuple[str, str]]] = []
        self.type = ""
        self.refcount = 0
        self.generation: int | None = None
        self.immortal = self.interned = False
        self.retained = self.shallow = 0
        self.allocated_at: list[str] = []
        self.recorded_at: str | None = None
        self.data_recorded_at: str | None = None

    def listing(self) -> _native.Listing:
        """The ways and the figures, ready to draw."""
        if self.immortal:
            fact = "References do not keep it, so no ways to it are listed; nothing frees it."
            if self.interned:
                fact = f"All uses of these characters share it. {fact}"
            return _native.Listing(self._headline(), fact, [], [])
        facts = [
            f"{bytes_text(self.shallow)} of its own, "
            f"{bytes_text(self.retained)} are free once it is gone",
            "1 reference" if self.refcount == 1 else f"{self.refcount} references",
            "not known to the collector"
            if self.generation is None
            else f"generation {self.generation}",
        ]
        if self.interned:
            facts.append("interned: all uses of these characters share it")
        if self.allocated_at:
            facts.append("made at " + ", from ".join(self.allocated_at))
        facts += self._recorded()
        return _native.Listing(self._headline(), "; ".join(facts) + ".", [], self.ways)

    def _recorded(self) -> list[str]:
        """What the last recording says, in words."""
        data, own = self.data_recorded_at, self.recorded_at
        if data is None and own is None:
            return []
        if data == own:
            what = f"its blocks were allocated at {own}"
        elif data is None:
            what = f"the block at its place was allocated at {own}"
        elif own is None:
            what = f"the block that holds its data was allocated at {data}"
        else:
            what = f"the block at its place was allocated at {own}, that of its data at {data}"
        return [f"{what}, says the last profile (if none was freed and used again since)"]

    def _headline(self) -> str:
        if self.immortal:
            return f"This {self.type} is immortal: it lives for ever, until the interpreter ends."
        if self.ways:
            number = len(self.ways)
            ways = "one way" if number == 1 else f"{number} ways"
            return f"This {self.type} is kept in {ways}."
        return f"This {self.type} is kept by running code or by C code alone."

    def __str__(self) -> str:
        return self.listing().to_text().rstrip("\n")

    def __repr__(self) -> str:
        return f"<Alive: {self._headline()}>"

    def _repr_html_(self) -> str:
        return self.listing().to_html()

    def to_svg(self) -> str:
        """The ways as boxes and arrows."""
        return self.listing().to_svg()


def _references(obj: object) -> int:
    return sys.getrefcount(obj)


def _surplus() -> int:
    """What ``_references`` counts too much of, called from a function that has the object."""
    kept = [object()]

    def asked(obj: object) -> int:
        return _references(obj)

    return asked(kept[0]) - 1


def _generation(obj: object) -> int | None:
    """The collector's generation of an object. The oldest, where most are, is not listed."""
    if not gc.is_tracked(obj):
        return None
    for generation in range(2):
        if any(other is obj for other in gc.get_objects(generation=generation)):
            return generation
    return 2


def why_alive(obj: object, *, namespace: dict[str, object] | None = None, most: int = 5) -> Alive:
    """The shortest ways by which an object is kept, ``most`` at most, in words and as a picture.

    ``namespace`` is a dict whose names are looked at first: of a notebook its own.

    >>> import memprofile
    >>> class Cache:
    ...     def __init__(self):
    ...         self.entries = {}
    >>> cache = Cache()
    >>> cache.entries["page"] = bytearray(1_000_000)
    >>> why = memprofile.why_alive(cache.entries["page"], namespace=globals())
    >>> [by for by, what in why.ways[0]]
    ["the notebook's names", 'cache', '.entries', "['page']"]

    Raises MemprofileError when the memory that is left is too little to look at so many objects.
    """
    alive = Alive()
    alive.refcount = _references(obj) - _surplus() + _native.argument_is_lent()
    alive.immortal, alive.interned = _native.immortal_and_interned(obj)
    alive.shallow = _native.shallow_size(obj)
    alive.generation = _generation(obj)
    alive.type = type(obj).__name__
    alive.recorded_at, alive.data_recorded_at = _native.allocated_at(obj)
    if tracemalloc.is_tracing():
        trace = tracemalloc.get_object_traceback(obj)
        alive.allocated_at = [] if trace is None else [str(frame) for frame in reversed(trace)]
    if alive.immortal:
        return alive
    machinery = os.path.dirname(__file__) + os.sep
    found = _native.ways(obj, namespace, most, machinery, _libraries())
    if found is None:
        alive.retained = _native.retained_size(obj, _libraries())
    else:
        alive.retained, ways = found
        alive.ways = [_in_words(way) for way in ways]
    return alive


def _in_words(way: list[tuple[str, str, str | None]]) -> list[tuple[str, str]]:
    """A way as (how it is reached, what it is), without dicts between objects and attributes."""
    root, _, _ = way[0]
    rest = list(way[1:])
    stops: list[tuple[str, str]] = []
    if root == "names":
        stops.append(("the notebook's names", ""))
    elif root == "modules":
        if rest and rest[0][1] == "module":
            stops.append((f"module {rest.pop(0)[2]}", ""))
        else:
            stops.append(("sys.modules", ""))
    elif root == "running":
        stops.append((way[0][2] or "", ""))
    else:
        stops.append(("running code or C code", _what(way[0])))
    while rest:
        step = rest.pop(0)
        label = step[0]
        if label == ".__dict__" and rest and rest[0][0].startswith("['"):
            step = rest.pop(0)
            label = "." + step[0][2:-2]
        stops.append((label.strip(), _what(step)))
    return stops


def ring_in_words(ring: list[tuple[str, str, str | None, int]]) -> list[tuple[str, str]]:
    """A ring as (how the one before refers to it, what it is), without dicts of attributes."""
    if len(ring) > 1 and ring[0][0] == ".__dict__":
        # So that no ring begins with such a dict.
        ring = ring[-1:] + ring[:-1]
    stops: list[tuple[str, str]] = []
    # A dict whose attribute is the next one's; of the last one it is the first one's.
    by_dict = len(ring) > 1 and ring[-1][0] == ".__dict__" and ring[0][0].startswith("['")
    for label, kind, word, size in ring[:-1] if by_dict else ring:
        if stops and stops[-1][0] == ".__dict__" and label.startswith("['"):
            stops.pop()
            label = f".{label[2:-2]}"
        elif not stops and by_dict:
            label = f".{label[2:-2]}"
        stops.append((label.strip(), f"{_what((label, kind, word))}, {bytes_text(size)}"))
    return stops


def _what(step: tuple[str, str, str | None]) -> str:
    _, kind, word = step
    name = kind.rpartition(".")[2]
    return name if word is None else f"{name} {word}"
