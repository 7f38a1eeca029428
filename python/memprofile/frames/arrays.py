"""Where the bytes of a numpy or an Arrow array are, and who keeps them.

Attributes of numpy arrays are read through numpy's own descriptors: a subclass may have put a
property of the user's in their place.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from typing import Any, NamedTuple

from memprofile import _native
from memprofile.frames.memory import OBJECTS, Column, Opaque, Reader, Stretch

_CHUNK = 1 << 16
"""Values that are looked at together: their copies stay in the processor's second cache."""


def _is_file(owner: object) -> bool:
    """Whether it is an ``mmap.mmap``; where that was not imported there is none."""
    module = sys.modules.get("mmap")
    return module is not None and type(owner) is module.mmap


def module(name: str) -> Any:
    """A module that the program has imported to its end, or None. Nothing is imported here."""
    found = sys.modules.get(name)
    spec = getattr(found, "__spec__", None)
    return None if getattr(spec, "_initializing", False) else found


def is_a(value: object, *classes: Any) -> bool:
    """Isinstance without the ``__class__`` of the value, which may be a property of the user's."""
    kinds = type(value).__mro__
    return any(kind in kinds for kind in classes if kind is not None)


class Place(NamedTuple):
    """An allocation: its first byte, its bytes, who keeps it, and whether it is a file's."""

    start: int
    size: int
    keepers: tuple[int, ...]
    mapped: bool


def _numpy(array: Any, name: str) -> Any:
    return vars(sys.modules["numpy"].ndarray)[name].__get__(array)


def address(array: Any) -> int:
    """The address of the first element of a numpy array."""
    found: int = _numpy(array, "__array_interface__")["data"][0]
    return found


def lowest(array: Any) -> int:
    """The address of the first byte of a numpy array in memory; strides may be negative."""
    steps = zip(_numpy(array, "shape"), _numpy(array, "strides"), strict=True)
    return address(array) + int(sum(stride * (n - 1) for n, stride in steps if stride < 0 and n))


def allocation(reader: Reader, array: Any, by: int | None) -> Place:
    """The allocation behind a numpy array that the object with the id ``by`` refers to; None where
    it is itself what was asked for, so that any name may refer to it.
    """
    ndarray = sys.modules["numpy"].ndarray
    keepers = [] if by is None else [reader.keep(array, by)]
    while is_a(base := _numpy(array, "base"), ndarray):
        keepers.append(reader.keep(base, id(array)))
        array = base
    start, size, mapped = lowest(array), int(_numpy(array, "nbytes")), False
    by = id(array)
    while type(base) is memoryview:
        keepers.append(reader.keep(base, by))
        by, base = id(base), base.obj
    if _is_file(base):
        mapped = True
    elif type(base) in (bytes, bytearray):
        size = len(base)
        keepers.append(reader.keep(base, by))
    return Place(start, size, tuple(keepers), mapped)


def read_numpy(
    reader: Reader,
    column: Column,
    array: Any,
    by: int | None,
    role: str,
    outside: bool = False,
    held: int = 0,
) -> None:
    """Adds a numpy array of any shape to a column; for ``held`` see ``Reader.add_objects``."""
    place = allocation(reader, array, by)
    dtype, shape = _numpy(array, "dtype"), _numpy(array, "shape")
    used = int(_numpy(array, "nbytes"))
    if 0 in _numpy(array, "strides"):
        used = min(used, place.size)  # np.broadcast_to: many rows of the same bytes
    view = (address(array), *shape, *_numpy(array, "strides"))
    stretch = Stretch(
        place.start, place.size, used, view, role, place.keepers, outside, place.mapped
    )
    column.stretches.append(stretch)
    if dtype.kind == "O":
        _read_cells(reader, column, array, stretch, held)


def _read_cells(reader: Reader, column: Column, array: Any, stretch: Stretch, held: int) -> None:
    plain = array if type(array) is sys.modules["numpy"].ndarray else _as_plain(array)
    if plain.ndim == 1:
        role = OBJECTS if stretch.role == "references" else stretch.role
        reader.add_objects(column, plain, stretch, role, held)
    else:
        for row in range(len(plain)):
            _read_cells(reader, column, plain[row], stretch, held)


def _as_plain(array: Any) -> Any:
    """A view without the subclass."""
    numpy = sys.modules["numpy"]
    return numpy.ndarray.view(array, numpy.ndarray)


def role_of(array: Any, role: str = "values") -> str:
    """What is in an array: of objects, it is references to them."""
    return "references" if _numpy(array, "dtype").kind == "O" else role


def count_missing(array: Any) -> int:
    """How many values of a one-dimensional numpy array are NaN or NaT."""
    numpy = sys.modules["numpy"]
    kind = array.dtype.kind
    if kind not in "fcmM":
        return 0
    test = numpy.isnat if kind in "mM" else numpy.isnan
    starts = range(0, len(array), _CHUNK)
    return sum(int(numpy.count_nonzero(test(array[i : i + _CHUNK]))) for i in starts)


def root(buffer: Any) -> tuple[int, int]:
    """Address and bytes of the allocation that a pyarrow Buffer is a part of."""
    while buffer.parent is not None:
        buffer = buffer.parent
    return buffer.address, buffer.size


def buffers(array: Any) -> list[Any]:
    """The buffers of a pyarrow array and of its dictionary."""
    lib = sys.modules["pyarrow"].lib
    found = [buffer for buffer in array.buffers() if buffer is not None]
    if is_a(array, lib.ExtensionArray):
        array = array.storage
    if is_a(array, lib.DictionaryArray):
        found += buffers(array.dictionary)
    return found


def read_arrow(
    reader: Reader, column: Column, array: Any, outside: bool = False, of: str = ""
) -> None:
    """Adds a pyarrow Array or ChunkedArray to a column; ``of`` is the role of all its buffers."""
    lib = sys.modules["pyarrow"].lib
    chunks = array.chunks if is_a(array, lib.ChunkedArray) else [array]
    for chunk in chunks:
        roots = sorted(map(root, buffers(chunk)))
        stream = lib.chunked_array([chunk]).__arrow_c_stream__()
        for role, start, used in _merged(_native.arrow_chunks(stream)):
            at = bisect_right(roots, (start, sys.maxsize)) - 1
            place, size = roots[at] if at >= 0 else (start, used)
            if not place <= start < place + size:
                place, size = start, used
            column.stretches.append(
                Stretch(place, size, used, (start, used), of or role, (), outside)
            )


def read_stream(column: Column, capsule: Any, outside: bool = False) -> None:
    """Adds what another library hands out as an Arrow stream to a column."""
    for role, start, used in _merged(_native.arrow_chunks(capsule)):
        if role == "categories":
            # Made for the stream: what the library keeps has another address.
            column.opaque.append(Opaque(role, used, shared=True))
        else:
            column.stretches.append(Stretch(start, used, used, (start, used), role, (), outside))


def _merged(chunks: list[list[tuple[str, int, int]]]) -> list[tuple[str, int, int]]:
    """All buffers of all chunks, each once."""
    return sorted({buffer for chunk in chunks for buffer in chunk}, key=lambda found: found[1])
