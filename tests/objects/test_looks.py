"""The magics in a real shell, in a process of their own."""

import gc

import pytest
from shells import in_a_shell


def test_names_say_what_they_hold_share_and_free():
    in_a_shell("""
        cell("mine = [bytearray(3 * 2**20)]; one = [bytearray(2**20)]; two = one")
        text = cell("%memvars")
        mine, one = row(text, "mine "), row(text, "one ")
        assert abs(sizes(mine)[-2] - 3 * MIB) < 0.01 * MIB, text
        assert abs(sizes(mine)[-1] - 3 * MIB) < 0.01 * MIB, text
        assert "two" in one and sizes(one)[-1] == 0, text
        assert "since" not in text, "with nothing to compare it to"
        cell("mine.append(bytearray(2**20)); later = [1]")
        text = cell("%memvars")
        grown = row(text, "mine ")
        assert "grew 1.00 MiB since [2]" in grown, grown
        assert " new " in row(text, "later "), text
        assert "as in [" in row(cell("%memvars"), "mine ")
        assert "more" in cell("%memvars --top 1")
    """)


def test_one_name_is_one_and_none_has_no_table():
    in_a_shell("""
        text = cell("%memvars")
        assert "No name of the notebook keeps anything" in text, text
        assert "freed by del" not in text, text
        assert "1 name keeps " in cell("one = bytearray(1000)\\n%memvars")
    """)


def test_what_names_share_is_counted_once_with_all_of_them():
    in_a_shell("""
        cell("one = [bytearray(6 * 2**20)]; two = one; three = {'x': one}; other = [one[0]]")
        text = cell("%memvars")
        kept = sizes(text.splitlines()[0])
        assert text.startswith("4 names keep ") and abs(kept[0] - 6 * MIB) < 0.01 * MIB, text
        assert all(sizes(row(text, name))[-1] < 1000 for name in ("one ", "two ", "other ")), text
        # What a result shares with a name is the name's; what results share is not lost.
        cell("one"); cell("memoryview(bytearray(3 * 2**20))"); cell("[Out[3]]")
        cell("1"); cell("2"); cell("3")
        lines = cell("%memvars").splitlines()
        kept, hidden = sizes(lines[0])
        assert abs(kept - 6 * MIB) < 0.01 * MIB, lines
        assert abs(hidden - 3 * MIB) < 0.01 * MIB, lines
        said = cell("%memvars --free history")
        assert abs(sizes(said)[-1] - 3 * MIB) < 0.01 * MIB, said
    """)


def test_what_hides_is_found_and_freed():
    in_a_shell("""
        import gc
        gc.disable()
        cell("class Large:\\n    def __init__(self): self.data = bytearray(3 * 2**20)")
        cell("Large()")
        cell("def broken():\\n    local = bytearray(5 * 2**20)\\n    1 / 0")
        cell("broken()")
        cell("for _i9 in range(4):\\n    a = [bytearray(2**20)]; a.append(a)\\ndel a")
        cell("def outer():\\n    d = bytearray(2 * 2**20)\\n    return lambda: d\\nf = outer()")
        cell("1"); cell("2"); cell("3"); cell("4")
        text = cell("%memvars")
        for start, wanted in (("Out[2]", 3), ("the last traceback", 5), ("closure", 2)):
            assert abs(sizes(row(text, start))[-1] - wanted * MIB) < 0.2 * MIB, text
        cycles = next(line for line in text.splitlines() if "unreachable cycles" in line)
        assert 4 * MIB < sizes(cycles)[-1] < 7 * MIB, text
        for what, wanted in (("history", 3), ("traceback", 5)):
            said = cell(f"%memvars --free {what}")
            assert said.startswith("Dropping ") and abs(sizes(said)[-1] - wanted * MIB) < MIB, said
        text = cell("%memvars")
        assert not [word for word in ("Out[2]", "traceback", "unreachable") if word in text], text
        assert not [o for o in gc.get_objects() if type(o).__name__ == "Large"]
        cell("a = [bytearray(2**20)]; a.append(a)\\ndel a")
        said = cell("%memvars --free cycles")
        assert sizes(said)[-1] >= MIB, said
    """)


