"""Whose code is whose, and what a reader calls it."""

from __future__ import annotations

import ast
import json
import linecache
import os
import sysconfig
from pathlib import Path

import memprofile
import pytest
from kernel_client import Kernel
from memprofile import sources


def under(file: str, prefixes: list[str]) -> bool:
    return any(file.startswith(prefix) for prefix in prefixes)


def test_libraries_and_machinery() -> None:
    import asyncio.base_events

    libraries, machinery = sources.library_paths(), sources.machinery_paths()
    assert under(json.__file__, libraries)
    assert under(pytest.__file__, libraries)
    assert under("<frozen importlib._bootstrap>", libraries)
    assert under("<string>", libraries)
    assert under(sources.__file__, machinery)
    assert under(asyncio.base_events.__file__, machinery)
    assert not under(json.__file__, machinery)
    for mine in (__file__, "<ipython-input-1-abc>", "<stdin>", "/tmp/ipykernel_1/2.py"):
        assert not under(mine, libraries)
        assert not under(mine, machinery)


def test_a_folder_beside_a_library_is_no_library() -> None:
    stdlib = sysconfig.get_path("stdlib")
    assert under(stdlib + "/json/x.py", sources.library_paths())
    assert not under(stdlib + "-of-mine/x.py", sources.library_paths())


def test_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sources.label(str(tmp_path / "tools" / "clean.py")) == os.path.join("tools", "clean.py")
    assert sources.label("/elsewhere/clean.py") == "clean.py"
    assert sources.label("<stdin>") == "<stdin>"
    assert sources.label(sources.STATEMENT_FILE) == "%memprofile"


def test_describe_reads_the_lines_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "m.py"
    file.write_text("a = 1\nb = 2\r\nc = 3")
    assert sources.describe(str(file), [2, 3, 99, 0])[1:] == ("user", {2: "b = 2", 3: "c = 3"})
    assert sources.describe("/no/such/file.py", [1]) == ("file.py", "user", {})


def test_describe_a_statement() -> None:
    name = sources.STATEMENT_FILE
    linecache.cache[name] = (3, None, ["a\n", "b\n"], name)
    assert sources.describe(name, [1]) == ("%memprofile", "cell", {1: "a", 2: "b"})


def test_a_vanished_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert sources.label("/elsewhere/clean.py") in ("clean.py", "/elsewhere/clean.py")


LINES = "sorted({(l.filename, l.lineno, l.source) for l in p.lines if l.allocated_bytes > 9e6})"


def test_lines_of_earlier_cells_and_modules(fresh: Kernel, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("\ndef load(n):\n    return bytearray(n)\n")
    fresh.run_ok(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport mine")
    fresh.run_ok("%load_ext memprofile")
    fresh.run_ok("# a comment\ndef earlier(n):\n    return bytearray(n)")
    fresh.run_ok(
        "%%memprofile -q -o p\n\na = bytearray(10_000_000)\nb = earlier(20_000_000)\n"
        "c = mine.load(30_000_000)"
    )
    found = fresh.value(f"[(f.split('/')[-1], n, s) for f, n, s in {LINES}]")
    assert "3, 'a = bytearray(10_000_000)')" in found
    assert "3, 'return bytearray(n)')" in found
    assert "('mine.py', 3, 'return bytearray(n)')" in found
    labels = fresh.value("sorted(f['label'] for f in p.to_dict()['stacks']['files'])")
    assert "cell [3]" in labels
    assert "cell [4]" in labels
    machinery = fresh.value(
        "[f for s in p.sites for _, f, _ in s.stack if 'IPython' in f or 'ipykernel/' in f"
        " or 'memprofile' in f]"
    )
    assert machinery == "[]"


def test_a_generated_method_counts_for_its_caller(fresh: Kernel) -> None:
    fresh.run_ok("%load_ext memprofile")
    fresh.run_ok(
        "%%memprofile -q -o p\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass D:\n    x: bytes\n"
        "many = [D(bytes(1000)) for _ in range(20_000)]"
    )
    assert "(6, " in fresh.value("[(l.lineno, l.source) for l in p.lines if l.peak_bytes > 9e6]")
    assert "<string>" not in fresh.value("[l.filename for l in p.lines]")


def test_the_profiled_source_is_as_typed(kernel: Kernel) -> None:
    kernel.run_ok("%%memprofile -q -o p\n# why\nkept = bytearray(10_000_000)")
    lines = kernel.value("[f for f in p.to_dict()['stacks']['files'] if f['kind'] == 'cell']")
    for text in ("'1': '%%memprofile -q -o p'", "'2': '# why'", "'3': 'kept = "):
        assert text in lines


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (
            "a = 1\n%time b = bytearray(9_000_000)\n!true",
            {3: "%time b = bytearray(9_000_000)", 4: "!true"},
        ),
        ("%%time\nkept = bytearray(9_000_000)\nlen(kept)", {2: "%%time"}),
        ("%timeit -n1 -r1 -q \\\n  len([1])\nc = 3\n", {3: "c = 3"}),
    ],
    ids=["lines", "a cell", "several lines in one"],
)
def test_magics_are_shown_as_typed(kernel: Kernel, cell: str, shown: dict[int, str]) -> None:
    kernel.run_ok("%%memprofile -q -o p\n" + cell)
    kernel.run_ok("d = p.to_dict()\nname = d['recording']['main_file']")
    lines = kernel.value("[f['lines'] for f in d['stacks']['files'] if f['name'] == name]")
    (found,) = ast.literal_eval(lines)
    assert {number: found[str(number)] for number in shown} == shown


def test_our_own_folder_is_the_package() -> None:
    assert os.path.dirname(memprofile.__file__) + os.sep in sources.machinery_paths()
