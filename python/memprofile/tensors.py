"""Where the storages of torch's tensors are.

A tensor is asked through the functions of torch's own base class, with torch's hooks for other
people's code off: no attribute of a tensor, no subclass and no mode of the user's has a say. So
instances of other classes than torch's own two hold nothing here. What is asked copies nothing;
torch makes an object of some 60 bytes for a storage that is asked for the first time, and keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from memprofile.frames import arrays

_PARTS = {
    "torch.sparse_coo": ("_indices", "_values"),
    "torch.sparse_csr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_bsr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_csc": ("ccol_indices", "row_indices", "values"),
    "torch.sparse_bsc": ("ccol_indices", "row_indices", "values"),
}
"""The tensors that a tensor of such a layout consists of."""

_NEEDED = ("untyped_storage", "storage_offset", "element_size", "data_ptr", "device", "layout")


def types() -> list[type]:
    """The class of tensors, where torch is there and can be asked."""
    torch = _torch()
    return [] if torch is None or gap() else [torch.Tensor]


def is_tensor(value: object) -> bool:
    """Whether it is a tensor, of whatever class."""
    torch = _torch()
    return torch is not None and arrays.is_a(value, torch.Tensor)


def gap() -> str | None:
    """What is not seen of the torch that the program has imported, in one sentence."""
    torch = _torch()
    if torch is None:
        return None
    known = vars(torch.Tensor.__base__)
    missing = [name for name in _NEEDED if name not in known]
    if not hasattr(torch._C, "DisableTorchFunction"):
        missing.append("DisableTorchFunction")
    if not missing:
        return None
    return (
        f"the memory of tensors is not counted: torch {torch.__version__} has no {missing[0]}, "
        "which torch 2.0 and later have"
    )


def _torch() -> Any:
    torch = arrays.module("torch")
    return torch if hasattr(torch, "Tensor") else None


def stretches(value: Any) -> Iterator[tuple[int, int]]:
    """(address, bytes) of the storages of a tensor and of its gradient, in this process's memory;
    of views the whole storage.
    """
    torch = _torch()
    with torch._C.DisableTorchFunction():
        # All at once: whoever asks for one after the other has the user's modes on in between.
        found = list(_storages(torch, value))
    yield from found


def _storages(torch: Any, value: Any) -> Iterator[tuple[int, int]]:
    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        return
    base = vars(torch.Tensor.__base__)
    if base["device"].__get__(value).type != "cpu":
        return
    layout = str(base["layout"].__get__(value))
    try:
        if layout in _PARTS:
            for name in _PARTS[layout]:
                yield from _storages(torch, base[name](value))
        else:
            yield _storage(torch, base, value)
        # A tensor that is the result of others warns when it is asked for a gradient.
        if base["is_leaf"].__get__(value):
            gradient = base["grad"].__get__(value)
            if gradient is not None:
                yield from _storages(torch, gradient)
    except RuntimeError:
        return  # one without a storage, as of MKL-DNN or within torch.vmap


def _storage(torch: Any, base: Any, value: Any) -> tuple[int, int]:
    storage = base["untyped_storage"](value)
    is_lazy = getattr(torch._C, "_is_cow_tensor", None)
    if is_lazy is not None and is_lazy(value):
        # Asking such a storage where it is makes the copy that torch has put off.
        before = base["storage_offset"](value) * base["element_size"](value)
        return base["const_data_ptr"](value) - before, storage.nbytes()
    return storage.data_ptr(), storage.nbytes()
