"""The Rust engine. Bytes are integers, times are seconds, unless a name says otherwise."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from types import CodeType
from typing import Any, final

from memprofile._native_objects import (
    HeapCensus,
    HeapRoll,
    NameChange,
    NameChanges,
    NamesBefore,
    NameShare,
    RollChange,
    SizeTree,
    allocated_at,
    argument_is_lent,
    collector_runs,
    deep_size,
    garbage_knots,
    heap_census,
    immortal_and_interned,
    name_shares,
    retained_size,
    shallow_size,
    size_tree,
    ways,
)

# fmt: off
__all__ = [
    "LIMIT_SIGNAL", "TELEMETRY_FD", "AllocatorFigures", "Balance", "CellColumn", "Cells", "Child",
    "Diff", "DiffLine", "ForkedLine", "FrameReport", "HeapCensus", "HeapRoll", "Ledger",
    "LimitHandler", "Line", "Listing", "MemprofileError", "NameChange", "NameChanges", "NameShare",
    "NamesBefore", "Profile", "Recording", "RollChange", "Site", "SizeClass", "SizeTree",
    "Timeline", "__version__", "allocated_at", "argument_is_lent", "arm_limit", "arrow_chunks",
    "begin_black_box", "begin_cell", "black_box_goes_on", "bytes_text", "collector_runs",
    "deep_size", "disarm_limit", "end_black_box", "end_cell", "end_with_parent", "garbage_knots", "heap_census",
    "immortal_and_interned", "is_recording", "limit_in_force", "live", "live_end", "make_segment",
    "memory_needed", "memory_now", "name_shares", "next_limit", "read_segment", "retained_size",
    "run_kernel", "shallow_size", "show_cell", "size_tree", "stack", "start", "tell_to", "tells",
    "ways",
]
# fmt: on

__version__: str

class MemprofileError(Exception):
    """Base of every error that memprofile raises; its message says what to do next."""

def start(
    *,
    title: str,
    main_file: str | None,
    exact: bool,
    library_paths: Sequence[str],
    machinery_paths: Sequence[str],
    whole_stacks: bool = False,
) -> Recording:
    """Installs the hooks and starts recording this process.

    Frames of the caller of this function and above are not part of any stack; that frame must
    live until the recording stops. Where it cannot, ``whole_stacks`` keeps them. ``library_paths``
    and ``machinery_paths`` are path prefixes: code below the first is a library's, code below the
    second is never shown. ``exact`` records every allocation however many there are.

    Raises MemprofileError when a recording is already running or the interpreter cannot be
    measured.
    """

def stack() -> list[tuple[str, str, int]]:
    """The stack of the caller as the hooks see it: (function, filename, lineno), innermost first."""

def is_recording() -> bool:
    """Whether a recording is running in this process."""

def live(title: str, place: str | None = None, source: str | None = None) -> tuple[str, str] | None:
    """How the recording that is on goes, as HTML and as text; None when none is on.

    ``title`` is what runs, ``place`` the line that runs now and ``source`` its text.
    """

LIMIT_SIGNAL: int
"""The signal by which a limit has the main thread run a ``LimitHandler``."""

def next_limit() -> int:
    """The number that the next limit will have."""

def arm_limit(code: CodeType, limit: int | None, raises: bool, caller: CodeType | None) -> None:
    """Sets a limit for what this thread does where a frame of ``code`` is on its stack.

    With a ``caller`` nothing is raised but in what that code has called inside of it.

    ``limit`` is bytes of anonymous resident memory; None: near what the machine or control group has left.
    Both must live until it is lifted by ``disarm_limit`` with its number. There is none where the platform
    does not tell what is held. ``raises``: a ``LimitHandler`` is in place. Hooks must be on.
    """

def disarm_limit(number: int) -> tuple[int, int, int, str, int] | None:
    """Lifts a limit, with those that were set after it. The one before is in force again.

    Returns the last request that it refused, in bytes: limit, held, asked for; then file and line.
    """

def limit_in_force() -> tuple[int, str] | None:
    """The limit in bytes, and whose it is: ``user``, ``machine`` or ``control group``."""

def memory_now() -> tuple[int, int, int, bool] | None:
    """Bytes: what this process holds (anonymous, resident), what is left, and all that there is.

    The last says whether what is left is the control group's. None where the platform does not tell.
    """

def memory_needed() -> int | None:
    """What this process holds, in bytes, after malloc has given back what is free."""

@final
class LimitHandler:
    """A handler for ``LIMIT_SIGNAL``: raises MemoryLimitExceeded when the limit was passed.

    A signal that no limit has sent goes to ``previous``, what ``signal.getsignal`` gave before.
    """

    previous: Any
    def __new__(cls, previous: Any) -> LimitHandler: ...
    def __call__(self, *args: Any) -> None: ...

TELEMETRY_FD: str
"""The environment variable by which a process learns the descriptor of its telemetry segment."""

def make_segment() -> int:
    """Makes a telemetry segment for a process that is to be started, and returns its descriptor.

    The descriptor is inherited by processes that this one executes. Raises OSError.
    """

def read_segment(path: str) -> bytes | None:
    """What a process wrote last into the segment of this path, such as ``/proc/self/fd/5``: JSON.

    None when it has written nothing. Raises OSError, also for any other file.
    """

def end_black_box() -> None:
    """Ends the black box, if it is on: the hooks are taken off."""

def tell_to(descriptor: int) -> None:
    """Tells how it goes by an inherited segment from now on. Raises OSError if it is none of ours."""

def tells() -> bool:
    """Whether this process tells how it goes."""

def black_box_goes_on() -> bool:
    """Whether the black box, or a recording, is on; libraries loaded since are seen from now on."""

def begin_black_box(library_paths: Sequence[str], machinery_paths: Sequence[str]) -> None:
    """Unless something is recorded: begins a light recording, told by the segment, for a limit too."""

def begin_cell(message: str, filename: str, label: str, display: str | None = None) -> None:
    """A cell begins, by the request ``message``: that is told, where there is a segment.

    ``display`` is the display in which whoever reads that shall show how it goes.
    """

def show_cell(message: str, display: str | None) -> bool:
    """Has the cell that runs be shown in this display from now on; None: no more.

    False when nobody is told, or when the cell that is told is not that of the request ``message``.
    """

def end_cell() -> None:
    """The cell has ended: that is told, where there is a segment."""

def live_end(code: str) -> tuple[str, str] | None:
    """How the cell that has just ended went, as HTML and as text; ``code`` is its source.

    None when nobody is told of it, or when it took no longer than a live display waits.
    """

@final
class Recording:
    """A running recording."""

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""

    def stop(
        self,
        describe: Callable[[str, Sequence[int]], tuple[str, str, Mapping[int, str]]],
        exception: str | None = None,
        keepers: Callable[[], Sequence[tuple[str, int]]] | None = None,
        names: Callable[[float], NameChanges] | None = None,
    ) -> Profile:
        """Takes the hooks off and returns what was recorded.

        ``describe(filename, linenos)`` is called once for each file of the user's own, after the
        hooks are off. It returns the file's label (``cell [12]``), its kind (``"cell"`` or
        ``"user"``) and the text of its lines by number. ``exception`` names the type of the
        exception that ended the code. ``keepers()``, called after the hooks are off as well, says who
        keeps how many bytes beside the code's own names, such as ``("Out[3]", 1000)``, and
        ``names(seconds)`` what the names of a notebook hold more than before the code, which took so
        long; an error that this one raises is a gap of the profile.

        Raises MemprofileError when the recording has already been stopped.
        """

@final
class Line:
    """What one line of the user's own code allocated."""

    filename: str
    lineno: int
    function: str
    source: str
    peak_bytes: int
    surviving_bytes: int
    allocated_bytes: int
    allocation_count: int
    temporary_bytes: int
    relative_error: float
    touched_bytes: int

