"""What of ``_native`` looks at objects. No module has this name: the stub is in two files."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final

__all__ = [
    "HeapCensus",
    "HeapRoll",
    "NameChange",
    "NameChanges",
    "NameShare",
    "NamesBefore",
    "RollChange",
    "SizeTree",
    "allocated_at",
    "argument_is_lent",
    "collector_runs",
    "deep_size",
    "garbage_knots",
    "heap_census",
    "immortal_and_interned",
    "name_shares",
    "retained_size",
    "shallow_size",
    "size_tree",
    "ways",
]

@final
class SizeTree:
    """An object with what it reaches."""

    label: str
    """How it is reached from what holds it: ``['key']``, ``[3]``, ``.attribute``."""
    type: str
    size: int
    """Its deep size, less what an earlier part has."""
    shallow: int
    count: int
    """How many objects ``size`` is of."""
    parts: list[SizeTree]
    """The largest first."""

def shallow_size(obj: object) -> int:
    """The bytes of the blocks that are an object's own, as the allocator gave them.

    Its header, a dict's table, a list's items, an array's data. Nothing of the object is called.
    """

_Libraries: TypeAlias = tuple[
    Sequence[type], Callable[[Sequence[object]], Sequence[Sequence[tuple[int, int]]]]
]
"""Types whose objects hold memory that only their library knows; and what says where that is.

