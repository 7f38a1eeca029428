"""What the names of a notebook hold, and what holds memory without a name: ``%memvars``.

Objects are not kept in variables here while they are looked at: each reference would count.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

from memprofile import _native, buffers, objects
from memprofile._native import bytes_text
from memprofile.errors import MemprofileError
from memprofile.sources import Shell

_RESULT = re.compile(r"_\d+|_{1,3}")
_INPUT = re.compile(r"_i(\d+|i{0,2})")
_LAST = ("last_exc", "last_value", "last_traceback")
LAST_TRACEBACK = "the last traceback"
INPUTS = "the text of the cells"
WORTH_A_ROW = 1024
"""Bytes below which what hides has no row."""


@dataclass
class Look:
    """What is remembered of a name from the last look."""

    identity: int
    deep: int
    cell: int


@dataclass
class Memory:
    """What is remembered of a shell."""

    looks: dict[str, Look] = field(default_factory=dict)
    mark: objects.Heap | None = None


Names = list[tuple[str, list[object]]]


def _own_names(shell: Shell) -> list[str]:
    hidden = shell.user_ns_hidden
    return [
        name
        for name in shell.user_ns
        if isinstance(name, str) and not name.startswith("_") and name not in hidden
    ]


def _displayhook(shell: Shell) -> dict[str, Any]:
    own: dict[str, Any] = vars(shell.displayhook)
    return own


def _history(shell: Shell) -> Names:
    """Results, one group for each object: ``Out[3]`` with all of IPython's other names for it."""
    groups: dict[int, tuple[str, list[object]]] = {}
    for number in shell.user_ns.get("_oh", ()):
        key = id(shell.user_ns["_oh"][number])
        label = f"Out[{number}]"
        groups.setdefault(key, (label, []))[1].append(shell.user_ns["_oh"][number])
    places: list[tuple[Mapping[str, Any], Any]] = [
        (shell.user_ns, _RESULT),
        # IPython keeps the values of its hidden names a second time.
        (shell.user_ns_hidden, _RESULT),
        (_displayhook(shell), re.compile("_{1,3}")),
    ]
    for place, pattern in places:
        for name in place:
            if isinstance(name, str) and pattern.fullmatch(name) and id(place[name]) in groups:
                groups[id(place[name])][1].append(place[name])
    return list(groups.values())


def _inputs(shell: Shell) -> list[object]:
    """References to the text of the cells: ``In``, the same as typed, and names of IPython's."""
    manager = shell.history_manager
    if manager is None:
        return []
    kept = [*manager.input_hist_parsed, *manager.input_hist_raw]
    kept += [manager._i, manager._ii, manager._iii, manager._i00]
    for place in (shell.user_ns, shell.user_ns_hidden):
        names = [name for name in place if isinstance(name, str) and _INPUT.fullmatch(name)]
        kept += [place[name] for name in names if type(place[name]) is str]
    return [text for text in kept if text != ""]


def _of_formatters(shell: Shell) -> Iterator[tuple[object, str]]:
    """Where IPython's formatters of tracebacks keep something: holder and name."""
    for formatter in ("InteractiveTB", "SyntaxTB"):
        holder = vars(shell).get(formatter)
        for name in ("tb", "evalue", "value", "last_syntax_error"):
            if holder is not None and vars(holder).get(name) is not None:
                yield holder, name


def _traceback(shell: Shell) -> list[object]:
    """References to the last exception, its traceback and so the frames."""
    kept = [vars(sys)[name] for name in _LAST if vars(sys).get(name) is not None]
    return kept + [vars(holder)[name] for holder, name in _of_formatters(shell)]


def _results(shell: Shell) -> list[Any]:
    """IPython's results of the last cell and of the one that runs: traits, which are in no dict of
    attributes.
    """
    return [shell.last_execution_result, shell.displayhook.exec_result]


def _passing(shell: Shell) -> list[object]:
    """What IPython keeps of the last cell until the next one ends."""
    found: list[object] = []
    for result in _results(shell):
        if result is not None:
            found += [
                vars(result)[name]
                for name in ("result", "error_in_exec", "error_before_exec")
                if vars(result).get(name) is not None
            ]
    return found


def _border(shell: Shell) -> list[object]:
    """What holds the references that are given by name; gone into, it would hold them once more."""
    holders = [
        *(vars(shell).get(name) for name in ("InteractiveTB", "SyntaxTB")),
        shell.displayhook,
        *_results(shell),
    ]
    kept = [holder for holder in holders if holder is not None]
    places = [shell.user_ns, shell.user_ns.get("_oh"), shell.user_ns_hidden, shell]
    if (manager := shell.history_manager) is not None:
        kept.append(manager)
        places += [manager.input_hist_parsed, manager.input_hist_raw, manager._trait_values]
    return [*places, *kept, *map(vars, kept)]


@dataclass(frozen=True)
class Found:
    """What one look found: names of data and all that they keep together, what else holds memory,
    each with what it keeps beyond those before it, and cycles.
    """

    data: list[_native.NameShare]
    data_bytes: int
    others: list[_native.NameShare]
    program: list[_native.NameShare]
    lost: int
    lost_bytes: int