@final
class Site:
    """What one whole stack allocated from one allocator."""

    stack: list[tuple[str, str, int]]
    """(function, filename, lineno), innermost first; of a native thread its library, where known."""
    allocator: str
    native_thread: bool
    waiting: tuple[str, int] | None
    """(filename, lineno) of your line that ran while a native thread allocated, if known."""
    peak_bytes: int
    surviving_bytes: int
    allocated_bytes: int
    allocation_count: int
    temporary_bytes: int

@final
class Balance:
    """The growth of the resident set at one moment, in bytes, by what it went into.

    ``resident`` is the sum of the others.
    """

    resident: int
    objects: int
    """Python's small objects in arenas that were taken since the start."""
    arenas: int
    """What of these arenas holds none of them."""
    blocks: int
    """Native blocks and anonymous mappings, the large ones by what is in use."""
    pools: int
    """Allocators of libraries' own, as those of Arrow and polars: what is in use, where they tell."""
    pools_free: int
    """What they keep free beyond that. Below 0: they use pages that they had kept before."""
    earlier: int
    """Memory from before the start that was written to for the first time."""
    files: int
    """Files mapped into memory: data, and the libraries that were loaded."""
    libraries: int
    """What libraries that were loaded since have written of themselves, which is of no file."""
    recorder: int
    """The recorder's own tables."""
    malloc_free: int
    """Freed, and kept by malloc. Below 0: blocks lie in what it had kept before the start."""
    rest: int
    """Not attributed. Below 0: what the parts took without a growth of the resident set."""

