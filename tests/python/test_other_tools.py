"""What other tools get of a profile: files of theirs, data frames, comparisons, a terminal."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import jsonschema
import pexpect
import pytest
from memprofile import MemprofileError, Profile, profile
from memprofile.terminal import has_colors

# As src/lib/file-format-spec.ts of jlfwong/speedscope says it, for sampled profiles.
NATURAL = {"type": "integer", "minimum": 0}
SPEEDSCOPE = {
    "type": "object",
    "required": ["$schema", "shared", "profiles"],
    "properties": {
        "$schema": {"const": "https://www.speedscope.app/file-format-schema.json"},
        "name": {"type": "string"},
        "exporter": {"type": "string"},
        "activeProfileIndex": NATURAL,
        "shared": {
            "type": "object",
            "required": ["frames"],
            "properties": {
                "frames": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "file": {"type": "string"},
                            "line": {"type": "integer", "minimum": 1},
                            "col": NATURAL,
                        },
                        "additionalProperties": False,
                    },
                }
            },
        },
        "profiles": {
            "type": "array",
            "items": {
                "type": "object",
                "required": [
                    *("type", "name", "unit", "startValue", "endValue", "samples", "weights")
                ],
                "properties": {
                    "type": {"const": "sampled"},
                    "name": {"type": "string"},
                    "unit": {"const": "bytes"},
                    "startValue": NATURAL,
                    "endValue": NATURAL,
                    "samples": {"type": "array", "items": {"type": "array", "items": NATURAL}},
                    "weights": {"type": "array", "items": NATURAL},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


def take(count: int) -> bytearray:
    return bytearray(count)


@pytest.fixture(scope="module")
def measured() -> Profile:
    with profile(title="a block") as p:
        kept = take(20_000_000)
    assert len(kept) == 20_000_000
    return p


@pytest.mark.parametrize(
    ("name", "how"), [("p.speedscope.json", {}), ("p.json", {"format": "speedscope"})]
)
def test_speedscope(measured: Profile, tmp_path: Path, name: str, how: dict[str, str]) -> None:
    measured.save(tmp_path / name, **how)  # type: ignore[arg-type]
    file = json.loads((tmp_path / name).read_text())
    jsonschema.validate(file, SPEEDSCOPE)
    held = file["profiles"][0]
    assert sum(held["weights"]) == held["endValue"] == measured.peak_footprint
    largest = held["samples"][held["weights"].index(max(held["weights"]))]
    names = [file["shared"]["frames"][frame]["name"] for frame in largest]
    assert names[-2:] == ["measured", "take"]


def test_collapsed_stacks(measured: Profile, tmp_path: Path) -> None:
    measured.save(tmp_path / "p.collapsed")
    lines = (tmp_path / "p.collapsed").read_text().splitlines()
    weights = {stack: int(size) for stack, _, size in (line.rpartition(" ") for line in lines)}
    assert sum(weights.values()) == measured.peak_footprint
    largest = max(weights, key=weights.__getitem__)
    assert ";measured (" in largest
    assert largest.rpartition(";")[2].startswith("take (")


def test_a_format_goes_before_a_suffix(measured: Profile, tmp_path: Path) -> None:
    measured.save(tmp_path / "no suffix", format="html")
    assert (tmp_path / "no suffix").read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(MemprofileError, match="'speedscope'"):
        measured.save(tmp_path / "x", format="pprof")  # type: ignore[arg-type]
    with pytest.raises(MemprofileError, match=r"save\(\) needs a folder"):
        measured.save(tmp_path / "no" / "x", format="json")
    assert [path.name for path in tmp_path.iterdir()] == ["no suffix"]


def test_a_comparison(measured: Profile) -> None:
    with profile(title="another") as more:
        kept = take(50_000_000)
    diff = measured.diff(more)
    assert len(kept) == 50_000_000
    assert diff.peak_footprint == more.peak_footprint - measured.peak_footprint
    assert diff.surviving_bytes == more.surviving_bytes - measured.surviving_bytes
    assert diff.peak_rss == more.peak_rss - measured.peak_rss
    assert diff.lines[0].source == "return bytearray(count)"
    assert diff.lines[0].peak_bytes == pytest.approx(30_000_000, rel=0.01)
    assert str(diff).startswith("Peak grew by 28.6 MiB (19.1 MiB → 47.7 MiB), most of it at ")
    assert repr(diff).startswith("<memprofile.Diff: Peak grew by 28.6 MiB")
    bundle = diff._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "return bytearray(count)" in bundle["text/html"]
    assert sum(map(len, bundle.values())) < 100_000
    assert set(diff._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}


def test_a_comparison_with_itself_finds_nothing(measured: Profile) -> None:
    diff = measured.diff(measured)
    assert (diff.peak_footprint, diff.surviving_bytes, diff.total_allocated) == (0, 0, 0)
    assert str(diff).startswith("Peak as before (19.1 MiB → 19.1 MiB); as much stays.")
    assert not any(line.peak_bytes for line in diff.lines)


def test_print_is_in_colour_on_a_terminal_only(measured: Profile, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    measured.save(file)
    code = f"import memprofile; print(memprofile.Profile.load({str(file)!r}))"
    for more, colored in (
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ):
        env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | more
        child = pexpect.spawn(sys.executable, ["-c", code], env=env, encoding="utf-8", timeout=60)
        child.expect(pexpect.EOF)
        assert "Peak 19.1 MiB" in child.before
        assert "█" in child.before, "a sparkline"
        assert ("\x1b[" in child.before) == colored, more


def test_what_is_no_terminal_has_no_colours() -> None:
    closed = io.StringIO()
    closed.close()
    assert not has_colors(None)
    assert not has_colors(closed)
    assert not has_colors(io.StringIO())