def test_the_last_traceback_is_told_right_after_its_cell():
    in_a_shell("""
        cell("def broken():\\n    local = bytearray(5 * 2**20)\\n    1 / 0")
        cell("broken()")
        text = cell("%memvars")
        assert abs(sizes(row(text, "the last traceback"))[-1] - 5 * MIB) < 0.2 * MIB, text
        said = cell("%memvars --free traceback")
        assert abs(sizes(said)[-1] - 5 * MIB) < 0.2 * MIB, said
        assert "traceback" not in cell("%memvars")
    """)


def test_the_text_of_a_cell_is_found_and_freed():
    in_a_shell("""
        import gc
        cell("x = '" + "y" * 3_000_000 + "'[:10]")
        text = cell("%memvars")
        before = sizes(row(text, "the text of the cells"))[-1]
        assert 2.8 * MIB < before < 10 * MIB and "%memvars --free inputs" in text, text
        numbered = len(shell.user_ns["In"])
        cell("1"); cell("2"); cell("3"); cell("4")
        before = sizes(row(cell("%memvars"), "the text of the cells"))[-1]
        said = cell("%memvars --free inputs")
        assert said.startswith("Dropping the text of the cells (In[n]"), said
        assert abs(sizes(said)[-1] - before) < 10_000, (said, before)
        assert "the text of the cells" not in cell("%memvars")
        long = [v for v in shell.user_ns_hidden.values() if type(v) is str and len(v) > 1e6]
        assert not long and len(shell.user_ns["In"]) == numbered + 7, shell.user_ns["In"]
        cell("last = 7")
        assert shell.user_ns["In"][-1] == "last = 7"
    """)


def test_why_says_the_way_in_words():
    in_a_shell("""
        cell("class Cache:\\n    def __init__(self): self.entries = {'page': [bytearray(10)]}")
        cell("cache = Cache()")
        text = cell("%memwhy cache.entries['page']")
        assert "names → cache (Cache) → .entries (dict) → ['page'] (list)" in text, text
        assert "1 reference;" in text, text
        for always in ("None", "True", "int"):
            text = cell(f"%memwhy {always}")
            assert "is immortal" in text and "no ways" in text and "→" not in text, text
    """)


def test_variables_of_functions_and_generators_have_their_names():
    in_a_shell("""
        import threading

        cell("import threading\\nready, done = threading.Event(), threading.Event()")
        cell("\\n".join([
            "def numbers(data):",
            "    kept = [data]",
            "    yield kept",
            "def worker():",
            "    mine = [3]",
            "    global seen",
            "    seen = id(mine)",
            "    ready.set()",
            "    done.wait()",
            "def counter():",
            "    inner = [5]",
            "    return lambda: inner",
        ]))
        cell("made = numbers(bytearray(100)); next(made); count = counter()")
        text = cell("%memwhy made.gi_frame.f_locals['kept']")
        assert "names → made (generator numbers) → kept (list)" in text, text
        text = cell("%memwhy count()")
        assert "[0] (cell) → .cell_contents (list)" in text, text
        cell("thread = threading.Thread(target=worker); thread.start(); ready.wait()")
        try:
            text = cell("import _ctypes\\n%memwhy _ctypes.PyObj_FromPtr(seen)")
        finally:
            cell("done.set(); thread.join()")
        assert "running worker() in another thread → mine (list)" in text, text
        assert "why_alive" not in text and "inside" not in text, text
    """)


def test_views_and_tracebacks_have_the_names_of_their_attributes():
    numpy = pytest.importorskip("numpy")
    import memprofile

    whole = numpy.ones(1000)
    names = {"part": whole[3:]}
    (way,) = [w for w in memprofile.why_alive(whole, namespace=names).ways if "part" in w[1]]
    assert way[-1] == (".base", "ndarray"), way

    def inner():
        raise KeyError

    try:
        inner()
    except KeyError as error:
        names = {"error": error}
        below = error.__traceback__.tb_next
    (way,) = [w for w in memprofile.why_alive(below, namespace=names).ways if "error" in w[1][0]]
    assert [by for by, _ in way[1:]] == ["error", ".__traceback__", ".tb_next"], way


