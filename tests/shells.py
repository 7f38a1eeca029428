"""Programs in a real shell, in a process of their own."""

import textwrap

from programs import run

SHELL = """
import contextlib, io, re
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "memprofile")

def cell(code):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        shell.run_cell(code, store_history=True)
    return out.getvalue()

UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

def sizes(line):
    found = re.findall(r"([\\d.]+) (B|KiB|MiB|GiB)|(?<= )0(?= |$)", line)
    return [float(n) * UNITS[u] if n else 0 for n, u in found]

def row(text, start):
    lines = [line for line in text.splitlines() if line.startswith(start)]
    assert lines, text
    return lines[0]

MIB = 1 << 20
"""


def in_a_shell(program):
    run(SHELL + textwrap.dedent(program) + '\nprint("fine")\n')
