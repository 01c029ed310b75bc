"""The right to change a file, and why it is not given."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from lazyomics import config
from lazyomics.io.transaction.file_object import is_opened_here
from lazyomics.io.transaction.interrupts import interrupts
from lazyomics.io.transaction.locks import WriterLock, holders_of, is_claimed_here, wait_for
from lazyomics.io.transaction.names import Names

__all__ = ["held", "kept_open", "locked", "seconds_to_wait"]

_NOT_HERE = {errno.EROFS, errno.ENOSPC, errno.EDQUOT}


def seconds_to_wait(timeout: float | None) -> float:
    """A time that was asked for, or the configured one."""
    return config.lock_timeout() if timeout is None else timeout


def locked(names: Names, timeout: float) -> WriterLock:
    """Be the only one who saves a file, or writes a new one in its place.

    Raises
    ------
    BlockingIOError
        If another process has it for the whole time; names it.
    OSError
        If the lock cannot be made beside the file.
    """
    lock = WriterLock(names)
    folder = os.path.dirname(names.file) or "."
    try:
        if not wait_for(lock.try_acquire, timeout):
            raise BlockingIOError(
                11,
                f"{names.file} is being saved by {lock.holder()}; waited {timeout:g} s. "
                "Save again when that is done, or write to a new file. How long to wait is set by "
                "lazyomics.lock-timeout",
            )
    except OSError as error:
        if not isinstance(error, PermissionError) and error.errno not in _NOT_HERE:
            raise
        kind = PermissionError if isinstance(error, PermissionError) else OSError
        raise kind(
            error.errno,
            f"cannot save {names.file}: a save needs to make files beside it, and the folder "
            f"{folder} does not allow that ({error.strerror}); write to a new file in another "
            "folder instead",
        ) from error
    return lock


@contextmanager
def held(names: Names, timeout: float) -> Iterator[None]:
    """Hold the right to save a file, or go on with it if this thread has it already.

    Raises
    ------
    BlockingIOError, OSError
        As :func:`locked`; and if this thread is in the middle of a save.
    """
    if is_claimed_here(names):
        if is_opened_here(names.file):
            raise BlockingIOError(
                11, f"{names.file} is being saved by this thread itself: that save has to end first"
            )
        yield
        return
    with interrupts(), locked(names, timeout):
        yield


def kept_open(names: Names, timeout: float, why: str = "") -> BlockingIOError:
    """The error for a file that others do not let go of."""
    others = holders_of(names.file)
    return BlockingIOError(
        11,
        f"{names.file} is kept open by {others or 'another program'}; waited {timeout:g} s. "
        f"Close it there, or write to a new file{why}",
    )
