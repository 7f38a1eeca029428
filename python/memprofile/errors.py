"""The exceptions that callers catch."""

from __future__ import annotations

from memprofile._native import MemprofileError, bytes_text

__all__ = ["MemoryLimitExceeded", "MemprofileError"]


class MemoryLimitExceeded(MemoryError):  # noqa: N818  # the name says what happened, as MemoryError does
    """A memory limit was reached: the cell or block ends here, and all names are as they were.

    All in bytes: ``limit``; ``held``, the anonymous resident memory of the process at that moment;
    and ``requested``, what the line asked for and did not get. That is None where the process had
    grown beyond the limit bit by bit.

    >>> import memprofile
    >>> try:
    ...     with memprofile.profile(limit="2TB"):
    ...         data = bytearray(3 * 10**12)
    ... except MemoryError as error:
    ...     print(type(error).__name__, error.requested >= 3 * 10**12)
    MemoryLimitExceeded True
    """

    def __init__(self, limit: int, held: int, requested: int | None = None) -> None:
        super().__init__(limit, held, requested)
        self.limit = limit
        self.held = held
        self.requested = requested

    def __str__(self) -> str:
        limit, held = bytes_text(self.limit), bytes_text(self.held)
        if self.requested is None:
            what = f"the process holds {held}, beyond its limit of {limit}"
        else:
            more = bytes_text(self.requested)
            what = (
                f"{more} more, beside the {held} that the process holds, "
                f"are beyond its limit of {limit}"
            )
        return (
            f"{what}; work in smaller pieces, del what is not needed (%memvars shows it), "
            "or set a higher limit"
        )
