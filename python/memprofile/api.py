"""``Profile``: what a recording has found, without a notebook magic."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Container
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from memprofile import _native, tables
from memprofile.bundle import Bundle, bundle
from memprofile.comparison import Diff
from memprofile.errors import MemprofileError
from memprofile.options import (
    DEFAULT_TOP,
    FORMATS,
    OptionError,
    checked_path,
    format_of,
)
from memprofile.terminal import USUAL_WIDTH, columns, has_colors

if TYPE_CHECKING:
    import pandas

_Format = Literal["html", "json", "svg", "png", "txt", "speedscope", "collapsed"]
_Table = Literal[
    "lines", "sites", "timeline", "allocators", "sizes", "children", "forked_lines", "names"
]

__all__ = ["Profile"]


class Profile:
    """What a stretch of code cost in memory. Bytes are integers, times are seconds.

    ``with memprofile.profile() as p:`` gives one that is filled when the block ends; until
    then its figures raise MemprofileError. Shown in a notebook, it draws its report; printed,
    it is text. It can be pickled, and saved to a file and loaded again.

    >>> import memprofile
    >>> with memprofile.profile(title="ten megabytes") as p:
    ...     data = bytearray(10_000_000)
    >>> p.title
    'ten megabytes'
    >>> 10_000_000 <= p.peak_footprint < 11_000_000
    True
    >>> p.exact, p.sample_interval
    (True, 0)
    """

    __slots__ = ("_finished",)

    def __init__(self) -> None:
        self._finished: _native.Profile | None = None

    @classmethod
    def _of(cls, finished: _native.Profile) -> Profile:
        made = cls()
        made._finished = finished
        return made

    @property
    def _data(self) -> _native.Profile:
        if self._finished is None:
            raise MemprofileError(
                "this profile is not finished; read it after the `with memprofile.profile()` block"
            )
        return self._finished

    @property
    def title(self) -> str:
        """What was profiled: ``cell [12]``, or a function's name."""
        return self._data.title

    @property
    def peak_footprint(self) -> int:
        """The most memory in use at once, in bytes above the start."""
        return self._data.peak_footprint

    @property
    def footprint_delta(self) -> int:
        """What is in use at the end, in bytes above the start; negative when memory was freed."""
        return self._data.footprint_delta

    @property
    def start_rss(self) -> int:
        """Resident set size of the process at the start, in bytes."""
        return self._data.start_rss

    @property
    def peak_rss(self) -> int:
        """The largest resident set size of the process, in bytes; see ``peak_rss_exact``."""
        return self._data.peak_rss

    @property
    def peak_rss_exact(self) -> bool:
        """Whether ``peak_rss`` is the kernel's own high-water mark, not the largest reading."""
        return self._data.peak_rss_exact

    @property
    def rss_delta(self) -> int:
        """Resident set size at the end less that at the start, in bytes."""
        return self._data.rss_delta

    @property
    def total_allocated(self) -> int:
        """Bytes of all allocations together, those freed again too."""
        return self._data.total_allocated

    @property
    def touched_bytes(self) -> int:
        """Of ``total_allocated``, what was in use at some time: of large blocks, resident pages."""
        return self._data.touched_bytes

    @property
    def file_backed_bytes(self) -> int:
        """Resident pages of files (``np.memmap``, libraries) at most, in bytes above the start.

        They are part of ``peak_rss`` and not of the footprint: the kernel can drop them.
        """
        return self._data.file_backed_bytes

    @property
    def allocation_count(self) -> int:
        """The number of allocations."""
        return self._data.allocation_count

    @property
    def surviving_bytes(self) -> int:
        """Bytes of the allocations that were still live at the end."""
        return self._data.surviving_bytes

    @property
    def duration(self) -> float:
        """Wall time from start to stop, in seconds."""
        return self._data.duration

    @property
    def overhead(self) -> float:
        """Time spent in memprofile itself while recording, as a share of the duration (0 to 1)."""
        return self._data.overhead

    @property
    def sample_interval(self) -> int:
        """Mean bytes between two samples; 0 when every allocation was recorded."""
        return self._data.sample_interval

    @property
    def exact(self) -> bool:
        """Whether every allocation was recorded, so that no figure is an estimate."""
        return self._data.exact

    @property
    def gaps(self) -> list[str]:
        """What could not be measured, each as one sentence with its reason."""
        return self._data.gaps

    @property
    def timeline(self) -> _native.Timeline:
        """Memory over time: columns ``seconds``, ``footprint`` and ``rss`` (bytes)."""
        return self._data.timeline

    @property
    def ledger(self) -> _native.Ledger | None:
        """Where the growth of the resident set went: ``ledger.peak`` and ``ledger.end``, in bytes.

        ``objects``, ``arenas``, ``blocks``, ``pools``, ``earlier``, ``files``, ``libraries``,
        ``recorder``, ``malloc_free`` and ``pools_free`` (freed, and kept by malloc and by libraries with
        allocators of their own) and ``rest`` (not attributed) add up to ``resident``. None where
        the platform does not tell the resident set size.

        >>> import memprofile
        >>> with memprofile.profile() as p:
        ...     data = bytearray(10_000_000)
        >>> 9_000_000 < p.ledger.end.blocks < 11_000_000
        True
        """
        return self._data.ledger

    @property
    def lines(self) -> list[_native.Line]:
        """Each line of your own code that allocated, the profiled code first, in reading order.

        Bytes: ``peak_bytes`` (held at the peak), ``surviving_bytes``, ``allocated_bytes``,
        ``touched_bytes`` (what of these was in use at some time) and ``temporary_bytes``;
        ``relative_error`` is half the width of the 95% interval as a share.

        >>> import memprofile
        >>> with memprofile.profile() as p:
        ...     data = [bytes(1000) for _ in range(1000)]
        >>> sum(line.peak_bytes for line in p.lines) > 1_000_000
        True
        """
        return self._data.lines

    @property
    def sites(self) -> list[_native.Site]:
        """Each whole stack that allocated, by allocator, the largest at the peak first.

        ``stack`` is (function, filename, lineno), innermost first; ``allocator`` is
        ``pymalloc``, ``malloc``, ``mmap``, ``arrow``, ``polars`` or, for memory from before the
        start that was written to, ``earlier``. Bytes as in ``lines``. Of the last three only sums
        are known, so their ``allocation_count`` is 0. Of a native thread ``stack`` names the
        library at most, and ``waiting`` is your line that ran meanwhile.
        """
        return self._data.sites

    @property
    def allocators(self) -> list[_native.AllocatorFigures]:
        """What each allocator gave, as the sum of its ``sites``; bytes as in ``lines``."""
        return self._data.allocators

    @property
    def sizes(self) -> list[_native.SizeClass]:
        """Allocations by the size of their blocks, in powers of two, smallest first.

        ``label`` says the range, ``smallest`` and ``largest`` its bounds in bytes;
        ``allocation_count`` and ``allocated_bytes`` add up to those of all ``sites``.

        >>> import memprofile
        >>> with memprofile.profile() as p:
        ...     data = bytearray(3_000_000)
        >>> [c.allocation_count for c in p.sizes if c.smallest == 2 * 1024 * 1024]
        [1]
        """
        return self._data.sizes

    @property
    def children(self) -> list[_native.Child]:
        """Each process that the code started, also by its children, in the order of their finding.

        ``pid``, ``parent`` (a pid), ``command`` (a few words), ``started`` and ``ended`` (seconds
        since the start; None: it was there before, or was still running), ``exit_status``
        (negative: the signal; None: nobody saw it). Bytes: ``peak_rss``, ``peak_pss`` (shared
        pages by their part; None: no reading) and ``peak_private`` (in no other process). The
        columns ``seconds``, ``rss`` and ``private`` are its curve. A worker from before counts by
        its growth above ``start_rss``, and only when it grew by a MiB. Empty without ``/proc``.

        >>> import memprofile, subprocess, sys
        >>> with memprofile.profile() as p:
        ...     done = subprocess.run([sys.executable, "-c", "x = bytearray(30_000_000)"])
        >>> [child.exit_status for child in p.children]
        [0]
        """
        return self._data.children

    @property
    def forked_lines(self) -> list[_native.ForkedLine]:
        """What the lines of each process did that was forked and ran no other program.

        ``pid``, ``filename``, ``lineno``, ``function``, ``source``, and bytes above what that
        process had at its fork: ``peak_bytes`` (when its footprint was largest),
        ``surviving_bytes`` (at its end, or as last told by one that was killed),
        ``allocated_bytes``; ``allocation_count``; ``sample_interval`` (0: exact). Of each process
        the 64 lines that held most. Lines that ran in this process are in ``lines``.

        >>> import memprofile, multiprocessing
        >>> def work():
        ...     data = bytearray(3_000_000)
        >>> with memprofile.profile() as p:
        ...     child = multiprocessing.get_context("fork").Process(target=work)
        ...     child.start()
        ...     child.join()
        >>> [line.pid == child.pid for line in p.forked_lines if line.peak_bytes >= 3_000_000]
        [True]
        """
        return self._data.forked_lines

    @property
    def names(self) -> list[_native.NameChange]:
        """The notebook's names that changed in a ``%%memprofile`` cell, what grew most first.

        ``name``, ``type``, ``before_bytes`` (None: it is new), ``after_bytes`` (None: it is gone),
        ``grown_bytes`` and ``at_least`` (it reaches more than there was time to look at). Bytes of
        all that the name reaches; what several names share counts with the first. At most 200
        names; empty where nobody looked: of ``profile()`` and ``%memprofile``.
        """
        return self._data.names

    def to_json(self) -> str:
        """The profile as versioned JSON, which this and later versions of memprofile load."""
        return self._data.to_json()

    def to_dict(self) -> dict[str, Any]:
        """The profile as plain data: what ``to_json`` writes.

        >>> import memprofile
        >>> with memprofile.profile() as p:
        ...     pass
        >>> p.to_dict()["format"]
        'memprofile'
        """
        return cast("dict[str, Any]", json.loads(self.to_json()))

    def to_text(
        self, top: int = DEFAULT_TOP, *, color: bool = False, width: int = USUAL_WIDTH
    ) -> str:
        """The report as 10 to 20 lines of text; the ``top`` lines, the rest as one row.

        No line has more than ``width`` letters: columns that do not fit are left out. Less than 60
        is taken for 60.
        """
        return self._data.to_text(top, width, color)

    def to_line(self) -> str:
        """The verdict as one line of text."""
        return self._data.to_line()

    def to_html(self, top: int = DEFAULT_TOP) -> str:
        """The report as an HTML fragment without scripts, at most 60 kB."""
        return self._data.to_html(top)

    def to_pandas(self, table: _Table = "lines") -> pandas.DataFrame:
        """One table as a pandas DataFrame: bytes and seconds, as in the fields.

        ``"timeline"`` has a column for each line that held something, such as ``line 7``, beside
        ``seconds``, ``footprint`` and ``rss``: what it held at that moment, of the 24 lines that
        held most then. The page that ``save("report.html")`` writes shows these moments, of the
        lines that have a colour. What no line held (allocators' slack, libraries) is the rest of
        the footprint.

        Raises MemprofileError for another table, or when pandas is not installed.
        """
        return tables.frame(self, table)

    def save(
        self,
        path: str | os.PathLike[str],
        top: int = DEFAULT_TOP,
        *,
        format: _Format | None = None,  # noqa: A002
    ) -> None:
        """Writes the profile to a file, as its suffix or ``format`` says.

        ``.html`` is one page to explore in a browser, without a network, of at most 1 MB: the
        flame graph to zoom and search, each moment of the timeline, tables to sort. ``.svg`` and
        ``.png`` are the picture, ``.txt`` the text of 80 columns. ``.json`` is the data, which
        ``Profile.load`` reads back. For other tools: ``.speedscope.json`` (format
        ``"speedscope"``) is what was held at the peak, stays and was allocated, by stack, for
        https://www.speedscope.app; ``.collapsed`` is what was held at the peak as lines
        ``outer;inner bytes``, as flame graph tools read them.

        Raises MemprofileError for another suffix or format or a folder that is not there, OSError
        when the disk does not take it.

        >>> import memprofile, tempfile
        >>> with memprofile.profile() as p:
        ...     data = bytearray(10_000_000)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     p.save(f"{folder}/profile.json")
        ...     again = memprofile.Profile.load(f"{folder}/profile.json")
        >>> again.peak_footprint == p.peak_footprint
        True
        """
        if format is not None and format not in FORMATS:
            known = ", ".join(map(repr, FORMATS))
            raise MemprofileError(f"there is no format {format!r}; use one of {known}")
        example = 'for example: profile.save("report.html")'
        try:
            file = checked_path(path, "save()", example, any_name=format is not None)
        except OptionError as error:
            raise MemprofileError(str(error)) from None
        data = self._data
        content: str | bytes
        match format or format_of(file):
            case "html":
                content = data.to_page(top)
            case "json":
                content = data.to_json()
            case "speedscope":
                content = data.to_speedscope()
            case "collapsed":
                content = data.to_collapsed()
            case "svg":
                content = data.to_svg(top)
            case "png":
                content = data.to_png(top)
            case _:
                content = data.to_text(top, USUAL_WIDTH, False).rstrip("\n") + "\n"
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def diff(self, other: Profile) -> Diff:
        """What changed from this profile to ``other``: show it, print it, or compute with it.

        A line is the same in both when its text is, wherever it stands. Raises MemprofileError for
        what is no profile, or not finished.

        >>> import memprofile
        >>> def load(n):
        ...     return bytearray(n)
        >>> with memprofile.profile() as before:
        ...     data = load(10_000_000)
        >>> with memprofile.profile() as after:
        ...     data = load(30_000_000)
        >>> before.diff(after).peak_footprint > 15_000_000
        True
        """
        if not isinstance(other, Profile):
            raise MemprofileError(
                f"diff() compares with another Profile, not {other!r}; "
                "for example: before.diff(after)"
            )
        return Diff(self._data.diff(other._data))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Profile:
        """Reads a profile that ``save("name.json")`` wrote, with this or an older version.

        Raises MemprofileError for any other file, OSError when it cannot be read.
        """
        try:
            text = Path(path).expanduser().read_text(encoding="utf-8")
        except UnicodeDecodeError:
            text = ""  # the engine's sentence says what to load instead
        return cls._of(_native.Profile.from_json(text))

    def __reduce__(self) -> tuple[Callable[[str], Profile], tuple[str]]:
        return _from_json, (self.to_json(),)

    def __repr__(self) -> str:
        if self._finished is None:
            return "<memprofile.Profile, not finished>"
        return f"<memprofile.Profile {self.title}: {self.to_line()}>"

    def __str__(self) -> str:
        if self._finished is None:
            return repr(self)
        # As the terminal has it, in colour too; `to_text()` never looks at one.
        text = self.to_text(color=has_colors(sys.stdout), width=columns(sys.stdout))
        return text.rstrip("\n")

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> Bundle:
        """The report for a front end: HTML, PNG and text, with the PNG's metadata."""
        if self._finished is None:
            return {"text/plain": repr(self)}, {}
        return self._bundle(DEFAULT_TOP, include, exclude)

    def _bundle(
        self,
        top: int,
        include: Container[str] | None = None,
        exclude: Container[str] | None = None,
        color: bool = False,
        width: int = USUAL_WIDTH,
    ) -> Bundle:
        draw = functools.partial(self._data.bundle, top)
        return bundle(draw, include, exclude, color, width)


def _from_json(text: str) -> Profile:
    return Profile._of(_native.Profile.from_json(text))
