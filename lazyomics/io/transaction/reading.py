"""Read a file while others save it: the old state or the new one, never a mixture."""

from __future__ import annotations

import os
import time

from lazyomics.io.transaction import disk
from lazyomics.io.transaction.inherited import close_locked
from lazyomics.io.transaction.interrupts import interrupts, raise_if_interrupted
from lazyomics.io.transaction.locks import PAUSE, lock_shared
from lazyomics.io.transaction.names import Names
from lazyomics.io.transaction.recovery import is_whole, settle_for_reading

__all__ = ["Shared", "share"]

_SECONDS_TO_WAIT_FOR_A_SAVE = 10.0


class _Held:
    """A descriptor that may hold a lock, closed at the latest when nobody knows it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int | None = descriptor

    def close(self) -> None:
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            close_locked(descriptor)

    def __del__(self) -> None:
        self.close()


class Shared:
    """A file that is not changed by a save before ``close``.

    No code runs when a closed one is finalised: Python would ignore Ctrl-C in it.
    """

    def __init__(self, descriptor: int) -> None:
        self._held: _Held | None = _Held(descriptor)

    def close(self) -> None:
        """Let saves go on."""
        with interrupts():
            if self._held is not None:
                self._held.close()
                self._held = None


def share(path: str | os.PathLike[str]) -> Shared | None:
    """Keep a file as it is for a moment; finish an interrupted save first.

    Returns
    -------
    The lock, or None if a program that is not lazyomics keeps the file open for writing.

    Raises
    ------
    BlockingIOError
        If a save is being put in place and does not get done in 10 s.
    OSError
        If a save was interrupted while being put in place and cannot be finished here.
    """
    with interrupts():
        return _shared(Names.of(path))


def _shared(names: Names) -> Shared | None:
    deadline = time.monotonic() + _SECONDS_TO_WAIT_FOR_A_SAVE
    while True:
        stuck = names.left_over() and settle_for_reading(names, deadline)
        descriptor = disk.open_file(names.file)
        shared, kept = Shared(descriptor), False
        try:
            locked = lock_shared(descriptor)
            quiet = not os.path.lexists(names.journal)
            steady = quiet if locked else not names.left_over()
            if steady or (stuck and is_whole(names, descriptor)):
                kept = locked
                return shared if locked else None
        finally:
            if not kept:
                shared.close()
        if time.monotonic() > deadline:
            raise BlockingIOError(11, f"{names.file} is being saved; try again when it is done")
        raise_if_interrupted()
        time.sleep(PAUSE)
