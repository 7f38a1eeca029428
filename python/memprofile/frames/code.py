"""The lines to paste."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from memprofile.frames import arrays, arrow_table, pandas_frame, polars_frame
from memprofile.frames.arrays import is_a


def alias(module: str, usual: str, names: Mapping[str, object]) -> str:
    """What a program calls a module, or what is usual."""
    found = sys.modules.get(module)
    if names.get(usual) is found:
        return usual
    return next((n for n, value in names.items() if value is found and n.isidentifier()), usual)


class Code:
    """How the columns of one frame are written."""

    def __init__(self, frame: Any, name: str, names: Mapping[str, object]) -> None:
        self._name = name
        self._frame = frame
        self._modules = {
            "pd.": alias("pandas", "pd", names) + ".",
            "pl.": alias("polars", "pl", names) + ".",
            "pa.": alias("pyarrow", "pa", names) + ".",
        }
        self._is_table = False
        self._labels: list[object] = []
        self._mates: set[int] = set()
        pandas = arrays.module("pandas")
        if pandas is not None and is_a(frame, pandas.DataFrame):
            self._is_table = True
            self._labels = pandas_frame.values_of(pandas_frame.labels_of(frame))
            self._mates = pandas_frame.in_shared_blocks(frame)
        elif arrow_table.is_arrow(frame):
            self._labels = [label for label, _ in arrow_table.columns_of(frame)]
            self._is_table = self._labels != [None]

    def _says(self, expression: str, column: str) -> str:
        for usual, alias in self._modules.items():
            expression = expression.replace(usual, alias)
        return expression.replace("{}", column)

    def for_column(self, number: int, expression: str) -> str | None:
        """The line that gives a column another type; None where it cannot be written."""
        name = self._name
        if polars_frame.is_polars(self._frame):
            if is_a(self._frame, sys.modules["polars"].Series):
                return f"{name} = {self._says(expression, name)}"
            column = f"{name}[{quoted(self._frame.columns[number])}]"
            return f"{name} = {name}.with_columns({self._says(expression, column)})"
        if not self._is_table:
            if ".cat." in expression or ".sparse." in expression:
                return self._for_one(expression)
            return f"{name} = {self._says(expression, name)}"
        label = self._labels[number]
        if arrow_table.is_arrow(self._frame):
            changed = self._says(expression, f"{name}.column({number})")
            return f"{name} = {name}.set_column({number}, {quoted(label)}, {changed})"
        if _is_plain(label) and self._labels.count(label) == 1:
            column = f"{name}[{quoted(label)}]"
            line = f"{column} = {self._says(expression, column)}"
        else:
            column = f"{name}.iloc[:, {number}]"
            line = f"{name}.isetitem({number}, {self._says(expression, column)})"
        return f"{line}\n{self.for_copy()}" if number in self._mates else line

    def _for_one(self, expression: str) -> str | None:
        """An accessor is there on a Series alone."""
        if not is_a(self._frame, sys.modules["pandas"].Series):
            return None
        return f"{self._name} = {self._says(expression, self._name)}"

    def for_index(self, expression: str) -> str:
        """The line that gives a pandas index another type."""
        name = self._name
        is_index = is_a(self._frame, sys.modules["pandas"].Index)
        of = name if is_index else f"{name}.index"
        return f"{of} = {self._says(expression, of)}"

    def for_copy(self) -> str | None:
        """The line that lets go of arrays of which only a part is used; None where none does."""
        pandas, numpy = arrays.module("pandas"), arrays.module("numpy")
        if pandas is not None and is_a(self._frame, pandas.DataFrame, pandas.Series):
            return f"{self._name} = {self._name}.copy()"
        if numpy is not None and is_a(self._frame, numpy.ndarray):
            return f"{self._name} = {self._name}.copy()"
        return None

    def together(self, lines: list[str]) -> str:
        """All lines, with one copy at the end if some need it."""
        copy = self.for_copy()
        kept = [part for line in lines for part in line.split("\n") if part != copy]
        is_needed = copy is not None and any(copy in line.split("\n") for line in lines)
        return "\n".join([*kept, copy] if is_needed and copy is not None else kept)


def quoted(label: object) -> str:
    """A label as Python writes it, in double quotes where it can be."""
    if type(label) is str and label.isprintable() and not set(label) & {'"', "\\"}:
        return f'"{label}"'
    return repr(label)


def _is_plain(label: object) -> bool:
    if type(label) is tuple:
        return all(_is_plain(part) for part in label)
    return type(label) in (str, int)
