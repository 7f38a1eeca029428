"""The options of both magics: one table, one reader, one sentence for each mistake.

Hand-written, because argparse splits the quotes of a ``%memprofile`` statement apart and
accepts abbreviations that would change their meaning when an option is added.
"""

from __future__ import annotations

import keyword
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from memprofile import _native
from memprofile._native import bytes_text

DEFAULT_TOP = 10
"""How many lines a report shows before the rest is one row."""

FORMATS = {
    "html": ".html",
    "json": ".json",
    "svg": ".svg",
    "png": ".png",
    "txt": ".txt",
    "speedscope": ".speedscope.json",
    "collapsed": ".collapsed",
}
"""What a profile can be saved as, and the suffix that asks for it."""


def format_of(path: Path) -> str | None:
    """The format that a file's name asks for; None where it names none."""
    name = path.name.lower()
    found = [known for known, suffix in FORMATS.items() if name.endswith(suffix)]
    # `.speedscope.json` is a `.json` too: the longer suffix says more.
    return max(found, key=lambda known: len(FORMATS[known]), default=None)


class OptionError(Exception):
    """A bad option: one sentence and an example."""


@dataclass(frozen=True)
class CellOptions:
    """What the first line of a ``%%memprofile`` cell asks for."""

    name: str | None = None
    quiet: bool = False
    save: Path | None = None
    exact: bool = False
    top: int = DEFAULT_TOP
    live: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class StatementOptions:
    """What stands between ``%memprofile`` and the statement, and the statement."""

    statement: str
    name: str | None = None
    repeat: int | None = None
    exact: bool = False


@dataclass(frozen=True)
class FrameOptions:
    """What stands between ``%memframe`` and the expression, and the expression."""

    expression: str
    name: str | None = None
    advice: bool = True


def _name(value: str) -> str:
    if not value.isidentifier() or keyword.iskeyword(value):
        raise OptionError(f"-o needs a variable name, not {value!r}; for example: -o usage")
    return value


def _positive(flag: str, example: str) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) == 0:
            raise OptionError(f"{flag} needs a whole number above 0, not {value!r}; {example}")
        return int(value)

    return read


def _file(value: str) -> Path:
    return checked_path(value, "--save", "for example: --save report.html")


def checked_path(
    value: str | os.PathLike[str], what: str, example: str, any_name: bool = False
) -> Path:
    """An absolute path that a profile can be saved to, or an OptionError.

    ``any_name``: the format is known, so that the name need not say it.
    """
    path = Path(value).expanduser().absolute()
    if not any_name and format_of(path) is None:
        known = ", ".join(FORMATS.values())
        raise OptionError(f"{what} needs a file that ends in one of {known}; {example}")
    if not path.parent.is_dir():
        raise OptionError(f"{what} needs a folder that is there: make {str(path.parent)!r} first")
    target = path if path.exists() else path.parent
    if path.is_dir() or not os.access(target, os.W_OK):
        raise OptionError(f"{what} cannot write to {str(target)!r}; {example}")
    return path


_LIMIT = re.compile(r"(\+?)([0-9]{1,6}(?:\.[0-9]{1,6})?) ?(%|[KMGT]i?B)", re.IGNORECASE)
_THOUSANDS = "KMGT"


def checked_limit(value: str, what: str, example: str) -> int:
    """The bytes of a limit such as ``2GB``, ``1.5GiB`` or ``80%``, or an OptionError.

    A GB is 1000³ bytes and a GiB 1024³; percents are of what the machine or its control group has.
    ``+300MB`` is so much more than the process holds now, without what malloc keeps for later.
    """
    found = _LIMIT.fullmatch(value)
    if found is None:
        raise OptionError(
            f"{what} needs a size as 2GB, 1.5GiB, 80% or +300MB, not {value!r}; {example}"
        )
    more, number, unit = bool(found[1]), float(found[2]), found[3].upper()
    if unit == "%":
        if not 0 < number <= 100:
            raise OptionError(f"{what} needs 1% to 100%, not {value!r}; {example}")
        now = _memory_now(what)
        limit = int(number / 100 * now[2])
    else:
        power = _THOUSANDS.index(unit[0]) + 1
        limit = int(number * (1024 if "I" in unit else 1000) ** power)
    if more:
        _memory_now(what)
        limit += _native.memory_needed() or 0
    return above_held(limit, value, what)


def above_held(limit: int, value: object, what: str) -> int:
    """A limit that is more than what the process holds, or an OptionError."""
    held = _memory_now(what)[0]
    if limit <= held:
        # Some of it may be free, and malloc keeps it for later.
        held = _native.memory_needed() or 0
    if limit <= held:
        raise OptionError(
            f"{what} {value} is no more than this process holds already, {bytes_text(held)}; "
            f"give it more, for example: {-(-2 * held // 10**9)}GB"
        )
    return limit


def _memory_now(what: str) -> tuple[int, int, int, bool]:
    now = _native.memory_now()
    if now is None:
        raise OptionError(
            f"{what} needs Linux, which tells what a process holds; leave it out on this platform"
        )
    return now


def _limit(value: str) -> int:
    return checked_limit(value, "--limit", "for example: --limit 2GB")


