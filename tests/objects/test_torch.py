"""Tensors of torch count by their storages, each once, and nothing of the user's runs for it."""

import importlib.util

import pytest
from programs import run
from shells import in_a_shell

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="torch is not installed; make conformance installs it (5 GB) and runs this",
)


@needs_torch
def test_a_storage_counts_once_however_many_tensors_view_it():
    run("""
        import memprofile, numpy, torch
        size = memprofile.sizeof
        MB = 1_000_000
        def about(value, wanted):
            assert abs(size(value) - wanted) < 0.05 * MB, (size(value), wanted)
        whole = torch.zeros(MB)
        about(whole, 4 * MB)
        about([whole, whole[::2], whole.reshape(1000, 1000).T, whole.detach()], 4 * MB)
        part = torch.zeros(MB)[10:20]
        about(part, 4 * MB)
        about(part[:0], 4 * MB)
        # What is numpy's counts with the array, and the other way round.
        array = numpy.ones(MB)
        of_numpy = torch.from_numpy(array)
        about([array, of_numpy], 8 * MB)
        about([of_numpy, array], 8 * MB)
        del array
        about(of_numpy, 8 * MB)
        about(whole.numpy(), 4 * MB)
        tree = str(size({"t": whole}, detail=2))
        assert "torch.buffer" in tree, tree
        assert memprofile.retained([whole]) < 0.01 * MB
        del part
        held = [torch.zeros(MB)]
        assert abs(memprofile.retained(held) - 4 * MB) < 0.01 * MB
        assert abs(memprofile.why_alive(held[0]).retained - 4 * MB) < 0.01 * MB
        print("fine")
    """)


@needs_torch
def test_models_gradients_and_sparse_tensors():
    run("""
        import warnings
        import memprofile, torch
        warnings.simplefilter("error")
        size = memprofile.sizeof
        MB = 1_000_000
        def about(value, wanted):
            assert abs(size(value) - wanted) < 0.05 * MB, (size(value), wanted)
        model = torch.nn.Linear(1000, 1000)
        about(model, 4 * MB)
        tied = torch.nn.Linear(1000, 1000)
        tied.weight = model.weight
        about([model, tied], 4 * MB)
        loss = model(torch.ones(1000)).sum()
        loss.backward()
        about(model, 8 * MB)
        assert memprofile.retained(model) < 0.1 * MB  # tied
        del tied, loss
        assert abs(memprofile.retained(model) - 8 * MB) < 0.1 * MB, memprofile.retained(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls them a beta
            places, ones = torch.arange(100_000), torch.ones(100_000)
            sparse = torch.sparse_coo_tensor(places.repeat(2, 1), ones, (100_000, 100_000))
            rows = torch.sparse_csr_tensor(torch.arange(100_001), places.clone(), ones.clone())
        about(sparse, 2.0 * MB)
        about(rows, 2.0 * MB)
        # Nothing of this process's memory, or nothing that torch says where it is.
        about(torch.zeros(MB, device="meta"), 0)
        about(torch.zeros(MB).to_mkldnn() if torch.backends.mkldnn.is_available() else 0, 0)
        seen = []
        def ask(x):
            seen.append(size([x]))
            return x
        torch.vmap(ask)(torch.zeros(3, MB))
        assert seen[0] < 0.01 * MB, seen
        print("fine")
    """)


@needs_torch
def test_asking_runs_no_code_of_the_user_s_and_copies_nothing():
    run("""
        import memprofile, torch
        MB = 1_000_000
        class Mine(torch.Tensor):
            @classmethod
            def __torch_function__(cls, *rest):
                raise AssertionError(rest)
        class Mode(torch.overrides.TorchFunctionMode):
            def __torch_function__(self, *rest):
                raise AssertionError(rest)
        class Dispatch(torch.utils._python_dispatch.TorchDispatchMode):
            def __torch_dispatch__(self, *rest):
                raise AssertionError(rest)
        def hostile(*rest):
            raise AssertionError(rest)
        mine = torch.Tensor._make_subclass(Mine, torch.zeros(MB))
        plain, parameter = torch.zeros(MB), torch.nn.Parameter(torch.zeros(MB))
        plain.untyped_storage = plain.data_ptr = plain.device_of = hostile
        torch.Tensor.device, kept = property(hostile), vars(torch.Tensor).get("device")
        with Mode(), Dispatch():
            found = [memprofile.sizeof([value]) for value in (mine, plain, parameter)]
        del torch.Tensor.device
        assert found[0] < 0.01 * MB, found
        assert all(abs(size - 4 * MB) < 0.01 * MB for size in found[1:]), found
        # A copy that torch has put off stays put off.
        lazy = torch._lazy_clone(torch.zeros(MB))
        assert abs(memprofile.sizeof([lazy]) - 4 * MB) < 0.01 * MB
        assert torch._C._is_cow_tensor(lazy)
        print("fine")
    """)


@needs_torch
def test_names_and_the_heap_have_tensors():
    in_a_shell("""
        cell("import torch")
        cell("%memheap --mark")
        cell("%%memprofile -o p\\nnew = torch.zeros(1_000_000); also = new[:10]")
        grown = {c.name: round(c.grown_bytes / 4e6, 2) for c in shell.user_ns["p"].names}
        assert grown["new"] == 1 and grown.get("also", 0) < 0.01, grown
        text = cell("%memvars")
        assert abs(sizes(row(text, "new "))[1] - 4e6) < 1e5 and "also" in row(text, "new "), text
        since = cell("%memheap --since --top 50")
        assert abs(sizes(row(since, "torch.buffer"))[0] - 4e6) < 1e5, since
        cell("del also")
        text = cell("%memvars")
        assert abs(sizes(row(text, "new "))[-1] - 4e6) < 1e5, text
    """)


TOO_OLD = """
    import sys, types
    # What torch 1.13 lacks of what is asked.
    torch = types.ModuleType("torch")
    class TensorBase: pass
    class Tensor(TensorBase): pass
    torch.Tensor, torch.__version__, torch._C = Tensor, "1.13.1", types.SimpleNamespace()
    sys.modules["torch"] = torch
"""


def test_a_torch_that_cannot_be_asked_is_told():
    run(
        TOO_OLD
        + """
    import memprofile, warnings
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for look in (memprofile.sizeof, memprofile.retained, memprofile.why_alive):
            look([torch.Tensor()])
    assert [str(one.message) for one in said] == [
        "memprofile: the memory of tensors is not counted: torch 1.13.1 has no untyped_storage, "
        "which torch 2.0 and later have"
    ] * 3, [str(one.message) for one in said]
    assert {one.filename for one in said} == {"<string>"}
    print("fine")
    """
    )
    in_a_shell(
        TOO_OLD
        + """
    cell("x = [1]")
    assert "The memory of tensors is not counted: torch 1.13.1 has no" in cell("%memvars")
    """
    )


def test_torch_is_never_imported():
    run("""
        import sys, memprofile
        memprofile.sizeof([]), memprofile.retained([]), memprofile.heap()
        assert "torch" not in sys.modules
        print("fine")
    """)
