"""%memprofile STATEMENT: one line of text, the value, exactly N runs."""

from __future__ import annotations

import pytest
from IPython.core import magic
from kernel_client import Kernel, normal
from memprofile._native import bytes_text as size
from memprofile.statement import spread


def test_one_line_and_the_value(kernel: Kernel) -> None:
    ran = kernel.run_ok("%memprofile len(bytearray(50_000_000))")
    assert ran.value == "50000000"
    lines = ran.stream("stdout").splitlines()
    assert len(lines) == 1
    assert "47.7 MiB" in lines[0]
    assert ran.reports == []
    assert kernel.value("Out[max(Out)]") == "50000000"


def test_a_statement_has_no_value(kernel: Kernel) -> None:
    ran = kernel.run_ok("%memprofile assigned = [0] * 10")
    assert ran.value is None
    assert kernel.value("assigned") == repr([0] * 10)
    assert kernel.run_ok("%memprofile a = 1; a + 1").value == "2"


def test_quotes_dashes_and_braces_stay(kernel: Kernel) -> None:
    kernel.run_ok("x = 7")
    assert kernel.run_ok("""%memprofile '{x} $x  "a"  ' + "-r 3" """).value == repr(
        '{x} $x  "a"  -r 3'
    )
    assert kernel.run_ok("%memprofile -- -x").value == "-7"
    # IPython 7 silences no magic.
    silenced = hasattr(magic, "output_can_be_silenced")
    assert kernel.run_ok("%memprofile x;").value == (None if silenced else "7")


def test_exactly_n_runs(kernel: Kernel) -> None:
    kernel.run_ok(
        "runs = 0\ndef once():\n    global runs\n    runs += 1\n"
        "    return bytearray(runs * 10_000_000)"
    )
    ran = kernel.run_ok("%memprofile -r 3 -o best len(once())")
    assert kernel.value("runs") == "3"
    assert ran.value == "30000000"
    lines = ran.stream("stdout").splitlines()
    assert [line[:3] for line in lines[:3]] == ["1/3", "2/3", "3/3"]
    assert lines[3].startswith("best peak of 3 runs: 9.5")
    assert len(lines) == 4
    assert 10_000_000 <= int(kernel.value("best.peak_footprint")) < 12_000_000


def test_the_local_scope_of_a_function(kernel: Kernel) -> None:
    ran = kernel.run_ok(
        "def f(local):\n    return get_ipython().run_line_magic('memprofile', 'local + 1')\nf(4)"
    )
    assert ran.value == "5"


def test_assigning_the_value(kernel: Kernel) -> None:
    kernel.run_ok("got = %memprofile 6 * 7")
    assert kernel.value("got") == "42"


def test_an_exception_after_its_line(kernel: Kernel) -> None:
    ran = kernel.run("%memprofile [bytearray(30_000_000), 1/0]")
    assert (ran.status, ran.reply["ename"]) == ("error", "ZeroDivisionError")
    assert ran.kinds == ["stream", "error"]
    assert len(ran.stream("stdout").splitlines()) == 1
    text = "\n".join(normal(ran.reply["traceback"]))
    assert "bytearray(30_000_000), 1/0" in text
    assert "_once" not in text, "our own frames are hidden"


def test_a_syntax_error(kernel: Kernel) -> None:
    ran = kernel.run("%memprofile 1 +")
    assert (ran.status, ran.reply["ename"]) == ("error", "SyntaxError")


@pytest.mark.parametrize("line", ["", "-r 0 x", "--wat x", "-o 3 x"])
def test_bad_options(kernel: Kernel, line: str) -> None:
    ran = kernel.run(f"%memprofile {line}")
    assert (ran.status, ran.reply["ename"]) == ("error", "UsageError")
    assert ran.stream("stderr").startswith("UsageError: %memprofile")


@pytest.mark.parametrize(
    "cell", ["%%time\n%%memprofile\nx = 1", "%%memprofile\n%%memprofile\nx = 1"]
)
def test_the_cell_magic_below_the_first_line(kernel: Kernel, cell: str) -> None:
    kernel.run_ok("x = 0")
    # Not its status: the %%time of IPython 8 shows an error and answers ok.
    ran = kernel.run(cell)
    assert kernel.value("x") == "0"
    assert ran.others[-1][0] == "stream"
    assert "make %%memprofile the first line of the cell" in ran.stream("stderr")


def test_a_captured_profile_is_captured(kernel: Kernel) -> None:
    ran = kernel.run_ok("%%capture said\n%%memprofile\n1")
    assert ran.reports == []
    assert kernel.value("len(said.outputs)") == "2"


@pytest.mark.parametrize(
    "inner",
    [
        "%memprofile 1 + 1",
        "get_ipython().run_cell('%%memprofile\\n1').raise_error()",
        "with memprofile.profile(): pass",
        "memprofile.profile(lambda: 1)()",
    ],
)
def test_nested_recordings_are_refused_and_the_outer_one_goes_on(
    kernel: Kernel, inner: str
) -> None:
    ran = kernel.run(
        f"%%memprofile -o outer\nimport memprofile\nb = bytearray(40_000_000)\n{inner}"
    )
    assert ran.status == "error"
    assert "already running" in ran.reply["evalue"]
    assert len(ran.reports) == 1
    assert int(kernel.value("outer.peak_footprint")) >= 39_000_000
    caught = kernel.run_ok(
        f"%%memprofile -o outer\nimport memprofile\ntry:\n    {inner}\nexcept Exception as e:\n"
        "    print(e)\nc = bytearray(50_000_000)"
    )
    assert len(caught.reports) == 1
    assert int(kernel.value("outer.peak_footprint")) >= 49_000_000


def test_sizes_for_people() -> None:
    shown = {0: "0", 1: "1 B", 1023: "1023 B", 1024: "1.00 KiB", 1 << 20: "1.00 MiB"}
    assert {n: size(n) for n in shown} == shown
    assert size((1 << 20) - 1) == "1.00 MiB"
    assert size(999 << 20) == "999 MiB"
    assert size(3 << 29) == "1.50 GiB"
    assert spread([2048]) == "best peak of 1 run: 2.00 KiB, all the same"
    assert spread([4096, 2048]).endswith("the largest 4.00 KiB, 2.00 KiB apart")


def test_the_lines_of_a_statement(kernel: Kernel) -> None:
    kernel.run_ok("%memprofile -o p kept = bytearray(10_000_000)")
    found = kernel.value(
        "[(l.filename, l.lineno, l.source) for l in p.lines if l.peak_bytes > 9e6]"
    )
    assert found == "[('<%memprofile>', 1, 'kept = bytearray(10_000_000)')]"