def _is_program(value: object) -> bool:
    return type(value) in (ModuleType, type, FunctionType)


def _look(shell: Shell, last: str = "traceback") -> Found:
    """``last`` is what is asked last for what it keeps: that is what goes when it alone goes."""
    border = _border(shell)
    own = _own_names(shell)
    data = [name for name in own if not _is_program(shell.user_ns[name])]
    program = [name for name in own if _is_program(shell.user_ns[name])]
    names: Names = [(name, [shell.user_ns[name]]) for name in data + program]
    others = _history(shell)
    others.insert(0 if last == "history" else len(others), (LAST_TRACEBACK, _traceback(shell)))
    others.insert(0, (INPUTS, _inputs(shell)))
    names += others
    shares, kept, lost, lost_bytes = _native.name_shares(
        names, _passing(shell), border, len(data), buffers.libraries()
    )
    count = len(data)
    first_other = count + len(program)
    return Found(
        shares[:count], kept, shares[first_other:], shares[count:first_other], lost, lost_bytes
    )


_SECONDS_BEFORE, _SECONDS_AFTER = 0.01, 0.1
"""How long libraries are asked at most, before the cell and after it."""


class Growth:
    """What the names hold more after a cell than before it. It is made when the cell has not yet
    begun, and keeps no object of it.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._before: _native.NamesBefore | MemprofileError
        try:
            self._before = _native.NamesBefore(
                *self._namespace(), buffers.libraries(_SECONDS_BEFORE)
            )
        except MemprofileError as problem:
            # The cell runs all the same; its report says why this is not in it.
            self._before = problem

    def _namespace(self) -> tuple[dict[str, Any], dict[str, Any], list[object]]:
        return self._shell.user_ns, self._shell.user_ns_hidden, _border(self._shell)

    def changes(self, seconds: float) -> _native.NameChanges:
        """What has changed by a cell that took so long."""
        if isinstance(self._before, MemprofileError):
            raise self._before
        return self._before.changes(seconds, *self._namespace(), buffers.libraries(_SECONDS_AFTER))


def counted(number: int, what: str) -> str:
    """``1 name``, ``2 names``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def shape(value: object) -> str:
    """The length or shape of an object whose type tells it without running the user's code."""
    kind = type(value)
    if kind in (str, bytes, bytearray, list, tuple, dict, set, frozenset, range):
        return f"{len(value):,}"  # type: ignore[arg-type]
    for module, names in (
        ("numpy", ("ndarray",)),
        ("pandas", ("DataFrame", "Series")),
        ("polars", ("DataFrame", "Series")),
    ):
        library = sys.modules.get(module)
        if library is not None and any(vars(library).get(name) is kind for name in names):
            return " × ".join(f"{n:,}" for n in value.shape)  # type: ignore[attr-defined]
    return ""


def _since(memory: Memory, share: _native.NameShare, identity: int, cell: int) -> str:
    last = memory.looks.get(share.name)
    if last is None:
        memory.looks[share.name] = Look(identity, share.deep, cell)
        return "new"
    change = share.deep - last.deep
    same = last.identity == identity
    since = last.cell
    if not same or change:
        memory.looks[share.name] = Look(identity, share.deep, cell)
    if not same:
        return f"another object since [{since}]"
    if change:
        word = "grew" if change > 0 else "shrank"
        return f"{word} {bytes_text(abs(change))} since [{since}]"
    return f"as in [{since}]"


def _shared(share: _native.NameShare) -> str:
    others = [name for name, size in share.shared_with if size > 0]
    return ", ".join(others[:2]) + (f" and {len(others) - 2} more" if len(others) > 2 else "")


def _own_table(
    shell: Shell, memory: Memory, shares: list[_native.NameShare], top: int
) -> tuple[str, list[str], int, list[list[str]], str]:
    cell = len(shell.user_ns["In"]) - 1  # execution_count is one ahead in some versions
    first_look = not memory.looks
    shares = sorted(shares, key=lambda share: (-share.deep, share.name))
    rows: list[list[str]] = []
    for share in shares:
        since = _since(memory, share, id(shell.user_ns[share.name]), cell)
        if len(rows) < top:
            kind = share.type.rpartition(".")[2]
            size = shape(shell.user_ns[share.name])
            figures = [bytes_text(n) for n in (share.shallow, share.deep, share.retained)]
            rows.append([share.name, kind, _shared(share), since, size, *figures])
    for gone in memory.looks.keys() - {share.name for share in shares}:
        del memory.looks[gone]
    if len(shares) > top:
        rest = shares[top:]
        shallow, kept = sum(s.shallow for s in rest), sum(s.retained for s in rest)
        figures = [bytes_text(shallow), "", bytes_text(kept)]
        rows.append([f"{len(rest)} more", "", "", "", "", *figures])
    columns = ["name", "type", "shared with", "since", "length", "own", "deep", "freed by del"]
    if not first_look:
        return ("", columns, 4, rows, "")
    # All names are new then.
    for row in (columns, *rows):
        del row[3]
    return ("", columns, 3, rows, "")


