"""Deep and retained sizes, on real objects and in front of hostile classes."""

import gc
import subprocess
import sys
import textwrap

import memprofile
import pytest
from memprofile import MemprofileError, retained, sizeof
from memprofile._native import shallow_size


class Hostile:
    """Whatever is asked of it, it fails; it also says so."""

    asked = []  # noqa: RUF012

    def __init__(self, **attributes):
        object.__setattr__(self, "inner", attributes)

    def __getattribute__(self, name):
        Hostile.asked.append(name)
        raise AssertionError(name)

    def _fail(self, *arguments):
        Hostile.asked.append("method")
        raise AssertionError

    __repr__ = __str__ = __sizeof__ = __hash__ = __eq__ = __len__ = __iter__ = _fail
    __bool__ = __getattr__ = __reduce__ = __dir__ = __del__ = _fail
    __class__ = property(_fail)


def quiet(hostile):
    """Takes the failing __del__ away before it can run."""
    del Hostile.__del__


def test_nothing_of_a_hostile_class_runs():
    Hostile.asked.clear()
    hostile = Hostile(a=bytearray(50_000))
    held = {"x": [hostile], (1, 2): hostile}
    assert 50_000 < sizeof(held) < 52_000
    assert 50_000 < sizeof(held, detail=4).size < 52_000
    str(sizeof(held, detail=4))
    assert retained(held) < 52_000
    assert Hostile.asked == []
    quiet(hostile)


def test_lazy_objects_and_proxies_stay_asleep():
    program = """
        import importlib.util, sys, weakref
        import memprofile

        spec = importlib.util.find_spec("this")
        loader = importlib.util.LazyLoader(spec.loader)
        spec.loader = loader
        lazy = importlib.util.module_from_spec(spec)
        loader.exec_module(lazy)
        sys.modules["this"] = lazy

        class Target: pass
        target = Target()
        proxy = weakref.proxy(target)
        memprofile.sizeof([proxy, lazy], detail=2)
        del target
        assert memprofile.sizeof([proxy]) > 0
        print("fine")
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    # `import this` prints when it is executed.
    assert result.stdout == "fine\n"


def test_each_object_counts_once():
    shared = bytearray(100_000)
    held = [shared, shared, {"again": shared}]
    assert 100_000 < sizeof(held) < 101_000


def test_parts_add_up_and_say_where_they_are():
    class Holder:
        def __init__(self):
            self.large = bytearray(80_000)
            self.small = [1.5]

    whole = sizeof({"holder": Holder(), 7: (b"x" * 3000,)}, detail=3)

    def check(size):
        if size.parts:
            assert size.size == size.shallow + sum(part.size for part in size.parts)
        for part in size.parts:
            check(part)

    check(whole)
    holder = whole.parts[0]
    assert holder.label == "['holder']"
    assert holder.type.endswith("Holder")
    assert any("large" in line for line in str(whole).splitlines())
    assert whole.parts[1].label == "[7]"


def test_every_part_of_a_large_container_has_its_key():
    many = 100_000  # looked for one after the other, these would take minutes
    for made in ({i: [i] for i in range(many)}, [[i] for i in range(many)]):
        parts = sizeof(made, detail=1).parts
        assert {part.label for part in parts if part.type == "list"} == {
            f"[{i}]" for i in range(many)
        }


def test_attributes_are_parts_of_their_object():
    class Holder:
        def __init__(self):
            self.large = bytearray(80_000)
            self.inner = None

    holder = Holder()
    vars(holder)["late"] = [1.5]  # CPython has made a dict by now
    holder.inner = Holder()
    tree = sizeof(holder, detail=2)
    labels = {part.label: part for part in tree.parts}
    assert {".large", ".inner", ".late"} <= labels.keys()
    assert {part.label for part in labels[".inner"].parts} >= {".large"}
    assert tree.size == tree.shallow + sum(part.size for part in tree.parts)
    if ".__dict__" in labels:
        assert labels[".__dict__"].parts == []
        assert labels[".__dict__"].size == labels[".__dict__"].shallow


def test_in_a_notebook_a_tree_shows_itself():
    from IPython.lib.pretty import pretty

    tree = sizeof({"a": [1.5] * 100}, detail=1)
    assert pretty(tree) == str(tree)
    assert len(pretty(tree).splitlines()) > 1


def test_added_up_without_a_graph_it_is_the_same():
    class Slotted:
        __slots__ = ("a", "b")

    slotted = Slotted()
    slotted.a = [b"x" * 100]
    kinds = [
        {i: {"a": [i], "b": (i, str(i))} for i in range(1000)},
        [set(range(50)), frozenset("abc"), slotted, textwrap, memprofile, Slotted],
        [type("T", (), {"f": lambda self, d=bytes(900): d})() for _ in range(20)],
        [(lambda: kinds), iter([1, 2]), (n for n in "abc"), sys._getframe(), ValueError("x")],
        None,
        7,
        test_options_leave_out,
    ]
    assert len({sizeof(kind) for kind in kinds}) > 5
    for kind in [*kinds, kinds, gc.get_objects()]:
        for options in ({}, {"code": True}, {"exclude": [dict, kinds[1]]}):
            assert sizeof(kind, **options) == sizeof(kind, detail=1, **options).size, options


def test_a_chain_of_many_is_no_depth():
    chain = None
    for _ in range(300_000):
        chain = (chain,)
    assert sizeof(chain) == sizeof(chain, detail=1).size > 300_000 * 40
    while chain:  # Freed at once it would be a depth for CPython.
        chain = chain[0]


def test_options_leave_out():
    data = {"a": [bytearray(10_000)], "b": bytearray(20_000)}
    assert sizeof(data, exclude=[bytearray]) < 2_000
    assert sizeof(data, exclude=[data["b"]]) < 12_000
    assert sizeof(data, limit=0) == shallow_size(data)
    assert sizeof(data, limit=1) < sizeof(data) - 9_000
    assert sizeof(Hostile, code=True) > sizeof(Hostile)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"detail": -1}, "detail"), ({"limit": "x"}, "limit"), ({"exclude": list}, "exclude")],
)
def test_a_bad_option_is_one_sentence_with_an_example(arguments, word):
    with pytest.raises(MemprofileError, match=f"{word}.*for example: sizeof"):
        sizeof([], **arguments)


def test_reference_counts_are_as_before():
    class Node:
        pass

    node = Node()
    node.me = node
    held = [node, {node: node}, (node,)]
    before = sys.getrefcount(node), sys.getrefcount(Node), sys.getrefcount(held)
    sizeof(held, detail=3)
    retained(held)
    memprofile.sizeof(held, code=True)
    assert (sys.getrefcount(node), sys.getrefcount(Node), sys.getrefcount(held)) == before


def test_arrays_count_with_their_owner():
    numpy = pytest.importorskip("numpy")
    whole = numpy.ones(100_000)
    view = whole[10:20]
    assert sizeof(whole) == pytest.approx(800_000, abs=5000)
    assert sizeof(view) == pytest.approx(800_000, abs=5000)
    assert sizeof([whole, view, whole[::2]]) == pytest.approx(800_000, abs=5000)
    assert retained(view) < 400
    names = numpy.array(["one", "two"] * 50_000, dtype=object)
    assert sizeof(names) == pytest.approx(800_000, abs=5000)
    memory = memoryview(whole)
    assert sizeof(memory) == pytest.approx(800_000, abs=5000)


def test_what_only_it_keeps_is_retained():
    shared = bytearray(300_000)

    def closure(held=bytearray(40_000)):  # noqa: B008
        return shared, held

    assert 40_000 <= retained(closure) < 42_000
    cycle = [bytearray(70_000)]
    cycle.append(cycle)
    assert 70_000 < retained(cycle) < 71_000
    # Something else reaches it, by way of the object that is asked for alone.
    inner = {"cycle": cycle}
    cycle.append(inner)
    assert 70_000 < retained(cycle) < 71_000


FREED = """
    import ctypes, gc, os, re, sys, tempfile
    sys.path.insert(0, {folder!r})
    from allocated import malloc_bytes, pymalloc_bytes
    import memprofile

    class Node:
        def __init__(self, **rest):
            self.__dict__.update(rest)

    kept = [str(i) * 10 for i in range(1000)]
    {made}
    malloc_bytes(), pymalloc_bytes(), memprofile.retained(x)
    gc.collect()
    said = memprofile.retained(x)
    gc.collect()
    before = malloc_bytes() + pymalloc_bytes()
    del x
    gc.collect()
    freed = before - malloc_bytes() - pymalloc_bytes()
    assert abs(freed - said) < 1500 + 0.02 * said, (said, freed)
    assert said > {least}, said
    print("fine")
