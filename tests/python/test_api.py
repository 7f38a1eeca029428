"""profile() and Profile in plain Python, without a notebook."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import memprofile
import pytest
from memprofile import MemprofileError, Profile, profile

BIG = 50_000_000


@pytest.fixture(scope="module")
def measured() -> Profile:
    with profile(title="a block") as p:
        kept = bytearray(BIG)
    assert len(kept) == BIG
    return p


def test_figures(measured: Profile) -> None:
    assert measured.title == "a block"
    assert BIG <= measured.peak_footprint < BIG * 1.03
    assert BIG <= measured.surviving_bytes < BIG * 1.03
    assert BIG <= measured.footprint_delta < BIG * 1.03
    assert measured.total_allocated >= BIG
    assert measured.allocation_count >= 1
    assert measured.peak_rss >= measured.start_rss > 0
    assert 0 < measured.duration < 60
    assert 0 <= measured.overhead <= 1
    assert measured.exact == (measured.sample_interval == 0)
    assert all(gap.endswith((".", ")")) or " " in gap for gap in measured.gaps)


def test_lines_and_sites(measured: Profile) -> None:
    largest = max(measured.lines, key=lambda line: line.peak_bytes)
    assert largest.filename == __file__
    assert largest.source == "kept = bytearray(BIG)"
    assert largest.function == "measured"
    assert BIG <= largest.allocated_bytes < BIG * 1.01
    site = measured.sites[0]
    assert site.stack[0] == ("measured", __file__, largest.lineno)
    assert len(site.stack) > 1, "the callers of the block are on the stack"
    assert not any("memprofile/api" in file for _, file, _ in site.stack)
    assert site.allocator in ("pymalloc", "malloc", "mmap")


def test_allocators_and_sizes(measured: Profile) -> None:
    largest = max(measured.allocators, key=lambda row: row.peak_bytes)
    assert largest.allocator == "malloc"
    assert repr(largest).startswith("<AllocatorFigures malloc: 47.7 MiB at the peak")
    assert sum(row.allocation_count for row in measured.allocators) == measured.allocation_count
    assert sum(row.allocation_count for row in measured.sizes) == measured.allocation_count
    last = measured.sizes[-1]
    assert (last.smallest, last.largest) == (32 << 20, (64 << 20) - 1)
    assert repr(last) == "<SizeClass 32 MiB to 64 MiB: 1 blocks, 47.7 MiB>"
    assert last.relative_error == 0


def test_timeline(measured: Profile) -> None:
    timeline = measured.timeline
    assert len(timeline.seconds) == len(timeline.footprint) == len(timeline.rss) > 1
    assert timeline.seconds == sorted(timeline.seconds)
    assert max(timeline.footprint) >= BIG


def test_a_profile_is_not_finished_inside_of_its_block() -> None:
    with profile() as p:
        assert "not finished" in repr(p)
        with pytest.raises(MemprofileError, match="after the `with"):
            p.peak_footprint  # noqa: B018
        with pytest.raises(MemprofileError, match="after the `with"):
            p.to_html()
        assert set(p._repr_mimebundle_()[0]) == {"text/plain"}
    assert p.peak_footprint >= 0
    assert p.title == "test_api.py" or p.title.endswith("/test_api.py")


def test_an_exception_goes_through_and_is_told() -> None:
    with pytest.raises(KeyError), profile() as p:
        raise KeyError(1)
    assert "KeyError" in p.to_text()
    assert p.to_dict()["recording"]["exception"] == "KeyError"


def test_nested_is_refused_and_the_outer_one_goes_on() -> None:
    with profile() as outer:
        with pytest.raises(MemprofileError, match="already running"), profile():
            pytest.fail("the inner block must not run")
        kept = bytearray(BIG)
    assert outer.peak_footprint >= len(kept)


@profile
def bare(n: int) -> bytearray:
    """What it says."""
    return bytearray(n)


@profile(title="named", exact=True)
def recursive(n: int) -> int:
    return 0 if n == 0 else 1 + recursive(n - 1)


@profile
async def awaiting(n: int) -> int:
    data = bytearray(n)
    await asyncio.sleep(0)
    return len(data)


def test_decorators() -> None:
    assert (bare.__name__, bare.__doc__) == ("bare", "What it says.")
    assert bare.last_profile is None
    assert len(bare(BIG)) == BIG
    first = bare.last_profile
    assert first is not None
    assert first.title == "bare"
    assert first.peak_footprint >= BIG
    bare(1)
    assert bare.last_profile is not first
    assert recursive(3) == 3
    assert recursive.last_profile is not None
    assert (recursive.last_profile.title, recursive.last_profile.exact) == ("named", True)
    assert asyncio.run(awaiting(BIG)) == BIG
    assert awaiting.last_profile is not None
    assert awaiting.last_profile.peak_footprint >= BIG


def test_a_decorated_function_that_raises() -> None:
    @profile
    def fails() -> None:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            fails()
    assert fails.last_profile is not None
    assert fails.last_profile.to_dict()["recording"]["exception"] == "LookupError"


def test_what_cannot_be_decorated() -> None:
    def generate() -> object:
        yield 1

    async def agenerate() -> object:
        yield 1

    for function in (generate, agenerate):
        with pytest.raises(MemprofileError, match="around the loop"):
            profile(function)
    with pytest.raises(MemprofileError, match="give the title by name"):
        profile("title")  # type: ignore[call-overload]


def test_save_and_load(measured: Profile, tmp_path: Path) -> None:
    measured.save(tmp_path / "p.json")
    loaded = Profile.load(tmp_path / "p.json")
    assert loaded.to_json() == measured.to_json()
    assert loaded.to_text() == measured.to_text()
    for name in ("p.html", "p.svg", "p.png", "p.txt", "P.HTML"):
        loaded.save(str(tmp_path / name))
        assert (tmp_path / name).stat().st_size > 100
    page = (tmp_path / "p.html").read_text()
    assert "<html" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_save_refuses(measured: Profile, tmp_path: Path) -> None:
    for name in ("p.pdf", "p", "no/such/p.html"):
        with pytest.raises(MemprofileError, match="save\\(\\)"):
            measured.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"format": "memprofile", "version": 1}', b"\xff\xfe\x00"]
)
def test_load_refuses(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(MemprofileError, match=r"Profile\.save"):
        Profile.load(tmp_path / "x.json")
    (tmp_path / "x.json").write_text('{"format": "memprofile", "version": 99}')
    with pytest.raises(MemprofileError, match="upgrade"):
        Profile.load(tmp_path / "x.json")
    with pytest.raises(FileNotFoundError):
        Profile.load(tmp_path / "none.json")


def test_copies(measured: Profile) -> None:
    for other in (pickle.loads(pickle.dumps(measured)), copy.deepcopy(measured)):
        assert other.to_json() == measured.to_json()


def test_to_dict_and_json_agree(measured: Profile) -> None:
    assert measured.to_dict() == json.loads(measured.to_json())
    assert measured.to_dict()["version"] == 1


def test_pandas(measured: Profile) -> None:
    lines = measured.to_pandas()
    assert list(lines.columns[:3]) == ["filename", "lineno", "function"]
    assert lines.peak_bytes.max() >= BIG
    assert (lines.touched_bytes <= lines.allocated_bytes).all()
    assert len(measured.to_pandas("sites")) == len(measured.sites)
    timeline = measured.to_pandas("timeline")
    moments, lines = list(timeline.columns[:3]), timeline.columns[3:]
    assert moments == ["seconds", "footprint", "rss"]
    assert len(lines) > 0
    assert all(re.fullmatch(r"(.* )?line \d+|[^:]+:\d+( \(\d+\))?", name) for name in lines)
    # At the peak its line holds what the table of lines says.
    peak = timeline.loc[timeline.footprint.idxmax(), lines]
    assert peak.max() == measured.to_pandas().peak_bytes.max()
    sizes = measured.to_pandas("sizes")
    assert sizes.allocated_bytes.sum() == pytest.approx(measured.total_allocated, abs=len(sizes))
    assert list(sizes.label)[-1] == "32 MiB to 64 MiB"
    assert (str(sizes.smallest.dtype), str(sizes.largest.dtype)) == ("Int64", "Int64")
    allocators = measured.to_pandas("allocators")
    assert list(allocators.columns[:2]) == ["allocator", "peak_bytes"]
    assert allocators.peak_bytes.max() >= BIG
    known = "'lines', 'sites', 'timeline', 'allocators', 'sizes', 'children'"
    with pytest.raises(MemprofileError, match=known):
        measured.to_pandas("rows")  # type: ignore[arg-type]


def test_a_profile_is_compared_with_a_profile_alone(measured: Profile) -> None:
    with pytest.raises(MemprofileError, match=r"not 3; for example: before\.diff\(after\)"):
        measured.diff(3)  # type: ignore[arg-type]
    with pytest.raises(MemprofileError, match="not finished"):
        measured.diff(Profile())


def test_text_fits_where_it_is_shown(measured: Profile) -> None:
    for width in (60, 80, 140):
        assert max(map(len, measured.to_text(width=width).splitlines())) <= width
    assert "temporary" in measured.to_text(width=140)
    assert measured.to_text() == measured.to_text(width=80)


def test_the_bundle(measured: Profile) -> None:
    bundle, metadata = measured._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "image/png"}
    assert output_size(bundle) <= 100_000
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["needs_background"] == "light"
    assert metadata["image/png"]["alt"] == metadata["vscode_altText"] != ""
    assert "<script" not in bundle["text/html"]
    only, none = measured._repr_mimebundle_(include={"text/plain"})
    assert (set(only), none) == ({"text/plain"}, {})
    assert "image/png" not in measured._repr_mimebundle_(exclude={"image/png"})[0]


def output_size(bundle: dict[str, Any]) -> int:
    """Bytes of it in a notebook's file."""
    texts = (body for mime, body in bundle.items() if mime != "image/png")
    return len(base64.b64encode(bundle["image/png"])) + sum(len(text.encode()) for text in texts)


