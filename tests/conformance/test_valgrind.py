"""Under valgrind's memcheck neither the hooks nor what runs inside of them touches a wrong byte."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).parent
TOP = HERE.parent.parent

pytestmark = pytest.mark.timeout(1200)
# It looks at the word before a block on purpose, to learn whether this malloc keeps a size there.
LOOKS = "memprofile_learn_header"


def memcheck(command, folder, **environment):
    """Runs a command; returns what it printed and its errors, without what it did not free."""
    done = subprocess.run(
        [
            *("valgrind", "--leak-check=no", "--num-callers=40"),
            *("--xml=yes", f"--xml-file={folder}/%p.xml", *command),
        ],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    errors = [error for file in folder.glob("*.xml") for error in errors_in(file)]
    return done.stdout, [e for e in errors if not e.findtext("kind").startswith("Leak")]


def errors_in(file):
    """What valgrind has written of a process: the report of one that was killed has no end."""
    reader = ElementTree.XMLPullParser()
    reader.feed(file.read_bytes())
    return [element for _, element in reader.read_events() if element.tag == "error"]


def functions(error):
    return [frame.findtext("fn", "?") for frame in error.find("stack")]


def looks(error):
    # What it calls may be inline in it, and is named all the same.
    return LOOKS in functions(error)[:3]


def is_serious(error):
    """CPython reads values that are not initialised, and drops them; nothing else is allowed."""
    objects = [frame.findtext("obj", "") for frame in error.find("stack")]
    ours = any("memprofile" in name for name in objects)
    return ours or not error.findtext("kind").startswith("Uninit")


def told(errors):
    return "\n\n".join(f"{e.findtext('kind')}: {' < '.join(functions(e))}" for e in errors)


@pytest.mark.parametrize("allocator", ["pymalloc", "malloc"])
def test_recordings(allocator, tmp_path, capfd):
    with capfd.disabled():
        print(f"\n== Recordings under valgrind, with {allocator}", flush=True)
    script = HERE / "under_valgrind.py"
    output, errors = memcheck([sys.executable, script], tmp_path, PYTHONMALLOC=allocator)
    assert output == "fine\n"
    serious = [error for error in errors if is_serious(error)]
    # Of our code valgrind must see something at all.
    assert any(looks(error) for error in serious)
    serious = [error for error in serious if not looks(error)]
    assert not serious, told(serious)


def test_the_engines(tmp_path, capfd):
    with capfd.disabled():
        print("\n== The Rust tests of the engines under valgrind", flush=True)
    build = subprocess.run(
        ["cargo", "test", "--locked", "--lib", "--no-run", "--message-format=json"],
        cwd=TOP,
        stdout=subprocess.PIPE,
        check=True,
    )
    messages = map(json.loads, build.stdout.splitlines())
    (binary,) = (message["executable"] for message in messages if message.get("executable"))
    # What malloc keeps free, and its arenas, cannot be asked there: valgrind's own has no such figures.
    skip = ["--skip", "free_chunks_are_counted", "--skip", "hooks::arenas::"]
    command = [binary, "hooks::", "sampling::", *skip]
    output, errors = memcheck(command, tmp_path)
    assert "test result: ok" in output
    assert not errors, told(errors)