"""
MADE = {
    "strings": ("x = [str(i) * 5 for i in range(100_000)]", 5_000_000),
    "shared": ("x = [kept, [object() for i in range(50_000)]]", 1_000_000),
    "instances": ("x = [Node(a=i, b=str(i)) for i in range(20_000)]", 2_000_000),
    "cycle": ("x = Node(); x.me = x; x.data = [Node(up=x) for i in range(20_000)]", 1_000_000),
    "class": (
        "x = [type('T', (), {'f': lambda self, d=bytearray(9_000): d})() for i in range(100)]",
        900_000,
    ),
    "nested": ("x = {i: {j: (i, j) for j in range(300)} for i in range(300)}", 5_000_000),
    "dict of sets": ("x = {i: set(range(i, i + 50)) for i in range(2_000)}", 4_000_000),
    "closures": ("x = [(lambda d: lambda: d)(bytearray(900)) for i in range(2_000)]", 2_000_000),
    "generators": ("x = [(c for c in [i, bytearray(900)]) for i in range(2_000)]", 2_000_000),
    "deques": (
        "import collections; x = [collections.deque([i] * 50) for i in range(5_000)]",
        2_000_000,
    ),
    "arrays": (
        "import numpy; x = [numpy.ones(100_000) + i for i in range(9)]; x.append(x[0][::2])",
        7_000_000,
    ),
    "views of what stays": (
        "import numpy; stays = numpy.ones(10**6); x = [stays[1:], numpy.ones(10**5), stays]",
        800_000,
    ),
    "frame": (
        "import pandas; x = pandas.DataFrame({'n': range(10**5), 's': [*map(str, range(10**5))]}, "
        "dtype=object); x.loc[5]",
        8_000_000,
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_retained_is_what_deleting_really_frees(name):
    made, least = MADE[name]
    for library in ("numpy", "pandas"):
        if f"import {library}" in made:
            pytest.importorskip(library)
    folder = __file__.rsplit("/", 1)[0]
    program = textwrap.dedent(FREED).format(folder=folder, made=made, least=least)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.stdout == "fine\n", result.stderr


def test_the_collector_has_nothing_new_to_do():
    gc.collect()
    gc.disable()
    try:
        before = gc.get_count()
        sizeof([[] for _ in range(1000)])
        assert gc.get_count()[0] - before[0] < 1100
    finally:
        gc.enable()
