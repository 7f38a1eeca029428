"""What keeps memory after a cell and is easily overlooked: ``Out[n]`` and the last traceback.

Names are no news: a reader sees them. So what a name of the notebook stands for is left out; the
rest is counted by the objects as they lie in memory, after the recording.
"""

from __future__ import annotations

from types import ModuleType, TracebackType
from typing import Any

from memprofile import _native
from memprofile.buffers import libraries
from memprofile.errors import MemprofileError
from memprofile.sources import Shell

_MOST = 200_000
"""So many objects are looked at, which takes some ten milliseconds: what is more is not counted."""


def of_cell(shell: Shell, result: Any, error: BaseException | None) -> list[tuple[str, int]]:
    """Who keeps how many bytes: (``Out[3]``, bytes)."""
    names = shell.user_ns
    found: list[tuple[str, object]] = []
    value = getattr(result, "result", None)
    number = len(names["In"]) - 1  # execution_count is one ahead in some versions
    outputs = names.get("_oh")
    named = [value for name, value in names.items() if name[:1] != "_" and _may_hold(name, value)]
    is_kept = value is not None and isinstance(outputs, dict) and outputs.get(number) is value
    if is_kept and not any(value is other for other in named):
        found.append((f"Out[{number}]", value))
    if error is not None and (held := _variables(error.__traceback__, names)):
        found.append(("the last traceback", held))
    if not found:
        return []
    asked = libraries(0.1)
    try:
        return [(who, _native.deep_size(value, named, False, asked, _MOST)) for who, value in found]
    except MemprofileError:  # Too little memory is left to look: then nothing is said.
        return []


def _may_hold(name: str, value: object) -> bool:
    """Whether its value can be left out. To leave out a type would leave out its instances."""
    kind = type(value)
    return name not in ("In", "Out") and not issubclass(kind, (type, ModuleType))


def _variables(traceback: TracebackType | None, names: dict[str, Any]) -> list[object]:
    """The variables of what the cell had called: those of the cell itself are names."""
    found: list[object] = []
    in_cell = False
    while traceback is not None:
        frame = traceback.tb_frame
        if in_cell:
            found.extend(frame.f_locals.values())
        in_cell = in_cell or frame.f_globals is names
        traceback = traceback.tb_next
    return found
