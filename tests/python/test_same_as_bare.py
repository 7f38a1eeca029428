"""The heart: a cell under %%memprofile does what it does without, message by message.

Each cell runs in two kernels, bare (with a comment for the first line) and profiled. Replies,
messages, Out, namespace and history must be equal, but for the one report.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from kernel_client import Kernel, Ran, is_report, normal


class Case(NamedTuple):
    """A cell, what runs before it in both kernels, and what is typed at its input()."""

    name: str
    cell: str
    before: str = ""
    answer: str | None = None
    reports: int = 1
    alone: bool = False
    """Runs bare without the comment above it: what counts must be at the top."""
    loose: bool = False
    """Compare the kinds of messages only: the text shows IPython's own frames, and so ours."""


CASES = [
    Case("last expression", "x = 20\nx + 1"),
    Case("no expression", "y = 2"),
    Case("silenced expression", "x = 3\nx;"),
    Case("None expression", "None"),
    Case("print and value", "print('a')\nprint('b')\n'c'"),
    Case("underscore", "_ + 1", before="41"),
    Case("Out is written", "Out[max(Out)] * 2", before="21"),
    Case("history is read", "(In[-2] + _i).replace('# %%memprofile', '%%memprofile')"),
    Case("multi-line string", "text = '''one\n    two\n\tthree\n  '''\ntext"),
    Case("string with a magic inside", "'''\n%%memprofile\n%time\n'''"),
    Case("line continuation", "total = 1 + \\\n    2\ntotal"),
    Case("unicode", "größe = 'ß\\N{SNOWMAN}☃'\ngröße"),
    Case("comment only", "# nothing here"),
    Case("empty", ""),
    Case("blank lines only", "\n\n"),
    Case("pass", "pass"),
    Case("augmented global", "cnt += 1\ncnt", before="cnt = 1"),
    Case("del global", "del gone\n'gone' in dir()", before="gone = 1"),
    Case("star import", "from math import *\nsqrt(4)"),
    Case("star import of a package", "from collections.abc import *\nSized.__name__"),
    Case("comprehension reads globals", "n = 3\n[n * i for i in range(n)]"),
    Case("lambda reads globals", "k = 2\nf = lambda v: v * k\nf(4)"),
    Case("walrus", "(w := 5)\nw"),
    Case(
        "class pickles", "import pickle\nclass P: pass\npickle.loads(pickle.dumps(P())).__class__"
    ),
    Case("function's module", "def where(): pass\nwhere.__module__, where.__qualname__"),
    Case("function's line", "\ndef first_line():\n    pass\nfirst_line.__code__.co_firstlineno"),
    Case(
        "getsource", "import inspect\ndef shown(a):\n    return a\nprint(inspect.getsource(shown))"
    ),
    Case(
        "getsource of a class",
        "import inspect\nclass Shown:\n    a = 1\nprint(inspect.getsource(Shown))",
    ),
    Case("decorator", "def d(f): return f\n@d\ndef g(): return 1\ng()"),
    Case("top-level await", "import asyncio\nawait asyncio.sleep(0)\n'awaited'"),
    Case("await in the first line", "await __import__('asyncio').sleep(0, 'value')"),
    Case("async for", "async def a():\n    yield 1\n[i async for i in a()]"),
    Case(
        "async with",
        "from contextlib import asynccontextmanager\n@asynccontextmanager\nasync def c():\n    yield 5\nasync with c() as v:\n    print(v)",
    ),
    Case(
        "task outlives await",
        "import asyncio\nt = asyncio.ensure_future(asyncio.sleep(0, 9))\nawait t",
    ),
    Case(
        # How the kernel interrupts a cell that awaits.
        "cancelled while it awaits",
        "import asyncio\nasyncio.current_task().cancel()\nawait asyncio.sleep(1000)",
    ),
    Case("await then error", "import asyncio\nkept = 1\nawait asyncio.sleep(0)\n1/0"),
    Case(
        "future import",
        "from __future__ import annotations\ndef q(a: Nowhere): pass\nq.__annotations__",
    ),
    Case("future import stays", "def q2(a: Nowhere): pass\nq2.__annotations__"),
    Case(
        "future import and await",
        "from __future__ import annotations\nimport asyncio\nawait asyncio.sleep(0, 3)",
    ),
    Case("docstring first", "'a docstring'\n__doc__"),
    Case("time", "%time sum([1, 2])"),
    Case("time assigns", "%time timed = 7\ntimed"),
    Case("timeit", "%timeit -n1 -r1 -q 1 + 1"),
    Case("cell time", "%%time\nct = 5\nct", alone=True),
    Case("cell capture", "%%capture said\nprint('quiet')\n5", alone=True),
    Case("captured", "said.stdout"),
    Case("cell bash", "%%bash\necho from bash", alone=True),
    Case("cell bash fails", "%%bash\nexit 3", alone=True, loose=True),
    Case("cell writefile", "%%writefile /dev/null\ntext", alone=True),
    Case("shell", "!echo shell; echo error >&2"),
    Case("shell assigns", "got = !echo a; echo b\ngot"),
    Case("unknown magic", "%no_such_magic"),
    Case("unknown cell magic", "%%no_such_magic\n1", alone=True),
    Case("help", "len?"),
    Case("display", "display('shown')\ndisplay(1, 2)\n3"),
    Case("rich display", "from IPython.display import HTML\nHTML('<b>b</b>')"),
    Case("display handle", "h = display('one', display_id='d1')\nh.update('two')"),
    Case("input", "name = input('who? ')\nname", answer="me"),
    Case("stderr", "import sys\nprint('e', file=sys.stderr)"),
    Case("warning", "import warnings\nwarnings.warn('look out')"),
    Case("exception", "before = 1\n1/0\nafter = 2"),
    Case("names of a failing cell", "before, 'after' in dir()"),
    Case("exception in a function", "def fails(x):\n    return x / 0\n\nfails(1)"),
    Case("exception in an older cell's function", "fails(2)"),
    Case(
        "exception with a cause",
        "try:\n    1/0\nexcept Exception as e:\n    raise ValueError('v') from e",
    ),
    Case(
        "exception in first line of a block",
        "for i in range(2):\n    raise KeyError(\n        i\n    )",
    ),
    Case("exception group", "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])"),
    Case(
        "exception whose str fails",
        "class Bad(Exception):\n    def __str__(self): raise RuntimeError\nraise Bad",
        loose=True,
    ),
    Case(
        "own traceback",
        "class Own(Exception):\n    def _render_traceback_(self): return ['own']\nraise Own",
    ),
    Case("usage error", "from IPython.core.error import UsageError\nraise UsageError('u')"),
    Case("base exception", "class B(BaseException): pass\nraise B('b')"),
    Case("keyboard interrupt", "raise KeyboardInterrupt"),
    Case("system exit", "import sys\nsys.exit(3)"),
    Case("exit as an expression", "x = 1\nexit"),
    Case("assertion", "assert 1 == 2, 'no'"),
    Case("memory error", "raise MemoryError('full')"),
    # One frame of ours lies below: the traceback of bare has one repetition more.
    Case("recursion", "def deep(): return deep()\ndeep()", loose=True),
    Case(
        "recursion that is caught",
        "import sys\nlimit = sys.getrecursionlimit()\nsys.setrecursionlimit(5000)\ndef deeper(n): return deeper(n + 1)\n"
        "try: deeper(0)\nexcept RecursionError as e: print(e)\nfinally: sys.setrecursionlimit(limit)",
    ),
    Case("plain tracebacks", "fails(3)", before="%xmode Plain"),
    Case("minimal tracebacks", "fails(4)", before="%xmode Minimal"),
    Case("context tracebacks", "fails(5)", before="%xmode Context"),
    Case("last traceback", "import sys\nsys.last_type", before="1/0"),
    Case("value whose repr fails", "class R:\n    def __repr__(self): raise ValueError('r')\nR()"),
    Case("compile error", "x = 1\nreturn 5"),
    Case("syntax error", "good = 1\ndef (:\n    pass", reports=0),
    Case("indentation error", "if True:\npass", reports=0),
    Case("syntax error in an import", "import ast\nast.parse('(')"),
    Case("indented cell", "    a1 = 1\n    a1 + 1", alone=True),
    Case("indented cell below a blank", "\n    a2 = 1\n    a2 + 1", alone=True),
    Case("prompts", ">>> a3 = 1\n>>> a3 + 1", alone=True),
    Case("prompts below a blank", "\n>>> a4 = 1\n>>> a4 + 1", alone=True),
    Case("ipython prompts", "In [1]: a5 = 1\n\nIn [2]: a5 + 2", alone=True),
    Case("windows line ends", "a6 = 1\r\na6 + 1\r\n"),
    Case("tabs", "if True:\n\ta7 = 1\na7"),
    Case("nested run_cell", "r = get_ipython().run_cell('5')\nr.result"),
    Case(
        "nested run_cell that fails",
        "r = get_ipython().run_cell('1/0')\nprint('goes on')\nr.success",
    ),
    Case(
        "own showtraceback",
        "try:\n    1/0\nexcept Exception:\n    get_ipython().showtraceback()\nprint('goes on')",
    ),
    Case("all expressions", "1\n2\n'three'", before="get_ipython().ast_node_interactivity = 'all'"),
    Case(
        "last or assigned",
        "z = 4",
        before="get_ipython().ast_node_interactivity = 'last_expr_or_assign'",
    ),
    Case("none", "5", before="get_ipython().ast_node_interactivity = 'none'"),
    Case("last expression again", "6", before="get_ipython().ast_node_interactivity = 'last_expr'"),
    Case(
        "await without autoawait",
        "import asyncio\nawait asyncio.sleep(0)",
        before="%autoawait False",
    ),
    Case("autoawait again", "await asyncio.sleep(0, 2)", before="%autoawait True"),
    Case(
        "await under a trio that is not there",
        "import asyncio\nawait asyncio.sleep(0, 1)",
        before="import sys; sys.modules['trio'] = None\n%autoawait trio",
        reports=0,  # IPython fails before it begins with the cell
    ),
    Case(
        "await under asyncio",
        "await asyncio.sleep(0, 1)",
        before="del sys.modules['trio']\n%autoawait asyncio",
    ),
    Case("profiled cell of prun", "%prun -q sum([1])\n'pruned'", loose=True),
    Case(
        "collector switched off and frozen",
        "import gc\ngc.disable()\ngc.freeze()\ngc.isenabled()",
    ),
    Case("collector is still off", "was = gc.isenabled()\ngc.unfreeze()\ngc.enable()\nwas"),
    Case(
        "objects die",
        "import weakref\nclass W: pass\nw = W()\nr = weakref.ref(w)\ndel w\nr() is None",
    ),
    Case("refcount", "import sys\nheld = []\nsys.getrefcount(held)"),
    Case("refcount afterwards", "sys.getrefcount(held)"),
    Case("collector", "import gc\ngc.isenabled(), gc.get_threshold(), len(gc.callbacks) >= 0"),
    Case("globals is locals", "globals() is locals(), __name__"),
    Case("names", "sorted(n for n in dir() if 'memprof' in n.lower() or 'marker' in n)"),
    Case(
        "signal handler",
        "import signal\nsignal.getsignal(signal.SIGINT) is signal.default_int_handler",
    ),
    Case("excepthook", "import sys\nsys.excepthook.__qualname__"),
    Case(
        "thread",
        "import threading\nt = threading.Thread(target=print, args=('from a thread',))\nt.start()\nt.join()",
    ),
    Case(
        "subprocess",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'pass']).returncode",
    ),
    Case(
        "fork",
        "import os\npid = os.fork()\nif pid == 0:\n    os._exit(7)\nos.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])",
    ),
    Case("history as typed", "%history -n -l 0"),
    Case("payload", "get_ipython().set_next_input('next')"),
]