@final
class Ledger:
    """Where the growth of the resident set went."""

    peak: Balance
    end: Balance

@final
class AllocatorFigures:
    """What one allocator gave."""

    allocator: str
    peak_bytes: int
    surviving_bytes: int
    allocated_bytes: int
    allocation_count: int
    temporary_bytes: int

@final
class SizeClass:
    """The blocks of one range of sizes."""

    smallest: int | None
    """None for allocations whose size is not known."""
    largest: int | None
    """None where there is no limit."""
    allocation_count: int
    allocated_bytes: int
    relative_error: float
    """Half the width of the 95% interval of allocated_bytes as a share; 0 when exact."""
    label: str
    """The range in words: ``64 to 127 B``."""

@final
class Child:
    """A process that the profiled code started, or one from before that grew meanwhile.

    ``started`` and ``ended`` are seconds since the start of the recording: None for a process that
    was there before, or was still running. ``exit_status`` is negative for a signal, and None where
    nobody saw it. ``peak_rss`` is the kernel's own mark and includes what the process shares with
    others; ``peak_pss`` counts shared pages by their part and is the largest reading, None without
    one. ``private`` is what no other process has, or what a process from before has grown by.
    ``seconds``, ``rss`` and ``private`` are columns of equal length.
    """

    pid: int
    parent: int
    command: str
    started: float | None
    ended: float | None
    exit_status: int | None
    start_rss: int
    """Resident set of a process that was there before, at the start; else 0."""
    peak_rss: int
    peak_pss: int | None
    peak_private: int
    seconds: list[float]
    rss: list[int]
    private: list[int]

@final
class ForkedLine:
    """What one line of the user's own code did in a process that was forked.

    Bytes as in ``Line``, above what the process had at its fork: ``peak_bytes`` when the footprint of
    that process was largest, ``surviving_bytes`` at its end, or as last told by one that was killed.
    ``sample_interval`` is the mean number of bytes between the samples of that process; 0: exact.
    """

    pid: int
    filename: str
    lineno: int
    function: str
    source: str
    peak_bytes: int
    surviving_bytes: int
    allocated_bytes: int
    allocation_count: int
    sample_interval: int

@final
class Timeline:
    """Memory over time, as columns of equal length: about 500 moments, with every extreme."""

    seconds: list[float]
    footprint: list[int]
    rss: list[int]
    held: list[tuple[str, list[int]]]
    """("line 7", what it held), where it was one of the 24 that held most; else 0."""

@final
class Diff:
    """What changed from one profile to another: the second less the first."""

    @property
    def peak_footprint(self) -> int: ...
    @property
    def surviving_bytes(self) -> int: ...
    @property
    def total_allocated(self) -> int: ...
    @property
    def peak_rss(self) -> int: ...
    @property
    def lines(self) -> list[DiffLine]: ...
    def to_line(self) -> str: ...
    def to_text(self, top: int, width: int) -> str: ...
    def to_html(self, top: int) -> str: ...

@final
class DiffLine:
    """What changed of one line of the user's own code. Bytes."""

    @property
    def name(self) -> str:
        """`line 7`, or `line 7 → 9` when it moved."""
    @property
    def source(self) -> str: ...
    @property
    def peak_bytes(self) -> int: ...
    @property
    def surviving_bytes(self) -> int: ...
    @property
    def allocated_bytes(self) -> int: ...
    @property
    def within_error(self) -> bool:
        """Whether all of these may be sampling error alone."""

@final
class Profile:
    """A finished recording."""

    @staticmethod
    def from_json(text: str) -> Profile:
        """Reads what to_json wrote, in this or an older version."""

    title: str
    exact: bool
    sample_interval: int
    peak_footprint: int
    footprint_delta: int
    start_rss: int
    peak_rss: int
    peak_rss_exact: bool
    rss_delta: int
    total_allocated: int
    touched_bytes: int
    file_backed_bytes: int
    allocation_count: int
    surviving_bytes: int
    duration: float
    overhead: float
    """Time spent in our own code at samples and polls, as a share of the duration."""
    gaps: list[str]
    lines: list[Line]
    sites: list[Site]
    allocators: list[AllocatorFigures]
    sizes: list[SizeClass]
    children: list[Child]
    forked_lines: list[ForkedLine]
    names: list[NameChange]
    timeline: Timeline
    ledger: Ledger | None

    def to_json(self) -> str: ...
    def to_text(self, top: int, width: int, color: bool) -> str:
        """The report as text of ``width`` columns, but never less than 60."""
    def to_line(self) -> str:
        """The verdict as one line of plain text."""
    def to_html(self, top: int) -> str:
        """The notebook's fragment: no script, at most 60 kB."""
    def to_page(self, top: int) -> str:
        """A whole self-contained HTML page."""
    def to_speedscope(self) -> str:
        """The stacks as a file for speedscope."""
    def to_collapsed(self) -> str:
        """What was held at the peak, a line for each stack."""
    def diff(self, other: Profile) -> Diff:
        """What changed from this profile to the other."""
    def to_svg(self, top: int) -> str: ...
    def to_png(self, top: int) -> bytes:
        """A PNG at twice the resolution, of at most 60 kB."""
    def bundle(
        self, top: int, forms: tuple[bool, bool, bool], width: int, color: bool
    ) -> tuple[str | None, str | None, tuple[bytes, int, int, str] | None]:
        """Text, HTML and PNG as far as ``forms`` asks for them, together of at most 100 kB.

        With the PNG come the width and height to show it at, in CSS pixels, and what it shows, in
        words.
        """

