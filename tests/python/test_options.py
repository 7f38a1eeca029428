"""The options: what they do, and one sentence with an example for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kernel_client import Kernel
from memprofile.options import (
    OptionError,
    read_cell_options,
    read_statement_options,
)

BAD_CELL_OPTIONS = [
    ("--wat", "unknown option '--wat'"),
    ("--limit", "--limit needs a size"),
    ("--limit 2 GB", "--limit needs a size"),
    ("--limit=1kb", "--limit 1kb is no more than this process holds already"),
    ("--sav x.html", "unknown option '--sav'"),
    ("x = 1", "unknown option 'x'"),
    ("-o", "-o needs a variable name"),
    ("-o 1a", "-o needs a variable name"),
    ("-o a.b", "-o needs a variable name"),
    ("-o class", "-o needs a variable name"),
    ("--top", "--top needs a whole number"),
    ("--top 0", "--top needs a whole number"),
    ("--top -1", "--top needs a whole number"),
    ("--top=1.5", "--top needs a whole number"),
    ("--exact=yes", "--exact takes no value"),
    ("--save", "--save needs a file"),
    ("--save report", "--save needs a file"),
    ("--save report.pdf", "--save needs a file"),
    ("--save /no/such/folder/r.html", "--save needs a folder"),
    ("--save 'open.html", "a quotation mark is not closed"),
]


@pytest.mark.parametrize(("line", "sentence"), BAD_CELL_OPTIONS)
def test_a_bad_option_is_one_sentence_with_what_to_do(line: str, sentence: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_cell_options(line)
    text = str(caught.value)
    assert text.startswith(sentence)
    assert "\n" not in text
    assert "for example" in text or "make '/no/such" in text


@pytest.mark.parametrize(("line", "sentence"), BAD_CELL_OPTIONS)
def test_a_bad_option_does_not_run_the_cell(kernel: Kernel, line: str, sentence: str) -> None:
    kernel.run_ok("ran = 0")
    got = kernel.run(f"%%memprofile {line}\nran += 1")
    assert (got.status, got.reply["ename"]) == ("error", "UsageError")
    assert got.stream("stderr").startswith(f"UsageError: %%memprofile: {sentence}")
    assert len(got.stream("stderr").splitlines()) == 1
    assert got.reports == []
    assert kernel.value("ran") == "0"
    assert kernel.value("In[-1]") == repr(f"%%memprofile {line}\nran += 1")


def test_all_cell_options_together(tmp_path: Path) -> None:
    options = read_cell_options(f" -o p -q --exact --top=7 --save '{tmp_path}/a b.HTML'")
    assert (options.name, options.quiet, options.exact, options.top) == ("p", True, True, 7)
    assert options.save == tmp_path / "a b.HTML"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "r.html").mkdir()
    with pytest.raises(OptionError, match="cannot write"):
        read_cell_options(f"--save {tmp_path}/r.html")


def test_a_statement_stays_as_typed() -> None:
    options = read_statement_options("-r 2 -o best print('a  b', -1) # --exact")
    assert options.statement == "print('a  b', -1) # --exact"
    assert (options.repeat, options.name, options.exact) == (2, "best", False)
    assert read_statement_options("--exact -- -x").statement == "-x"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "%memprofile needs a statement"),
        ("-r 3", "%memprofile needs a statement"),
        ("-r x f()", "-r needs a whole number"),
        ("-r 0 f()", "-r needs a whole number"),
        ("-x", "unknown option '-x'"),
        ("-o 3 f()", "-o needs a variable name"),
    ],
)
def test_a_bad_statement_line(line: str, sentence: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_statement_options(line)
    assert str(caught.value).startswith(sentence)


def test_quiet_binds_and_shows_nothing(kernel: Kernel) -> None:
    ran = kernel.run_ok("%%memprofile -q -o kept\ndata = bytearray(20_000_000)\n'value'")
    assert ran.reports == []
    assert ran.value == "'value'"
    assert int(kernel.value("kept.peak_footprint")) >= 20_000_000
    assert "kept" in kernel.run_ok("%who").stream("stdout")


def test_a_failing_cell_binds_too(kernel: Kernel) -> None:
    ran = kernel.run("%%memprofile -o failed\nd = bytearray(20_000_000)\n1/0")
    assert ran.status == "error"
    assert int(kernel.value("failed.peak_footprint")) >= 20_000_000


def test_variables_stand_in_options(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run_ok(f"where = {str(tmp_path)!r}")
    kernel.run_ok("%%memprofile -q --save $where/a.json\n1")
    kernel.run_ok("%%memprofile -q --save {where}/b.json\n1")
    assert (tmp_path / "a.json").exists()
    assert (tmp_path / "b.json").exists()


def test_save_by_suffix(kernel: Kernel, tmp_path: Path) -> None:
    starts = {
        "html": b"<!doctype html>",
        "json": b"{",
        "svg": b"<svg",
        "png": b"\x89PNG\r\n\x1a\n",
        "txt": b"Peak",
    }
    for suffix, start in starts.items():
        file = tmp_path / f"report.{suffix}"
        kernel.run_ok(f"%%memprofile -q --save {file}\nz = bytearray(10_000_000)")
        content = file.read_bytes()
        assert content.lower().startswith(start.lower()), (suffix, content[:40])
    assert json.loads((tmp_path / "report.json").read_text())["format"] == "memprofile"


def test_a_relative_file_is_where_the_cell_began(fresh: Kernel, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    fresh.run_ok(f"%cd -q {tmp_path}")
    fresh.run_ok("%load_ext memprofile")
    fresh.run_ok("%%memprofile -q --save r.json\n%cd -q other")
    assert (tmp_path / "r.json").exists()


def test_a_file_that_cannot_be_written_after_all(kernel: Kernel, tmp_path: Path) -> None:
    file = tmp_path / "gone" / "r.json"
    file.parent.mkdir()
    ran = kernel.run_ok(
        f"%%memprofile --save {file}\nimport shutil\nshutil.rmtree({str(file.parent)!r})\n'done'"
    )
    assert ran.value == "'done'"
    assert len(ran.reports) == 1
    assert "could not be saved" in ran.stream("stderr")


def test_exact_records_every_allocation(kernel: Kernel) -> None:
    kernel.run_ok("%%memprofile -q --exact -o e\nrows = [bytes(600) for _ in range(200_000)]")
    assert kernel.value("(e.exact, e.sample_interval)") == "(True, 0)"


def test_top_limits_the_lines(kernel: Kernel) -> None:
    def shown(top: int) -> int:
        # New names each time: a cell that is run again frees the memory of its first run.
        body = "\n".join(f"v{top}_{i} = bytearray(1_000_000 + {i})" for i in range(30))
        report = kernel.run_ok(f"%%memprofile --top {top}\n{body}").reports[0]
        rows = str(report["data"]["text/html"]).split("<tr ")
        # A line whose figures are in the row "other" has one cell over all columns.
        return sum(" = bytearray(" in row and "colspan" not in row for row in rows)

    few, many = shown(3), shown(25)
    # Those with a colour are always shown.
    assert 3 <= few <= 9
    assert 25 <= many <= 26
    quiet = kernel.run_ok(
        "%%memprofile -q -o p\n"
        + "\n".join(f"w{i} = bytearray({i + 1}_000_000)" for i in range(30))
    )
    assert quiet.reports == []
    assert len(kernel.value("p.to_text(3)")) < len(kernel.value("p.to_text(25)"))