# Everything that a cell leaves behind, but for what names itself anew in each kernel.
STATE = """
(lambda shell: {
    "names": sorted(shell.user_ns),
    "values": {n: repr(v) for n, v in shell.user_ns.items() if isinstance(v, (int, str, list))
               and not n.startswith("_i") and n != "In" and n != "pid"},
    "out": {n: repr(v) if isinstance(v, (int, str, list, tuple)) else type(v).__name__
            for n, v in shell.user_ns["Out"].items()},
    "hidden": sorted(shell.user_ns_hidden),
    "in": shell.user_ns["In"][-1],
    "raw": shell.history_manager.input_hist_raw[-1],
    "count": shell.execution_count,
    "attributes": sorted(set(shell.__dict__) - {"run_ast_nodes"}),
    "flags": shell.compile.flags,
    "succeeded": shell.last_execution_succeeded,
})(get_ipython())
"""


def run_both(pair: tuple[Kernel, Kernel], case: Case) -> tuple[Ran, Ran]:
    bare, profiled = pair
    if case.before:
        assert bare.run(case.before).status == profiled.run(case.before).status
    return (
        bare.run(("" if case.alone else "# %%memprofile\n") + case.cell, answer=case.answer),
        profiled.run("%%memprofile\n" + case.cell, answer=case.answer),
    )