_Table = dict[str, tuple[str, Callable[[str], object] | None]]
"""By flag: the field that it sets, and what reads its value; None where it has none."""

_CELL: _Table = {
    "-o": ("name", _name),
    "-q": ("quiet", None),
    "--save": ("save", _file),
    "--exact": ("exact", None),
    "--top": ("top", _positive("--top", "for example: --top 20")),
    "--live": ("live", None),
    "--limit": ("limit", _limit),
}

_STATEMENT: _Table = {
    "-o": ("name", _name),
    "-r": ("repeat", _positive("-r", "for example: %memprofile -r 3 f(x)")),
    "--exact": ("exact", None),
}


def _unknown(word: str, table: dict[str, object], example: str) -> OptionError:
    known = ", ".join(table)
    return OptionError(f"unknown option {word!r} (there are {known}); for example: {example}")


def _read_words(line: str, table: _Table, magic: str, example: str) -> dict[str, object]:
    """The options of a line that holds nothing else, by field."""
    try:
        words = shlex.split(line)
    except ValueError:
        raise OptionError(
            f"a quotation mark is not closed in {line.strip()!r}; for example: {magic} {example}"
        ) from None
    found: dict[str, object] = {}
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if flag not in table:
            raise _unknown(word, dict(table), f"{magic} {example}")
        field, read = table[flag]
        if read is None:
            if equals:
                raise OptionError(f"{flag} takes no value; for example: {magic} {flag}")
            found[field] = True
            continue
        if not equals:
            value = next(rest, "")
        found[field] = read(value)
    return found


def read_cell_options(line: str) -> CellOptions:
    """Reads what follows ``%%memprofile``. Raises OptionError."""
    found = _read_words(line, _CELL, "%%memprofile", "-o usage --save 'my report.html'")
    return CellOptions(**found)  # type: ignore[arg-type]  # each reader returns its field's type


_FRAME: _Table = {
    "-o": ("name", _name),
    "--no-advice": ("advice", None),
}


@dataclass(frozen=True)
class VariableOptions:
    """What follows ``%memvars``."""

    top: int = 20
    free: str | None = None


@dataclass(frozen=True)
class HeapOptions:
    """What follows ``%memheap``."""

    by: str = "type"
    top: int = 20
    mark: bool = False
    since: bool = False
    garbage: bool = False


def _one_of(flag: str, known: tuple[str, ...], example: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in known:
            words = ", ".join(known)
            raise OptionError(f"{flag} needs one of {words}, not {value!r}; {example}")
        return value

    return read


_VARIABLES: _Table = {
    "--top": ("top", _positive("--top", "for example: %memvars --top 50")),
    "--free": (
        "free",
        _one_of(
            "--free",
            ("history", "traceback", "inputs", "cycles"),
            "for example: %memvars --free history",
        ),
    ),
}

_HEAP: _Table = {
    "--by": (
        "by",
        _one_of(
            "--by", ("type", "module", "referrer", "size"), "for example: %memheap --by module"
        ),
    ),
    "--top": ("top", _positive("--top", "for example: %memheap --top 50")),
    "--mark": ("mark", None),
    "--since": ("since", None),
    "--garbage": ("garbage", None),
}


def read_variable_options(line: str) -> VariableOptions:
    """Reads what follows ``%memvars``. Raises OptionError."""
    found = _read_words(line, _VARIABLES, "%memvars", "--top 50")
    return VariableOptions(**found)  # type: ignore[arg-type]


def read_heap_options(line: str) -> HeapOptions:
    """Reads what follows ``%memheap``. Raises OptionError."""
    found = _read_words(line, _HEAP, "%memheap", "--by module --top 5")
    return HeapOptions(**found)  # type: ignore[arg-type]


def _options_before(line: str, table: _Table, example: str) -> tuple[dict[str, object], str]:
    """The options at the beginning of a line, and the rest of it as typed. Raises OptionError."""
    found: dict[str, object] = {}
    rest = line.strip()
    while rest.startswith("-"):
        word, _, rest = rest.partition(" ")
        rest = rest.lstrip()
        if word == "--":
            break
        if word not in table:
            raise _unknown(word, dict(table), example)
        field, read = table[word]
        if read is None:
            found[field] = True
        else:
            value, _, rest = rest.partition(" ")
            found[field] = read(value)
            rest = rest.lstrip()
    return found, rest


def read_statement_options(line: str) -> StatementOptions:
    """Reads what follows ``%memprofile``; the statement stays as typed. Raises OptionError."""
    example = "%memprofile -r 3 f(x), or %memprofile -- -x for an expression that begins with -"
    found, rest = _options_before(line, _STATEMENT, example)
    if not rest:
        raise OptionError(
            "%memprofile needs a statement, for example: %memprofile sorted(values); "
            "to profile a whole cell, make %%memprofile its first line"
        )
    return StatementOptions(statement=rest, **found)  # type: ignore[arg-type]


def read_frame_options(line: str) -> FrameOptions:
    """Reads what follows ``%memframe``. Raises OptionError."""
    found, rest = _options_before(line, _FRAME, "%memframe -o report df")
    if "advice" in found:
        found["advice"] = False
    if not rest:
        raise OptionError("it needs a frame to look at, for example: %memframe df")
    return FrameOptions(expression=rest, **found)  # type: ignore[arg-type]
