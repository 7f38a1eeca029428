"""Prints, for some 50 kinds of objects, what shallow_size says and what the allocators gave.

Run in a process of its own, with PYTHONMALLOC=malloc or without: a line ``name blocks said given``
a kind, in bytes an object. What pymalloc gave is read from ``sys._debugmallocstats``, what malloc
gave from ``mallinfo2``, which counts its own word in front of each block too.
"""

from __future__ import annotations

import array
import collections
import ctypes
import decimal
import gc
import os
import re
import sys
import tempfile
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from memprofile._native import shallow_size

MANY = 20_000


class Mallinfo(ctypes.Structure):
    _fields_ = [  # ctypes reads it
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks")),
        ("keepcost", ctypes.c_size_t),
    ]


libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo


def malloc_bytes() -> int:
    info = libc.mallinfo2()
    return int(info.uordblks + info.hblkhd)


def pymalloc_bytes() -> int:
    """Bytes in the allocated blocks of pymalloc, as CPython tells them on its standard error."""
    with tempfile.TemporaryFile() as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        file.seek(0)
        found = re.search(rb"# bytes in allocated blocks\s*=\s*([\d,]+)", file.read())
    return int(found[1].replace(b",", b"")) if found else 0


class Plain:
    pass


class Three:
    def __init__(self, i: int) -> None:
        self.a = self.b = self.c = i


class Slots:
    __slots__ = ("a", "b")


class SlotsAndWeak:
    __slots__ = ("__weakref__", "a")


class Pair(NamedTuple):
    a: int
    b: int


class MyList(list):  # type: ignore[type-arg]
    pass


class MyDict(dict):  # type: ignore[type-arg]
    pass


class MyStr(str):
    pass


class MyInt(int):
    pass


class MyBytes(bytes):
    pass


class Lying:
    def __sizeof__(self) -> int:
        raise AssertionError("a class's own __sizeof__ was called")


def materialised(i: int) -> Any:
    made = Three(i)
    vars(made)
    return made


def grown(i: int) -> Any:
    made = []
    for at in range(37):
        made.append(at)
    return made


def generator() -> Any:
    yield 1


def nested(i: int) -> Any:
    def inner() -> int:
        return i

    return inner


def shrunk(i: int) -> Any:
    made = bytearray(1000)
    del made[300:]
    return made


def with_utf8(i: int) -> Any:
    made = "\N{EURO SIGN}" * 50 + chr(0x20AC + i % 64)
    # PyUnicode_AsUTF8 keeps what it made.
    ctypes.pythonapi.PyUnicode_AsUTF8(ctypes.py_object(made))
    return made


ctypes.pythonapi.PyUnicode_AsUTF8.restype = ctypes.c_char_p
INLINE = sys.version_info >= (3, 13)
ONE = [None] * 5
KEYS = [f"key{i}" for i in range(200)]
EXACT: dict[str, tuple[int, Callable[[int], Any]]] = {
    "object": (1, lambda i: object()),
    "int": (1, lambda i: 1000 + i),
    "big int": (1, lambda i: (1 << 5000) + i),
    "float": (1, lambda i: i + 0.5),
    "complex": (1, lambda i: complex(i, 1)),
    "str": (1, lambda i: "abcdefghij" * 3 + str(i % 10)),
    "wide str": (1, lambda i: "\N{EURO SIGN}" * 30 + chr(0x2000 + i)),
    "large str": (1, lambda i: "x" * 3000 + str(i % 10)),
    "astral str": (1, lambda i: chr(0x1F600 + i % 80) * 40),
    "str with utf-8": (2, with_utf8),
    "bytes": (1, lambda i: bytes(100 + i % 2)),
    "large bytes": (1, lambda i: bytes(10_001)),
    "bytearray": (2, lambda i: bytearray(2001)),
    "shrunk bytearray": (2, shrunk),
    "empty list": (1, lambda i: []),
    "list": (2, lambda i: [None] * 10),
    "grown list": (2, grown),
    "tuple": (1, lambda i: (i % 3, None, None)),
    "large tuple": (1, lambda i: tuple(ONE * 100)),
    "empty dict": (1, lambda i: {}),
    "small dict": (2, lambda i: {"a": 1, "b": 2}),
    "dict": (2, lambda i: dict.fromkeys(KEYS)),
    "dict by int": (2, lambda i: dict.fromkeys(range(100))),
    "set": (1, lambda i: {1, 2, 3}),
    "large set": (2, lambda i: set(range(100))),
    "frozenset": (1, lambda i: frozenset((i % 3, 5, 6))),
    "plain instance": (1 if INLINE else 2, lambda i: Plain()),
    "three attributes": (1 if INLINE else 2, lambda i: Three(1)),
    "slots": (1, lambda i: Slots()),
    "slots and weakref": (1, lambda i: SlotsAndWeak()),
    "named tuple": (1, lambda i: Pair(1, 2)),
    "list subclass": (2, lambda i: MyList(ONE)),
    "dict subclass": (2, lambda i: MyDict(a=1)),
    "str subclass": (2, lambda i: MyStr("abc" * 20)),
    "int subclass": (1, lambda i: MyInt(5)),
    "bytes subclass": (1, lambda i: MyBytes(70)),
    "OrderedDict": (1, lambda i: collections.OrderedDict()),
    "deque": (2, lambda i: collections.deque(ONE)),
    "long deque": (1 + 5, lambda i: collections.deque(ONE * 53)),
    "array": (2, lambda i: array.array("d", [0.0] * 100)),
    "slice": (1, lambda i: slice(1, 2, 3)),
    "range": (1, lambda i: range(1, 3)),
    "function": (1, lambda i: lambda: None),
    "bound method": (1, lambda i: ONE.append),
    "method": (1, lambda i: types.MethodType(len, ONE)),
    "cell": (1, lambda i: types.CellType(ONE)),
    "generator": (1, lambda i: generator()),
    "list iterator": (1, lambda i: iter(ONE)),
    "Decimal": (1, lambda i: decimal.Decimal("1.5")),
    "memoryview": (1, lambda i: SHARED[1:]),
    "property": (1, lambda i: property(None)),
    "ctypes buffer": (2, lambda i: BUFFER()),
    "its own __sizeof__": (1 if INLINE else 2, lambda i: Lying()),
    "exception": (1, lambda i: ValueError()),
}
SHARED = memoryview(bytes(10))
BUFFER = ctypes.c_char * 5000

try:
    import numpy
except ImportError:
    pass
else:
    WHOLE = numpy.zeros(100)
    EXACT["ndarray"] = (3, lambda i: numpy.ones(5000))
    EXACT["ndarray of two dimensions"] = (3, lambda i: numpy.ones((50, 60), dtype="int16"))
    EXACT["view"] = (2, lambda i: WHOLE[3:])
    EXACT["numpy float"] = (1, lambda i: numpy.float64(i))


def measured(make: Callable[[int], Any]) -> tuple[float, float]:
    many = MANY if shallow_size(make(0)) < 2000 else MANY // 10
    kept: list[Any] = [None] * many
    gc.collect()
    before = malloc_bytes() + pymalloc_bytes()
    for i in range(many):
        kept[i] = make(i)
    after = malloc_bytes() + pymalloc_bytes()
    some = kept[:: many // 200]
    return sum(map(shallow_size, some)) / len(some), (after - before) / many


def main() -> None:
    gc.disable()
    malloc_bytes(), pymalloc_bytes()
    for name, (blocks, make) in EXACT.items():
        said, given = measured(make)
        print(f"{name}\t{blocks}\t{said:.2f}\t{given:.2f}")


if __name__ == "__main__":
    main()