It is called with some of these objects, when all else has been looked at, and returns a list of
(address, bytes) for each of them, or for the first of them alone. What it raises is raised.
"""

def deep_size(
    obj: object,
    exclude: Sequence[object],
    code: bool,
    libraries: _Libraries,
    most: int | None = None,
) -> int:
    """The deep size of an object in bytes; of the ``most`` first objects, where it reaches more.

    Raises MemprofileError when the memory that is left is too little.
    """

def size_tree(
    obj: object,
    detail: int,
    exclude: Sequence[object],
    code: bool,
    limit: int | None,
    libraries: _Libraries,
) -> SizeTree:
    """The deep size of an object, with its parts down to ``detail`` levels.

    Raises MemprofileError when the memory that is left is too little.
    """

def retained_size(obj: object, libraries: _Libraries) -> int:
    """The bytes that are free once an object is gone.

    Raises MemprofileError when the memory that is left is too little.
    """

def argument_is_lent() -> bool:
    """Whether the function that calls this has no reference of its own to its first argument.

    From CPython 3.14 on it may have none while a variable of its caller's does.
    """

def immortal_and_interned(obj: object) -> tuple[bool, bool]:
    """Whether an object lives for ever (PEP 683, or static), and whether it is an interned str."""

@final
class HeapCensus:
    """All objects, counted: (name, objects, bytes) by what they share, the largest first."""

    objects: int
    bytes: int
    types: list[tuple[str, int, int]]
    modules: list[tuple[str, int, int]]
    referrers: list[tuple[str, int, int]]
    sizes: list[tuple[str, int, int]]
    garbage: list[tuple[str, int, int]]
    roll: HeapRoll | None

@final
class HeapRoll:
    """The objects of a heap and the buffers of libraries by their places: 24 bytes each. It keeps none
    of them alive.
    """

    def since(self, libraries: _Libraries) -> RollChange:
        """Looks at the heap again. Raises MemprofileError as ``heap_census`` does."""

@final
class RollChange:
    """What became of the objects of a roll: (name, new ones, their bytes, those that are gone, their
    bytes, what the others grew by), by what they share, what is new most first.
    """

    types: list[tuple[str, int, int, int, int, int]]
    modules: list[tuple[str, int, int, int, int, int]]

def garbage_knots(
    most: int,
) -> tuple[
    list[tuple[int, int, int, int, list[tuple[str, str, str | None, int]]]],
    int,
]:
    """Objects that keep each other and that nobody keeps: ``most`` kinds of such knots, and their number.

    A knot is: how many there are of the same types, their objects and bytes together, the bytes that
    hang on them, and the shortest ring through its largest object. A ring has (how the
    one before refers to it, type, what it says of itself, bytes) of each of its objects.

    Raises MemprofileError when the memory that is left is too little.
    """

def heap_census(with_roll: bool, libraries: _Libraries) -> HeapCensus:
    """Counts all objects that the collector knows and all that they reach, with the buffers of
    libraries; ``with_roll`` notes them.

    Raises MemprofileError when the memory that is left is too little.
    """

def collector_runs() -> list[tuple[int, int, float, float]] | None:
    """How long the collector ran in the last recording: (generation, runs that were timed, seconds of
    all of them, seconds of the longest). None without a recording.
    """

def allocated_at(obj: object) -> tuple[str | None, str | None]:
    """Where the last recording says that an object's blocks were allocated: ``cell [3] line 2``.

    The block of the object itself, and the largest of its others; None of what it does not know. It
    knows what was live at its end and was recorded, 65,536 blocks at most, until the next one begins.
    """

def ways(
    obj: object, namespace: object | None, most: int, machinery: str, libraries: _Libraries
) -> tuple[int, list[list[tuple[str, str, str | None]]]] | None:
    """The bytes that are free once an object is gone, and the shortest ways to it.

    A way is a list of (how it is reached, its type, what it says of itself). The first step is ``names``
    (the namespace), ``modules`` (``sys.modules``), ``running`` (a function; files that begin with
    ``machinery`` are left out) or ``held``. None where no object that the collector knows refers to it,
    and no variable of a function that runs.

    Raises MemprofileError when the memory that is left is too little.
    """

@final
class NameShare:
    """What one name holds, in bytes."""

    name: str
    type: str
    shallow: int
    deep: int
    retained: int
    """What would be free without the name."""
    kept: int
    """What it keeps and no name before it; 0 of those that are one group."""
    shared_with: list[tuple[str, int]]
    """Other names and how much of it they reach, the largest part first."""

@final
class NamesBefore:
    """What the user's names of a shell held before a cell; it keeps none of their objects.

    ``names`` is the namespace, ``hidden`` has the names that are the shell's, and ``border`` are
    objects that are not gone into; for ``libraries`` see ``deep_size``. It takes 0.02 seconds at
    most, and ``changes`` 2% of the ``seconds`` that the cell took, within 0.01 and 0.1. A name that
    reaches too much for the first is told as not compared, and one for the second as at least so
    large.

    Raises MemprofileError when the memory that is left is too little to look at so many objects.
    """

    def __new__(
        cls,
        names: dict[str, Any],
        hidden: dict[str, Any],
        border: Sequence[object],
        libraries: _Libraries,
    ) -> NamesBefore: ...
    def changes(
        self,
        seconds: float,
        names: dict[str, Any],
        hidden: dict[str, Any],
        border: Sequence[object],
        libraries: _Libraries,
    ) -> NameChanges:
        """What has changed since. Raises MemprofileError as above."""

@final
class NameChanges:
    """What has changed of the names, for a recording's ``stop``."""

@final
class NameChange:
    """What a name of the notebook holds more than before the cell.

    Bytes of all that it reaches and no name before it in the namespace does. ``before_bytes`` is
    None of a new name, ``after_bytes`` of one that is gone; ``grown_bytes`` is the difference.
    ``at_least``: there was too little time to look at all that it reaches now.
    """

    name: str
    type: str
    """The full name of the type of its object, or of the last one."""
    before_bytes: int | None
    after_bytes: int | None
    grown_bytes: int
    at_least: bool

def name_shares(
    names: Sequence[tuple[str, list[object]]],
    passing: list[object],
    border: Sequence[object],
    together: int,
    libraries: _Libraries,
) -> tuple[list[NameShare], int, int, int]:
    """The shares of names, each given with the objects that it refers to.

    The first ``together`` names are one group for what is kept in turn. With the shares, what that
    group keeps, and how many objects and bytes are in cycles that nobody refers to.

    Each object must be in one of these lists only once for each reference, and in no variable of the
    caller. What is in ``passing`` goes by itself; objects in ``border`` are not gone into.

    Raises MemprofileError when the memory that is left is too little.
    """
