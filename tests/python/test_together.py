"""Profiled cells together with other magics, tasks, tools and a cell's own mischief."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from IPython.core.magics.execution import ExecutionMagics
from kernel_client import Kernel

LARGE = "[(l.filename.split('/')[-1], l.lineno, l.source) for l in p.lines if l.peak_bytes > 4e6]"


@pytest.fixture(autouse=True)
def unharmed(kernel: Kernel) -> object:
    """Whatever the cell did: the next one is profiled, and nothing of ours stays in the shell."""
    yield
    assert len(kernel.run_ok("%%memprofile\n1").reports) == 1
    # ipykernel 6 has a callback of its own.
    callbacks = "[c for c in __import__('gc').callbacks if 'ipykernel' not in repr(c)]"
    left = f"('showtraceback' in get_ipython().__dict__, {callbacks})"
    assert kernel.value(left) == "(False, [])"


def test_below_capture(kernel: Kernel) -> None:
    assert kernel.run_ok("%%capture said\n%%memprofile\nprint('quiet')\n5").messages == []
    shown = kernel.value("said.stdout")
    assert shown == r"'quiet\n'"
    kinds = kernel.value("[sorted(o.data) for o in said.outputs]")
    assert kinds == "[['text/plain'], ['image/png', 'text/html', 'text/plain']]"


def shows_errors_itself(magic: str) -> bool:
    return magic == "%%time" and "showtraceback" in inspect.getsource(ExecutionMagics.time)


@pytest.mark.parametrize("above", ["%%time", "%%timeit -n1 -r1"])
def test_below_a_magic_that_runs_the_cell_by_itself(kernel: Kernel, above: str) -> None:
    ran = kernel.run(f"{above}\n%%memprofile\nnever = 1")
    # The %%time of IPython 8 shows an error of its cell by itself and goes on.
    assert ran.reply.get("ename") == (None if shows_errors_itself(above) else "UsageError")
    assert "make %%memprofile the first line" in ran.stream("stderr")
    assert kernel.value("'never' in dir()") == "False"


def test_nested_in_a_bare_cell(kernel: Kernel) -> None:
    ran = kernel.run_ok("get_ipython().run_cell('%%memprofile\\n7').result")
    assert (ran.value, len(ran.reports)) == ("7", 1)


def test_nested_in_a_profiled_cell(kernel: Kernel) -> None:
    ran = kernel.run_ok(
        "%%memprofile\nr = get_ipython().run_cell('%%memprofile\\nnever = 1')\nr.success"
    )
    assert (ran.value, len(ran.reports)) == ("False", 1)
    assert "already running" in ran.stream("stderr")
    assert kernel.value("'never' in dir()") == "False"
    ran = kernel.run("%%memprofile\n%memprofile 6 * 7")
    assert (ran.reply["ename"], len(ran.reports)) == ("UsageError", 1)


def test_a_task_of_an_earlier_cell_is_not_blamed_on_this_one(kernel: Kernel) -> None:
    kernel.run_ok(
        "import asyncio\nasync def behind():\n    held = []\n    while len(held) < 200:\n"
        "        await asyncio.sleep(0.001)\n        held.append(bytearray(100_000))\n"
        "    await asyncio.sleep(1000)\ntask = asyncio.ensure_future(behind())"
    )
    try:
        kernel.run_ok("%%memprofile -q -o p\na = bytearray(5_000_000)\nawait asyncio.sleep(1)")
    finally:
        kernel.run_ok("task.cancel()")
    large = kernel.value(LARGE)
    assert "2, 'a = bytearray(5_000_000)')" in large
    assert "6, 'held.append(bytearray(100_000))')" in large
    assert "await asyncio.sleep(1)" not in large
    # The event loop that ran the task is ours as little as the user's.
    assert kernel.value("[f for s in p.sites for _, f, _ in s.stack if 'ipykernel_l' in f]") == "[]"


def test_tasks_of_the_cell(kernel: Kernel) -> None:
    kernel.run_ok(
        "%%memprofile -q -o p\nimport asyncio\nasync def work():\n    d = bytearray(5_000_000)\n"
        "    await asyncio.sleep(0.1)\nawait asyncio.gather(*[work() for _ in range(3)])"
    )
    assert "4, 'd = bytearray(5_000_000)')]" in kernel.value(LARGE)
    assert 15_000_000 < int(kernel.value("max(l.peak_bytes for l in p.lines)")) < 15_100_000


def test_run_a_script(kernel: Kernel, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\n\nkept = bytearray(10_000_000)\nprint(__name__, sys.argv[1:])\n")
    ran = kernel.run_ok(f"%%memprofile -o p\n%run {script} 1 2\nlen(kept)")
    assert (ran.stream("stdout"), ran.value) == ("__main__ ['1', '2']\n", "10000000")
    assert "('script.py', 3, 'kept = bytearray(10_000_000)')" in kernel.value(LARGE)


def test_autoreload(kernel: Kernel, tmp_path: Path) -> None:
    module = tmp_path / "edited.py"
    module.write_text("def grow(n):\n    return bytearray(n)\n")
    kernel.run_ok("%load_ext autoreload\n%autoreload 2")
    try:
        kernel.run_ok(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport edited")
        assert kernel.run_ok("%%memprofile\nlen(edited.grow(10_000_000))").value == "10000000"
        # The same number of lines: IPython 9 numbers those of a reloaded function anew.
        module.write_text("def grow(n):\n    return bytearray(2 * n + 0)\n")
        ran = kernel.run_ok("%%memprofile -o p\nlen(edited.grow(10_000_000))")
        assert ran.value == "20000000"
        assert "('edited.py', 2, 'return bytearray(2 * n + 0)')" in kernel.value(LARGE)
    finally:
        kernel.run_ok("%autoreload 0\nsys.path.pop(0)")


def test_a_cell_that_takes_us_out_of_sys_modules(kernel: Kernel) -> None:
    out = "[sys.modules.pop(n) for n in list(sys.modules) if n.split('.')[0] == 'memprofile']"
    ran = kernel.run_ok(f"%%memprofile\nimport sys\nold = {out}\n5")
    assert (ran.value, len(ran.reports)) == ("5", 1)
    ran = kernel.run_ok(
        "%%memprofile -o p\nsys.modules['memprofile'] = sys.modules['memprofile.magic'] = None\n6"
    )
    assert (ran.value, len(ran.reports)) == ("6", 1)
    assert len(kernel.run_ok("%%memprofile\n7").reports) == 1
    kernel.run_ok("del sys.modules['memprofile'], sys.modules['memprofile.magic']")
    ran = kernel.run_ok(
        "import memprofile\nwith memprofile.profile() as q: z = bytearray(10**6)\n"
        "q.peak_footprint >= 10**6"
    )
    assert ran.value == "True"


def test_the_collector_frozen_and_its_callbacks_cleared(kernel: Kernel) -> None:
    ran = kernel.run_ok("%%memprofile\nimport gc\ngc.disable()\ngc.freeze()\ngc.isenabled()")
    assert (ran.value, len(ran.reports)) == ("False", 1)
    assert kernel.value("gc.isenabled()") == "False"
    kernel.run_ok("gc.enable(); gc.unfreeze()")
    ran = kernel.run_ok("%%memprofile\ngc.callbacks.clear()\nlen([[] for _ in range(100_000)])")
    assert (ran.value, len(ran.reports)) == ("100000", 1)


@pytest.mark.parametrize("tool", ["settrace", "setprofile"])
def test_a_tracer_in_the_cell(kernel: Kernel, tool: str) -> None:
    ran = kernel.run_ok(
        "%%memprofile -o p\nimport sys\nseen = []\ndef trace(frame, event, argument):\n"
        "    seen.append(event)\n    return trace\n"
        "def traced():\n    return bytearray(10_000_000)\n"
        f"sys.{tool}(trace)\ny = traced()\nsys.{tool}(None)\n'call' in seen and 'return' in seen"
    )
    assert (ran.value, len(ran.reports)) == ("True", 1)
    assert "8, 'return bytearray(10_000_000)')]" in kernel.value(LARGE)


def test_a_tracer_around_cells(kernel: Kernel) -> None:
    """Coverage, a debugger: on before the cell and after it."""
    kernel.run_ok("import sys\ndef trace(f, e, a): return trace\nsys.settrace(trace)")
    try:
        assert len(kernel.run_ok("%%memprofile\nsum([1, 2])").reports) == 1
    finally:
        kernel.run_ok("sys.settrace(None)")


def test_reset(kernel: Kernel) -> None:
    ran = kernel.run_ok("%%memprofile\nx = bytearray(10_000_000)\n%reset -f\n5")
    assert (ran.value, len(ran.reports)) == ("5", 1)
