"""What a report says of the names that grew, in a real shell in a process of its own."""

from shells import in_a_shell


def test_names_that_are_new_larger_another_object_and_gone():
    in_a_shell("""
        cell("kept = [bytearray(2**20)]; other = 'x' * 10; gone = bytearray(3 * 2**20); n = 1")
        cell("small = bytearray(10)")
        text = cell("\\n".join([
            "%%memprofile -o p",
            "new = [bytearray(2**20) for _ in range(5)]",
            "kept.append(bytearray(2**20))",
            "other = {'k': bytearray(2 * 2**20)}",
            "alias = new",
            "del gone",
            "def function(data=bytearray(2**20)): pass",
        ]))
        p = shell.user_ns["p"]
        mib = {c.name: round(c.grown_bytes / MIB, 1) for c in p.names}
        assert mib == {"new": 5, "other": 2, "kept": 1, "gone": -3}, mib
        assert [c.name for c in p.names] == ["new", "other", "kept", "gone"]
        new, other, kept, gone = p.names
        assert (new.before_bytes, gone.after_bytes, other.type) == (None, None, "dict")
        assert round(kept.before_bytes / MIB, 1) == 1 and not any(c.at_least for c in p.names)
        for shown in ("Names that grew", "gone", "−3.00\u00a0MiB"):
            assert shown in p.to_html(), p.to_html()
        text = " ".join(p.to_text().split())
        # Whether malloc maps such a block by itself, with a page of its own, is malloc's affair.
        new = "5.02" if "new +5.02" in text else "5.00"
        assert f"Names that grew: new +{new} MiB (list, new), other +2.00 MiB (dict)" in text, text
        assert "gone −3.00 MiB (bytearray, gone)" in text, text
        import memprofile, pathlib, tempfile
        path = pathlib.Path(tempfile.mkdtemp(), "p.json")
        p.save(path)
        loaded = [(c.name, c.grown_bytes) for c in memprofile.Profile.load(path).names]
        assert loaded == [(c.name, c.grown_bytes) for c in p.names]
        assert list(p.to_pandas("names")["before_bytes"].isna()) == [True, False, False, False]
    """)


def test_a_cell_that_fails_and_one_that_changes_nothing():
    in_a_shell("""
        cell("%%memprofile -o p\\nnew = bytearray(2**20)\\n1 / 0")
        assert [c.name for c in shell.user_ns["p"].names] == ["new"]
        cell("%%memprofile -o p\\nsum(range(10))")
        assert shell.user_ns["p"].names == []
        assert "Names that grew" not in shell.user_ns["p"].to_html()
    """)


def test_no_object_is_kept_and_nothing_of_a_hostile_class_runs():
    in_a_shell("""
        cell("\\n".join([
            "import weakref",
            "class Hostile:",
            " asked = []",
            " def fail(self, *rest):",
            "  Hostile.asked.append(rest)",
            "  raise AssertionError",
            " __getattribute__ = __repr__ = __str__ = __len__ = __eq__ = __hash__ = fail",
            " __bool__ = __sizeof__ = __dir__ = __reduce__ = __iter__ = fail",
            " __class__ = shape = property(fail)",
            "class Plain: pass",
            "hostile = Hostile(); plain = Plain(); seen = weakref.ref(plain)",
        ]))
        cell("%%memprofile -o p\\nmore = Hostile()\\ndel plain\\nwas_gone = seen() is None")
        assert shell.user_ns["was_gone"]
        assert vars(shell.user_ns["Hostile"])["asked"] == []
        assert shell.user_ns["p"].gaps == [], shell.user_ns["p"].gaps
        assert "plain" in [c.name for c in shell.user_ns["p"].names]
    """)


def test_what_reaches_too_much_is_named_and_counts_for_nobody_else():
    in_a_shell("""
        cell("large = [[] for _ in range(3_000_000)]; also = [large[0], bytearray(2**20)]")
        cell("%%memprofile -o p\\nnew = bytearray(2**20); also.append(large[1])")
        p = shell.user_ns["p"]
        assert [c.name for c in p.names if c.grown_bytes >= 1000] == ["new"], p.names
        assert "not compared, since too much hangs on it: large" in " ".join(p.to_text().split())
        cell("%%memprofile -o p\\nlarger = [{} for _ in range(3_000_000)]; last = bytearray(2**20)")
        larger, last = [c for c in shell.user_ns["p"].names if c.grown_bytes >= 1000]
        assert (larger.name, larger.at_least, last.name) == ("larger", True, "last")
        assert "at least" in shell.user_ns["p"].to_html()
    """)
