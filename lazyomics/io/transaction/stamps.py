"""The time of the last change that a file shall carry after it was saved."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Stamp", "stamp_of"]

#: Nanoseconds, or a function that is asked for them when all is written; None for the clock's time.
Stamp = int | Callable[[], int | None] | None


def stamp_of(stamp: Stamp) -> int | None:
    """The time in nanoseconds, if one was asked for."""
    given = stamp() if callable(stamp) else stamp
    return None if given is None else int(given)