def state(kernel: Kernel) -> dict[str, object]:
    import ast

    found: dict[str, object] = ast.literal_eval(kernel.value(STATE.strip().replace("\n", " ")))
    for key in ("in", "raw"):
        text = str(found[key]).removeprefix("# ").removeprefix("%%memprofile")
        found[key] = text.strip("\n")
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same(pair: tuple[Kernel, Kernel], case: Case) -> None:
    expected, got = run_both(pair, case)
    if case.loose:
        assert [kind for kind, _ in got.others] == [kind for kind, _ in expected.others]
    else:
        assert normal(got.others) == normal(expected.others)
    same = {"status", "execution_count", "payload", "user_expressions", "ename", "evalue"}
    for key in same if case.loose else same | {"traceback"}:
        assert normal(got.reply.get(key)) == normal(expected.reply.get(key)), key
    left, wanted = normal(state(pair[1])), normal(state(pair[0]))
    for key in wanted:
        assert left[key] == wanted[key], key
    assert len(got.reports) == case.reports
    kinds = got.kinds
    if case.reports and "error" in kinds:
        assert kinds[kinds.index("error") - 1] == "report", "the report comes first"


def test_the_bare_cell_gives_no_report(pair: tuple[Kernel, Kernel]) -> None:
    ran = pair[1].run("1 + 1")
    assert not any(map(is_report, ran.messages))
    assert ran.value == "2"