@final
class CellColumn:
    """What the cells of one object column refer to. Sizes are bytes."""

    owned: int
    """Of objects that nothing else refers to."""
    within: int
    """Of objects that other columns refer to as well, and nothing else."""
    outside: int
    """Of objects that something else refers to as well."""
    objects: int
    """Different objects, without those that stand for a missing value."""
    nulls: int
    """Cells without a value."""
    none: int
    """Of those, cells with None."""
    nan: int
    """Of those, cells with a NaN."""
    kinds: list[tuple[type, int, int]]
    """Each type with its cells and its different objects, the most cells first."""

@final
class Cells:
    """The objects in the cells of columns, each once. The columns must not change meanwhile."""

    def __new__(cls, nulls: list[object]) -> Cells:
        """``nulls`` stand for a missing value besides None and NaN."""
    def add(self, array: Any, held: int = 0) -> int:
        """Adds a one-dimensional numpy array of objects; returns the number of its column.

        ``held`` more references to each object are known to be the frame's.
        Raises BufferError, TypeError or ValueError for anything else.
        """
    def finish(self) -> tuple[list[CellColumn], int, int]:
        """The columns, and the bytes of all ``within`` and ``outside``, each object once."""

def arrow_chunks(capsule: object) -> list[list[tuple[str, int, int]]]:
    """The buffers of each chunk of an Arrow stream: what is in it, its address, and its bytes.

    ``capsule`` is what ``__arrow_c_stream__()`` gives, and is used up. Raises ValueError for a stream
    that fails or has a format that is not known.
    """

@final
class FrameReport:
    """What a frame holds, to draw. Raises MemprofileError when that fails."""

    def __new__(cls, text: str) -> FrameReport:
        """``text`` is ``memprofile.FrameReport.to_dict()`` as JSON."""
    def to_text(self, width: int, color: bool) -> str: ...
    def to_line(self) -> str:
        """The verdict as one line of plain text."""
    def to_html(self) -> str:
        """The notebook's fragment: no script, at most 60 kB."""
    def bundle(
        self, forms: tuple[bool, bool, bool], width: int, color: bool
    ) -> tuple[str | None, str | None, tuple[bytes, int, int, str] | None]:
        """Text, HTML and PNG, as ``Profile.bundle`` gives them."""

def bytes_text(count: int) -> str:
    """Bytes for people: three digits, KiB, MiB and GiB of 1024."""

@final
class Listing:
    """Tables and ways, ready to draw.

    A section is (title, columns, how many of them are words, rows, note); a stop of a way is (how it is
    reached, what it is). A ring is a caption and such stops, of which the last one refers to the first.
    """

    def __new__(
        cls,
        headline: str,
        facts: str,
        sections: Sequence[tuple[str, Sequence[str], int, Sequence[Sequence[str]], str]],
        ways: Sequence[Sequence[tuple[str, str]]] = ...,
        rings: Sequence[tuple[str, Sequence[tuple[str, str]]]] = ...,
    ) -> Listing: ...
    def to_text(self) -> str: ...
    def to_html(self) -> str: ...
    def to_svg(self) -> str:
        """The ways alone."""

def run_kernel(connection_file: str | PathLike[str], command: Sequence[str]) -> int:
    """Runs the supervisor kernel until it is shut down; the exit code for the process.

    ``command`` starts Python with a stock kernel in it; ``-f FILE`` is put after it. Raises
    MemprofileError when the connection file cannot be used or a port cannot be bound.
    """

def end_with_parent(parent: int) -> None:
    """Has this process be killed when ``parent``, which started it, ends.

    Raises MemprofileError when another process has started it, or ``parent`` is gone.
    """