def test_a_variable_of_the_caller_is_a_way():
    import memprofile

    local = bytearray(1000)
    ways = memprofile.why_alive(local).ways
    assert [way for way in ways if way[-1] == ("local", "bytearray")], ways
    function = "running test_a_variable_of_the_caller_is_a_way()"
    assert ways[0][0] == (function, ""), ways


def test_the_heap_is_counted_and_changes_are_told():
    in_a_shell("""
        text = cell("%memheap --top 3")
        lines = text.rstrip().splitlines()
        assert "The heap has" in lines[0] and " more " in lines[-1], text
        for by in ("module", "referrer", "size"):
            assert by in cell(f"%memheap --by {by} --top 2"), by
        assert "no mark yet" in cell("%memheap --since")
        assert "Marked" in cell("%memheap --mark")
        cell("class Fresh: pass\\nkept = [Fresh() for _ in range(1234)]")
        assert "1,234" in row(cell("%memheap --since"), "__main__.Fresh").split()
        text = cell("%memheap --garbage")
        assert "generation 0" in text, text
    """)


def test_bad_options_are_one_sentence_with_an_example():
    in_a_shell("""
        for line in ("%memvars --free x", "%memvars --top 0", "%memheap --by x", "%memheap -x",
                     "%memwhy", "%memheap --top"):
            text = cell(line)
            assert "for example: %mem" in text and len(text.splitlines()) == 1, text
    """)


def test_unload_takes_the_magics_out():
    in_a_shell("""
        shell.run_line_magic("unload_ext", "memprofile")
        for name in ("memvars", "memwhy", "memheap"):
            assert shell.find_line_magic(name) is None, name
    """)


def test_nothing_of_a_hostile_class_runs():
    in_a_shell("""
        cell("\\n".join([
            "class Hostile:",
            " asked = []",
            " def fail(self, *rest):",
            "  Hostile.asked.append(rest)",
            "  raise AssertionError",
            " __getattribute__ = __repr__ = __str__ = __len__ = __eq__ = __hash__ = fail",
            " __bool__ = __sizeof__ = __dir__ = __reduce__ = __iter__ = fail",
            " __class__ = shape = property(fail)",
        ]))
        cell("hostile = Hostile(); held = [hostile]")
        for line in ("%memvars", "%memwhy held", "%memheap", "%memwhy held[0]"):
            text = cell(line)
            assert "Error" not in text, text
        assert vars(shell.user_ns["Hostile"])["asked"] == []
    """)


def test_heaps_subtract():
    import memprofile

    class Marked:
        pass

    gc.collect()  # what earlier tests have left must not go meanwhile
    before = memprofile.heap()
    kept = [Marked() for _ in range(321)]
    change = memprofile.heap() - before
    row = next(row for row in change.types if row.name.endswith("Marked"))
    assert (row.count, len(kept)) == (321, 321)
    assert row.bytes >= 321 * 32
    assert change.is_difference
    assert "+" in str(change)
    for rows in (before.types, before.modules, before.sizes, before.referrers):
        assert sum(row.bytes for row in rows) == before.bytes
        assert sum(row.count for row in rows) == before.count
    assert "<table" in before._repr_html_()


def test_why_alive_counts_references_and_draws():
    import memprofile

    kept = [object()]
    also = {"x": kept[0]}
    why = memprofile.why_alive(kept[0], namespace={"kept": kept})
    assert why.refcount == 2, (why, also)
    assert why.generation is None
    assert not why.immortal
    assert not why.interned
    assert memprofile.why_alive("interned_name_of_ours").interned
    page = why._repr_html_()
    assert "<svg" not in page
    module = memprofile.why_alive(pytest.MonkeyPatch)
    assert module.ways
    assert "<svg" in module.to_svg()