def _hiding(shell: Shell, found: Found) -> Iterator[tuple[str, int, str]]:
    """What holds memory without being seen: what it is, bytes, and the line that frees it."""
    for share in found.others:
        if share.name == LAST_TRACEBACK:
            yield share.name + " and its frames", share.kept, "%memvars --free traceback"
        elif share.name == INPUTS:
            yield share.name + " (In, _i, _ii, _iii)", share.kept, "%memvars --free inputs"
        else:
            yield f"{share.name} ({share.type})", share.kept, "%memvars --free history"
    for share in found.program:
        if share.name in shell.user_ns and type(shell.user_ns[share.name]) is FunctionType:
            what = f"closure and defaults of {share.name}()"
            yield what, share.kept, f"del {share.name}"
    what = f"{found.lost:,} objects in unreachable cycles"
    yield what, found.lost_bytes, "%memvars --free cycles"


def listing(shell: Shell, memory: Memory, top: int) -> _native.Listing:
    """The tables of ``%memvars``."""
    found = _look(shell)
    data = found.data
    functions = len(found.program)
    hiding = sorted(_hiding(shell, found), key=lambda row: -row[1])
    worth = [row for row in hiding if row[1] >= WORTH_A_ROW]
    table = _own_table(shell, memory, data, top)
    hidden = sum(size for _, size, _ in worth)
    headline = "No name of the notebook keeps anything"
    if data:
        keep = "keeps" if len(data) == 1 else "keep"
        headline = f"{counted(len(data), 'name')} {keep} {bytes_text(found.data_bytes)}"
    more = f"{bytes_text(hidden)} {'more are' if data else 'are'} kept without one"
    headline += f"; {more}." if worth else "."
    note = "deep: all that it reaches; freed by del: what nothing else reaches"
    if functions:
        note += f"; {functions} modules, types and functions are left out"
    sections = [(*table[:4], note)] if data else []
    if worth:
        rows = [[what, line, bytes_text(size)] for what, size, line in worth]
        columns = ["what", "the line that frees it", "bytes"]
        sections.append(("What hides", columns, 2, rows, ""))
    gap = buffers.gap()
    facts = "" if gap is None else f"{gap[0].upper()}{gap[1:]}."
    return _native.Listing(headline, facts, sections, [])


def _free_history(shell: Shell) -> None:
    results = shell.user_ns["_oh"]
    held = {id(results[key]) for key in results}
    results.clear()
    for name in [n for n in shell.user_ns if isinstance(n, str) and _RESULT.fullmatch(n)]:
        if id(shell.user_ns[name]) in held:
            if name.strip("_"):
                del shell.user_ns[name]
            else:
                shell.user_ns[name] = ""
    hidden = shell.user_ns_hidden
    for name in [n for n in hidden if isinstance(n, str) and _RESULT.fullmatch(n)]:
        if id(hidden[name]) in held:
            hidden[name] = ""
    for name in ("_", "__", "___"):
        setattr(shell.displayhook, name, "")
    for result in _results(shell):
        if result is not None:
            result.result = None


def _free_traceback(shell: Shell) -> None:
    for name in (*_LAST, "last_type"):
        if name in vars(sys):
            setattr(sys, name, None)
    for holder, name in _of_formatters(shell):
        setattr(holder, name, None)
    for result in _results(shell):
        if result is not None:
            result.error_in_exec = result.error_before_exec = None


def _free_inputs(shell: Shell) -> None:
    manager = shell.history_manager
    if manager is None:
        return
    for texts in (manager.input_hist_parsed, manager.input_hist_raw):
        # They keep their length: IPython numbers cells by it.
        texts[:] = [""] * len(texts)
    manager._i = manager._ii = manager._iii = manager._i00 = ""
    for place in (shell.user_ns, shell.user_ns_hidden):
        for name in [n for n in place if isinstance(n, str) and _INPUT.fullmatch(n)]:
            if type(place[name]) is str:
                place[name] = ""


# Cycles go by the collection that follows in any case.
_FREE: dict[str, Callable[[Shell], None]] = {
    "history": _free_history,
    "traceback": _free_traceback,
    "inputs": _free_inputs,
    "cycles": lambda shell: None,
}


def _kept(shell: Shell, what: str) -> int:
    """The bytes that freeing it gives back."""
    found = _look(shell, last=what)
    if what == "cycles":
        return found.lost_bytes
    kinds = {LAST_TRACEBACK: "traceback", INPUTS: "inputs"}
    return sum(s.kept for s in found.others if kinds.get(s.name, "history") == what)


def free(shell: Shell, what: str, say: Callable[[str], None]) -> None:
    """Says what will be dropped, and drops it."""
    size = _kept(shell, what)
    names = {
        "history": f"{counted(len(shell.user_ns['_oh']), 'result')} (Out[n], _n, _, __, ___)",
        "traceback": "the last exception with its frames (%debug has nothing to look at then)",
        "inputs": f"{INPUTS} (In[n], _in, _i, _ii, _iii)",
        "cycles": "cycles that nobody refers to",
    }
    say(f"Dropping {names[what]}: {bytes_text(size)}.")
    _FREE[what](shell)
    gc.collect()