def test_the_bundle_of_a_busy_cell_is_bounded(tmp_path: Path) -> None:
    """Four hundred long lines, each with a callee, that hold more and less by turns."""
    body = "".join(
        f"def grow_{n}(): return bytearray({(n * 7919) % 90_000 + 1000})  # {'größer ' * 20}\n"
        f"held.append([grow_{n}() for _ in range({n % 17 + 2})]); del held[:{n % 3}]\n"
        for n in range(400)
    )
    file = tmp_path / "busy.py"
    file.write_text("held = []\n" + body, encoding="utf-8")
    code = compile(file.read_text(encoding="utf-8"), str(file), "exec")
    with profile(title="busy") as p:
        exec(code, {})
    assert len(p.lines) >= 400
    bundle, _ = p._repr_mimebundle_()
    assert output_size(bundle) <= 100_000
    assert len(bundle["image/png"]) > 10_000


def test_texts(measured: Profile) -> None:
    assert "\n" not in measured.to_line()
    assert "47.7 MiB" in measured.to_line()
    assert str(measured) == measured.to_text().rstrip("\n")
    assert "\x1b[" not in measured.to_text()
    assert "\x1b[" in measured.to_text(color=True)
    assert repr(measured).startswith("<memprofile.Profile a block: ")


def test_ipython_is_not_needed() -> None:
    code = (
        "import sys; sys.modules['IPython'] = None; sys.modules['pandas'] = None\n"
        "import memprofile\n"
        "with memprofile.profile() as p: x = bytearray(10**7)\n"
        "assert p.peak_footprint >= 10**7, p\n"
        "try: p.to_pandas()\n"
        "except memprofile.MemprofileError as e: print(e)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install pandas" in done.stdout


def test_importing_does_not_import_ipython() -> None:
    code = "import sys, memprofile; print('IPython' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_public_names() -> None:
    assert set(memprofile.__all__) == {
        *("Diff", "MemoryLimitExceeded", "MemprofileError", "Profile", "profile", "__version__"),
        *("FrameReport", "heap", "inspect_frame", "retained", "sizeof", "why_alive"),
    }
    for name in memprofile.__all__:
        assert getattr(memprofile, name).__doc__


def test_a_block_of_code_that_is_in_no_file() -> None:
    code = "with memprofile.profile() as p:\n    kept = bytearray(10_000_000)\n"
    for name in ("<console>", "<doctest mine[3]>", "<string>"):
        names: dict[str, object] = {"memprofile": memprofile}
        exec(compile(code, name, "exec"), names)
        profile = names["p"]
        assert isinstance(profile, memprofile.Profile)
        found = [(line.filename, line.lineno) for line in profile.lines if line.peak_bytes > 9e6]
        assert found == [(name, 2)]