def test_since_a_mark_each_new_object_is_told():
    in_a_shell("""
        cell("class Old: pass\\nclass New: pass\\nold = [Old() for _ in range(500)]; kept = []")
        assert "--since shows what is new" in cell("%memheap --mark")
        # As many objects are there afterwards: counts alone would show nothing.
        cell("del old[:200]; old += [New() for _ in range(200)]; kept += [b'x'] * 100_000")
        text = cell("%memheap --since --top 100")
        new, gone = row(text, "__main__.New"), row(text, "__main__.Old")
        assert new.split()[1:2] == ["200"] and new.split()[-1] == "0", text
        assert gone.split()[1] == "0" and "200" in gone.split(), text
        assert sizes(row(text, "list "))[-1] >= 790_000, text
        assert "are new" in text and "told apart by their place" in text
        assert "The heap changed by" in cell("%memheap --since --by referrer")
        assert "__main__" in cell("%memheap --since --by module")
    """)


def test_what_took_the_place_of_another_value_is_new():
    import memprofile

    with pytest.raises(memprofile.MemprofileError, match="identities=True"):
        memprofile.heap().since()
    numbers = [float(n) for n in range(1000)]
    before = memprofile.heap(identities=True)
    # Free lists and pymalloc give the places of those that are gone to the new ones.
    for at in range(1000):
        numbers[at] = None
        numbers[at] = at + 0.5
    row = next(row for row in before.since().types if row.name == "float")
    assert 1000 <= row.new_count <= 1050, row
    assert 950 <= row.gone_count <= 1050, row
    assert "<table" in before.since()._repr_html_()


def test_garbage_is_drawn_as_rings_and_nothing_is_collected():
    in_a_shell("""
        import gc
        gc.disable()
        cell("\\n".join([
            "class Node: pass",
            "def pair(size):",
            "  one, two = Node(), Node()",
            "  one.next, two.back = two, one",
            "  one.data = bytearray(size)",
            "for size in (10, 2**20, 10): pair(size)",
            "knot = {}; knot['self'] = knot; del knot",
        ]))
        before = gc.get_count()
        text = cell("%memheap --garbage")
        assert gc.get_count() >= before
        lines = text.splitlines()
        said = "3 rings like this one, of 6 "
        at = next(n for n, line in enumerate(lines) if line.startswith(said))
        assert ", and 1.0" in lines[at] and "MiB hang on them" in lines[at], text
        assert at == 3, text
        ring = lines[at + 1]
        assert ring.startswith("Node, ") and ring.endswith("(the first one)"), text
        assert "→ .next (Node, " in ring or "→ .back (Node, " in ring, text
        assert "1 object refers to itself" in text and "→ ['self'] (the first one)" in text, text
        import memprofile.looks, memprofile
        listing = memprofile.looks._garbage(memprofile.heap(), 5)
        assert ".next" in listing.to_svg() and "<svg" in listing.to_svg()
        assert "<svg" not in listing.to_html()
        freed = gc.collect()
        assert freed >= 7, freed
    """)


def test_the_collector_s_times_are_those_of_the_last_profile():
    in_a_shell("""
        assert "%%memprofile tells how long its runs take" in cell("%memheap --garbage")
        cell("%%memprofile\\nimport gc\\nx = [[] for _ in range(200_000)]\\ngc.collect()")
        text = cell("%memheap --garbage")
        assert "* in the last profile" in text, text
        full = row(text, "generation 2").split()
        runs, took, longest = int(full[-5]), float(full[-4]), float(full[-2])
        assert runs >= 1 and 0 < longest <= took < 60_000, text
        cell("%%memprofile\\n1")
        assert row(cell("%memheap --garbage"), "generation 2").split()[-5] == "0"
    """)


def test_why_says_which_line_allocated_the_block():
    in_a_shell("""
        cell("%%memprofile\\nlarge = bytearray(2**20)\\nitems = ['x' * n for n in range(100)]")
        text = " ".join(cell("%memwhy large").split())
        assert "its blocks were allocated at cell [1] line 2, says the last profile" in text, text
        assert "cell [1] line 3" in cell("%memwhy items[50]")
        # What is not of that profile is blamed on no line: by its size here.
        cell("large = bytearray(3 * 2**20)")
        assert "the block that holds its data" not in cell("%memwhy large")
        cell("%%memprofile\\n1 + 1")
        assert "says the last profile" not in cell("%memwhy items")
    """)
