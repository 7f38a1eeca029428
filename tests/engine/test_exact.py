"""Programs whose allocations are known to the byte, recorded exactly."""

import gc
import inspect
import sys

import memprofile
import pytest

KIB = 1024

# Made once: an expression such as 100 * KIB would allocate an int on the line that is measured.
KIB_5, KIB_30, KIB_40, KIB_50 = (n * KIB for n in (5, 30, 40, 50))
KIB_60, KIB_70, KIB_100, KIB_200 = (n * KIB for n in (60, 70, 100, 200))
KIB_300, KIB_900, MIB_3, MIB_5 = 300 * KIB, 900 * KIB, 3 << 20, 5 << 20


def of_bytearray(length):
    """What a bytearray takes: its head, its bytes, from 3.15 on in a bytes object of their own."""
    return sys.getsizeof(bytearray(length))


def line_with(profile, text):
    """The one line of this file whose source holds `text`."""
    (line,) = [line for line in profile.lines if text in line.source and line.filename == __file__]
    return line


def test_a_bytes_object_is_its_size():
    with memprofile.profile() as profile:
        block = bytes(KIB_100)
    line = line_with(profile, "block = bytes")
    assert profile.exact
    assert line.relative_error == 0
    assert line.surviving_bytes == line.peak_bytes == sys.getsizeof(block)
    assert line.temporary_bytes == 0
    assert line.allocation_count == 1
    assert profile.surviving_bytes >= sys.getsizeof(block)


def test_small_objects_are_counted_one_by_one():
    with memprofile.profile() as profile:
        blocks = [bytes(200 + i % 50) for i in range(5000)]
    size = sum(sys.getsizeof(block) for block in blocks)
    # Beside the blocks: the list's own array, which grew by realloc, at its last size, and the
    # list's head when it did not come from CPython's free list.
    array = sys.getsizeof(blocks) - sys.getsizeof([])
    line = line_with(profile, "bytes(200 + i")
    assert size + array <= line.surviving_bytes <= size + array + 2 * sys.getsizeof([])
    assert profile.exact


def test_what_is_freed_is_temporary():
    with memprofile.profile() as profile:
        for _ in range(10):
            bytes(KIB_50)
    line = line_with(profile, "bytes(KIB_50)")
    each = KIB_50 + sys.getsizeof(b"")
    assert line.temporary_bytes == line.allocated_bytes == 10 * each
    assert line.surviving_bytes == 0
    assert line.allocation_count == 10


def test_the_composition_is_of_the_peak_and_not_of_the_end():
    with memprofile.profile() as profile:
        early = bytearray(KIB_300)
        large = bytearray(KIB_900)
        del large
        late = bytearray(KIB_200)
    assert line_with(profile, "early =").peak_bytes == sys.getsizeof(early)
    assert line_with(profile, "large = bytearray").peak_bytes == of_bytearray(KIB_900)
    assert line_with(profile, "late =").peak_bytes == 0
    assert line_with(profile, "late =").surviving_bytes == sys.getsizeof(late)
    assert 1200 * KIB <= profile.peak_footprint <= 1400 * KIB
    del early, late


def test_a_function_answers_for_its_own_lines():
    def make():
        return bytearray(KIB_70)

    with memprofile.profile() as profile:
        kept = [make(), make()]
    line = line_with(profile, "return bytearray(KIB_70")
    assert line.function.endswith("make")
    assert line.surviving_bytes == 2 * of_bytearray(KIB_70)
    assert kept


def test_a_generator_and_a_coroutine_answer_for_theirs():
    def generate():
        yield bytearray(KIB_40)

    async def wait():
        return bytearray(KIB_60)

    with memprofile.profile() as profile:
        kept = list(generate())
        try:
            wait().send(None)
        except StopIteration as end:
            kept.append(end.value)
    assert line_with(profile, "yield bytearray").surviving_bytes == of_bytearray(KIB_40)
    assert line_with(profile, "return bytearray(KIB_60").surviving_bytes == of_bytearray(KIB_60)


def test_a_list_that_grows_is_counted_once():
    kept = []
    with memprofile.profile() as profile:
        for _ in range(100_000):
            kept.append(None)
    line = line_with(profile, "kept.append(None)")
    assert line.surviving_bytes == sys.getsizeof(kept) - sys.getsizeof([])
    assert line.allocated_bytes == line.surviving_bytes + line.temporary_bytes


def test_a_shrinking_block_shrinks():
    block = bytearray(400 * KIB)
    with memprofile.profile() as profile:
        grown = bytearray(KIB_300)
        del grown[KIB_5:]
    assert line_with(profile, "del grown").surviving_bytes <= 6 * KIB
    assert profile.peak_footprint >= KIB_300
    assert profile.footprint_delta <= 20 * KIB
    del block


