"""Loading and unloading leave a shell as it was."""

from __future__ import annotations

from kernel_client import Kernel

INVENTORY = (
    "(lambda s: (sorted(s.__dict__), [repr(t) for t in s.input_transformers_cleanup],"
    " sorted(s.magics_manager.magics['line']), sorted(s.magics_manager.magics['cell']),"
    " sorted(n for n in s.user_ns if n.strip('_i0123456789')),"
    " {k: len(v) for k, v in s.events.callbacks.items()},"
    " len(s.ast_transformers), len(__import__('gc').callbacks)))(get_ipython())"
)


def test_unload_leaves_nothing(fresh: Kernel) -> None:
    before = fresh.value(INVENTORY)
    for _ in range(3):
        fresh.run_ok("%load_ext memprofile")
        assert fresh.value(INVENTORY) != before
        assert len(fresh.run_ok("%%memprofile\nsum(range(10))").reports) == 1
        fresh.run_ok("%unload_ext memprofile")
        # The cells above left their own names.
        fresh.run_ok("%reset -sf")
        after = fresh.value(INVENTORY)
        assert after == before
    ran = fresh.run("%%memprofile\n1")
    assert ran.status == "error"
    assert "%%memprofile" in ran.stream("stderr")


def test_a_second_load_changes_nothing(fresh: Kernel) -> None:
    fresh.run_ok("%load_ext memprofile")
    loaded = fresh.value(INVENTORY)
    fresh.run_ok("%load_ext memprofile")
    fresh.run_ok("import memprofile; memprofile.load_ipython_extension(get_ipython())")
    fresh.run_ok("del memprofile")
    assert fresh.value(INVENTORY) == loaded
    assert len(fresh.run_ok("%%memprofile\n1").reports) == 1


def test_reload_and_unload_inside_of_a_profiled_cell(fresh: Kernel) -> None:
    fresh.run_ok("%load_ext memprofile")
    ran = fresh.run_ok("%%memprofile\n%reload_ext memprofile\n40 + 2")
    assert (ran.value, len(ran.reports)) == ("42", 1)
    assert len(fresh.run_ok("%%memprofile\n1").reports) == 1
    ran = fresh.run_ok("%%memprofile\n%unload_ext memprofile\n40 + 3")
    assert (ran.value, len(ran.reports)) == ("43", 1)
    assert fresh.value("'showtraceback' in get_ipython().__dict__") == "False"
    assert fresh.run("%%memprofile\n1").status == "error"


def test_a_wrapper_put_on_top_of_ours_stays(fresh: Kernel) -> None:
    fresh.run_ok("%load_ext memprofile")
    fresh.run_ok(
        "seen = []\n"
        "ours = get_ipython().run_ast_nodes\n"
        "async def theirs(nodes, *args, **kwargs):\n"
        "    seen.append(len(nodes))\n"
        "    return await ours(nodes, *args, **kwargs)\n"
        "get_ipython().run_ast_nodes = theirs"
    )
    assert len(fresh.run_ok("%%memprofile\n1").reports) == 1
    fresh.run_ok("%unload_ext memprofile")
    assert fresh.value("get_ipython().run_ast_nodes is theirs") == "True"
    ran = fresh.run_ok("5 + 5")
    assert ran.value == "10"
    assert fresh.value("len(seen) > 2") == "True"
    fresh.run_ok("%load_ext memprofile")
    assert len(fresh.run_ok("%%memprofile\n1").reports) == 1


def test_the_magic_is_found(kernel: Kernel) -> None:
    listed = kernel.run_ok("%lsmagic").value or ""
    assert "%%memprofile" in listed
    assert "%memprofile" in kernel.complete("%memprof")
    assert any("memprofile" in match for match in kernel.complete("%%memprof"))
    for question in ("%memprofile?", "%%memprofile?"):
        pages = kernel.run_ok(question).reply["payload"]
        text = pages[0]["data"]["text/plain"]
        assert "--save FILE" in text
        assert "-r N" in text


def test_a_cell_is_complete_only_after_a_blank_line(kernel: Kernel) -> None:
    assert kernel.is_complete("%%memprofile") == "incomplete"
    assert kernel.is_complete("%%memprofile\nx = 1") == "incomplete"
    assert kernel.is_complete("%%memprofile\nx = 1\n\n") == "complete"
