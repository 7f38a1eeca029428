"""A profile's tables as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from memprofile.errors import MemprofileError

if TYPE_CHECKING:
    import pandas

    from memprofile.api import Profile

_TABLES: Mapping[str, tuple[str, ...]] = {
    "lines": (
        *("filename", "lineno", "function", "source", "peak_bytes", "surviving_bytes"),
        *("allocated_bytes", "touched_bytes", "allocation_count", "temporary_bytes"),
        "relative_error",
    ),
    "sites": (
        *("stack", "allocator", "native_thread", "peak_bytes", "surviving_bytes"),
        *("allocated_bytes", "allocation_count", "temporary_bytes", "waiting"),
    ),
    "timeline": ("seconds", "footprint", "rss"),
    "allocators": (
        *("allocator", "peak_bytes", "surviving_bytes"),
        *("allocated_bytes", "allocation_count", "temporary_bytes"),
    ),
    "sizes": (
        *("label", "smallest", "largest", "allocation_count", "allocated_bytes"),
        "relative_error",
    ),
    "children": (
        *("pid", "parent", "command", "started", "ended", "exit_status"),
        *("start_rss", "peak_rss", "peak_pss", "peak_private"),
    ),
    "forked_lines": (
        *("pid", "filename", "lineno", "function", "source", "peak_bytes", "surviving_bytes"),
        *("allocated_bytes", "allocation_count", "sample_interval"),
    ),
    "names": ("name", "type", "before_bytes", "after_bytes", "grown_bytes", "at_least"),
}


# What may be unknown, and is a whole number where it is known.
_NULLABLE = (*("exit_status", "peak_pss", "smallest", "largest", "before_bytes", "after_bytes"),)


def frame(profile: Profile, table: str) -> pandas.DataFrame:
    """See ``Profile.to_pandas``."""
    columns = _TABLES.get(table)
    if columns is None:
        known = ", ".join(map(repr, _TABLES))
        raise MemprofileError(f"there is no table {table!r}; use one of {known}")
    try:
        import pandas
    except ImportError as error:
        raise MemprofileError(
            "to_pandas needs pandas; install it with: pip install pandas"
        ) from error
    if table == "timeline":
        timeline = profile.timeline
        moments = {name: getattr(timeline, name) for name in columns}
        for name, held in timeline.held:
            # Two files of one name may have the same line.
            same = sum(known == name or known.startswith(f"{name} (") for known in moments)
            moments[f"{name} ({same + 1})" if same else name] = held
        return pandas.DataFrame(moments)
    rows: Sequence[object] = getattr(profile, table)
    found = pandas.DataFrame(
        {name: [getattr(row, name) for row in rows] for name in columns}, columns=list(columns)
    )
    return found.astype({name: "Int64" for name in _NULLABLE if name in columns})