def test_code_that_is_made_where_other_code_was_has_its_own_lines():
    """As IPython runs a cell: each statement is compiled by itself, and gone with the next."""
    import ast

    sizes = [1_000_000 + 10_000 * number for number in range(60)]
    body = ast.parse(
        "\n".join(f"kept[{i}] = bytearray({size})" for i, size in enumerate(sizes))
    ).body
    kept = {}
    with memprofile.profile() as profile:
        for statement in body:
            exec(compile(ast.Module([statement], []), "cell.py", "exec"), {"kept": kept})
    found = {line.lineno: line for line in profile.lines if line.filename == "cell.py"}
    assert set(found) == set(range(1, 61))
    for number, size in enumerate(sizes, 1):
        assert found[number].surviving_bytes == pytest.approx(size, abs=8192), number


def test_very_many_collections_are_counted_and_not_told_one_by_one():
    import gc

    def runs():
        return sum(generation["collections"] for generation in gc.get_stats())

    thresholds = gc.get_threshold()
    gc.set_threshold(700, *thresholds[1:])
    told = []
    gc.callbacks.append(lambda phase, info: told.append(phase))
    listed = list(gc.callbacks)
    with memprofile.profile() as profile:
        before, at_first = runs(), len(gc.callbacks)
        for _ in range(2_000_000):
            cycle = []
            cycle.append(cycle)
        there, at_last = runs() - before, len(gc.callbacks)
    assert there > 1500
    assert (at_first, at_last) == (2, 1)
    assert gc.callbacks == listed
    del gc.callbacks[:]
    gc.set_threshold(*thresholds)
    # The one that was there before missed none.
    assert len(told) == 2 * len([phase for phase in told if phase == "stop"])
    assert len(told) // 2 >= there
    data = profile.to_dict()
    assert there <= data["collection_count"] <= there + 5
    assert 0 < len(data["collections"]) <= 256
    assert "not every run was timed" in profile.to_html()


def test_cycles_and_their_collection_are_seen():
    gc.collect()
    with memprofile.profile() as profile:
        for _ in range(2000):
            ring = []
            ring.append(ring)
        del ring
        gc.collect()
    assert profile.to_dict()["collection_count"] >= 1
    assert line_with(profile, "ring.append(ring)").surviving_bytes <= 200


def test_recursion_to_the_limit_keeps_the_outermost_line():
    def down(depth):
        return bytearray(KIB_30) if depth == 0 else down(depth - 1)

    depth = sys.getrecursionlimit() - 100 - len(inspect.stack(0))
    with memprofile.profile() as profile:
        kept = down(depth)
    assert profile.exact
    line = line_with(profile, "return bytearray(KIB_30) if")
    assert line.surviving_bytes >= KIB_30
    functions = [
        function
        for site in profile.sites
        if site.surviving_bytes >= KIB_30
        for function, _, _ in site.stack
    ]
    assert "test_recursion_to_the_limit_keeps_the_outermost_line" in functions
    assert any("left out" in function for function in functions)
    assert kept


def test_a_memory_error_is_the_users_own():
    with memprofile.profile() as profile:
        try:
            bytearray(1 << 60)
        except MemoryError:
            failed = True
    assert failed
    assert profile.peak_footprint < 1 << 20


def test_what_was_there_before_is_not_ours():
    old = bytearray(10_000 * KIB)
    with memprofile.profile() as profile:
        del old
        new = bytearray(8000 * KIB)
    assert profile.peak_footprint < 500 * KIB
    assert -2100 * KIB < profile.footprint_delta < -1900 * KIB
    assert new


def test_anonymous_mappings_count_and_reservations_do_not():
    import mmap

    with memprofile.profile() as profile:
        used = mmap.mmap(-1, MIB_3, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        closed = mmap.mmap(-1, MIB_5, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        used.write(bytes(MIB_3))
        closed.write(bytes(MIB_5))
        closed.close()
        # Asked for and never written to: it costs nothing.
        idle = mmap.mmap(-1, MIB_5, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def mapped(text):
        (line,) = {line.lineno for line in profile.lines if text in line.source}
        return [
            (site.peak_bytes, site.surviving_bytes)
            for site in profile.sites
            if site.allocator == "mmap" and site.stack[0][2] == line
        ]

    assert mapped("used = mmap") == [(MIB_3, MIB_3)]
    assert mapped("closed = mmap") == [(MIB_5, 0)]
    assert mapped("idle = mmap") == [(0, 0)]
    # What the second write came from is zeros of the kernel's, or old memory written anew.
    assert 8 << 20 <= profile.peak_footprint < 14 << 20
    used.close()
    idle.close()


def test_small_objects_from_before_are_given_back_when_they_go():
    gc.collect()
    texts = [str(n) * 4 for n in range(300_000)]
    before = sum(map(sys.getsizeof, texts))
    with memprofile.profile() as profile:
        del texts
    assert profile.footprint_delta < -0.8 * before
