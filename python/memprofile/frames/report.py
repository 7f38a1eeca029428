"""``FrameReport``: what was found, as data, as text and as a picture."""

from __future__ import annotations

import json
import sys
from collections.abc import Container
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from memprofile import _native
from memprofile.bundle import Bundle, bundle
from memprofile.errors import MemprofileError
from memprofile.frames.advice import Advice
from memprofile.frames.memory import Totals
from memprofile.terminal import USUAL_WIDTH, columns, has_colors

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class FrameColumn:
    """What a column, an index or the column labels hold. Sizes are bytes."""

    name: str
    """Its label, as text."""
    role: str
    """``column``, ``index`` or ``labels``."""
    dtype: str
    """Its type, as its library writes it."""
    rows: int
    """How many values it has."""
    nulls: int | None
    """How many of them are missing; None where that has no meaning."""
    owned: int
    """Freed when the column goes: nothing else refers to it."""
    within: int
    """Referred to by other columns of the frame as well, and by nothing else."""
    shared: int
    """Referred to by something outside of the frame as well."""
    mapped: int
    """Pages of a file in memory, which the kernel can drop."""
    parts: dict[str, int]
    """All of these by what is in them: ``values``, ``references``, ``objects``, ``engine``, ..."""
    unused: int
    """Of ``owned``, what a view keeps alive and nobody uses."""
    keeps_alive: int
    """Bytes of the whole arrays of which it uses a part or all."""
    is_view: bool
    """Whether it uses a part only."""
    holders: list[str]
    """Names outside of the frame that hold the same arrays."""
    viewers: list[str]
    """Names outside of the frame that hold a view of a part of what it owns."""
    unnamed_holder: bool
    """Whether something holds them that has no name in the notebook."""
    advice: list[Advice] = field(default_factory=list)
    """Smaller types that hold every value, the smallest first."""


class FrameReport:
    """What a frame holds, and which smaller types would do. Sizes are bytes.

    Shown in a notebook it draws its picture; printed, it is text.

    >>> import memprofile, numpy
    >>> found = memprofile.inspect_frame(numpy.zeros(1000), name="zeros")
    >>> found.owned, found.shared, found.columns[0].dtype
    (8000, 0, 'float64')
    >>> print(found.code)
    zeros = zeros.astype("int8")
    """

    __slots__ = (
        *("_drawn", "advice", "code", "columns", "keeps_alive", "kind", "name", "owned"),
        *("shared", "spare_blocks", "unused"),
    )

    _drawn: _native.FrameReport | None
    name: str
    """What the frame is called."""
    kind: str
    """What it is: ``pandas DataFrame``, ``polars Series``, ..."""
    columns: list[FrameColumn]
    """Its columns in their order, then its index and its column labels."""
    owned: int
    """Freed when the frame goes."""
    shared: int
    """Used by it, and kept by something outside of it."""
    unused: int
    """Of ``owned``, what views keep alive and no column uses."""
    keeps_alive: int
    """Bytes of the whole arrays of which it uses a part only."""
    spare_blocks: int
    """How many blocks more pandas keeps than one for each of numpy's types: adding columns one by
    one makes them. 0 of other libraries' frames."""
    advice: list[Advice]
    """What may be done to the frame as a whole."""
    code: str
    """The best advice for all columns, to paste at once; empty without any."""

    @classmethod
    def _of(
        cls,
        name: str,
        kind: str,
        columns: list[FrameColumn],
        totals: Totals,
        spare_blocks: int,
        advice: list[Advice],
        code: str,
    ) -> FrameReport:
        made = cls()
        made.name, made.kind, made.columns = name, kind, columns
        made.owned, made.shared, made.unused = totals.freed, totals.shared, totals.unused
        made.keeps_alive, made.spare_blocks = totals.keeps, spare_blocks
        made.advice, made.code, made._drawn = advice, code, None
        return made

    @property
    def saved(self) -> int:
        """Bytes that ``code`` frees."""
        best = sum(column.advice[0].saved for column in self.columns if column.advice)
        return best + sum(advice.saved for advice in self.advice[:1])

    @property
    def _forms(self) -> _native.FrameReport:
        if self._drawn is None:
            self._drawn = _native.FrameReport(json.dumps(self.to_dict()))
        return self._drawn

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "owned": self.owned,
            "shared": self.shared,
            "unused": self.unused,
            "keeps_alive": self.keeps_alive,
            "spare_blocks": self.spare_blocks,
            "saved": self.saved,
            "code": self.code,
            "advice": [asdict(advice) for advice in self.advice],
            "columns": [asdict(column) for column in self.columns],
        }

    def to_pandas(self) -> pandas.DataFrame:
        """The columns as a table; ``best_dtype`` and ``best_bytes`` are the first advice.

        Raises MemprofileError when pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MemprofileError(
                "to_pandas needs pandas; install it with: pip install pandas"
            ) from error
        names = ("name", "role", "dtype", "rows", "nulls", "owned", "within", "shared", "mapped")
        table = {name: [getattr(column, name) for column in self.columns] for name in names}
        best = [column.advice[0] if column.advice else None for column in self.columns]
        table["best_dtype"] = [None if a is None else a.dtype for a in best]
        table["best_bytes"] = [None if a is None else a.after for a in best]
        return pandas.DataFrame(table)

    def to_text(self, *, color: bool = False, width: int = USUAL_WIDTH) -> str:
        """The table and the advice as text of so many columns."""
        return self._forms.to_text(width, color)

    def to_html(self) -> str:
        """The picture, the table and the advice as an HTML fragment without scripts."""
        return self._forms.to_html()

    def __repr__(self) -> str:
        return f"<memprofile.FrameReport {self._forms.to_line()}>"

    def __str__(self) -> str:
        return self.to_text(color=has_colors(sys.stdout), width=columns(sys.stdout))

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> Bundle:
        """The report for a front end: HTML, PNG and text, with the PNG's metadata."""
        return self._bundle(include, exclude)

    def _bundle(
        self,
        include: Container[str] | None = None,
        exclude: Container[str] | None = None,
        color: bool = False,
        width: int = USUAL_WIDTH,
    ) -> Bundle:
        return bundle(self._forms.bundle, include, exclude, color, width)
