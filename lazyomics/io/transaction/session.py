"""One save, from the lock to the last sync."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import h5py

from lazyomics.io.transaction import disk
from lazyomics.io.transaction.beside import remove_left_over
from lazyomics.io.transaction.claim import held, kept_open, seconds_to_wait
from lazyomics.io.transaction.commit import Commit
from lazyomics.io.transaction.copying import NoRoomError, seconds_for_a_copy
from lazyomics.io.transaction.file_object import raise_failures
from lazyomics.io.transaction.inherited import close_locked, closed_in_forks
from lazyomics.io.transaction.interrupts import interrupts
from lazyomics.io.transaction.locks import lock_shared, wait_for
from lazyomics.io.transaction.names import Names
from lazyomics.io.transaction.overlay import Overlay
from lazyomics.io.transaction.recovery import recover
from lazyomics.io.transaction.stamps import Stamp

__all__ = ["claimed", "exclusively", "saving"]

# A reader that looks up where things are is no reason for a copy, however little time there is.
_SECONDS_FOR_A_LOOK = 0.1


@contextmanager
def saving(
    path: str | os.PathLike[str], *, timeout: float | None = None, stamp: Stamp = None
) -> Iterator[h5py.File]:
    """Open a file to change it; all changes are in the file when the block ends, or none.

    Parameters
    ----------
    path
        An existing HDF5 file. Its folder must be writable.
    timeout
        Seconds to wait for others that save or read it; ``lazyomics.lock-timeout`` by default.
    stamp
        Time of the last change, in nanoseconds, that the file carries afterwards; a function is
        asked when the block has ended and HDF5 is done. It should be another one than the file
        has: others recognise by it that the file changed. By default that of the clock, as
        always for a file of another user.

    Raises
    ------
    BlockingIOError
        If others kept it for the whole time; names them.
    PermissionError
        If the file or its folder cannot be written.
    StaleFileError
        If another program replaced or changed the file meanwhile.
    OSError
        If something cannot be written: the message says whether the save is lost (the file is as
        it was) or will be finished when the file is opened next.

    Notes
    -----
    An exception in the block leaves the file as it was. Ctrl-C is held back until HDF5 is done,
    which then does not write any more.
    """
    timeout = seconds_to_wait(timeout)
    with claimed(path, timeout=timeout) as (names, descriptor):
        yield from _session(names, descriptor, timeout, stamp)


@contextmanager
def exclusively(path: str | os.PathLike[str], *, timeout: float | None = None) -> Iterator[Names]:
    """Be the only one who saves or replaces a file; an interrupted save is finished first.

    Within the block the same thread may save, replace and read the file, any number of times and
    one after the other; others may read it.

    Parameters
    ----------
    path, timeout
        As for :func:`saving`; the file need not exist.

    Returns
    -------
    The names that belong to the file.

    Raises
    ------
    BlockingIOError, PermissionError, OSError
        As for :func:`saving`.
    """
    names = Names.of(path)
    timeout = seconds_to_wait(timeout)
    deadline = time.monotonic() + timeout
    with held(names, timeout):
        if not recover(names, timeout=max(0.0, deadline - time.monotonic())):
            raise kept_open(names, timeout)
        remove_left_over(names.file)
        yield names


@contextmanager
def claimed(
    path: str | os.PathLike[str], *, timeout: float | None = None
) -> Iterator[tuple[Names, int]]:
    """Be the only one who changes a file; an interrupted save is finished first.

    Parameters
    ----------
    path, timeout
        As for :func:`saving`.

    Returns
    -------
    The names that belong to the file, and a descriptor that can read and write it. Others can read
    the file, nobody can change it.
    """
    timeout = seconds_to_wait(timeout)
    deadline = time.monotonic() + timeout
    with interrupts(), exclusively(path, timeout=timeout) as names:
        descriptor = disk.open_file(names.file, writable=True)
        try:
            left = max(0.0, deadline - time.monotonic())
            if not wait_for(lambda: lock_shared(descriptor), left):
                raise kept_open(names, timeout)
            yield names, descriptor
        finally:
            close_locked(descriptor)


def _session(names: Names, descriptor: int, timeout: float, stamp: Stamp) -> Iterator[h5py.File]:
    overlay = Overlay(descriptor, names.file)
    commit = Commit(names, descriptor, overlay, stamp)
    try:
        with interrupts(overlay.fail, held=True):
            try:
                yield from _changed_by_hdf5(overlay)
                commit.prepare()
                if commit.is_empty:
                    return
                if not _begun(commit, timeout):
                    return
                commit.decide()
            except BaseException as error:
                commit.abandon()
                _raise_as_it_was(names, overlay.error or error)
                raise
            commit.put_in_place()
    finally:
        overlay.close()


def _begun(commit: Commit, timeout: float) -> bool:
    """Keep everybody else out; False if the save went into a copy, as others read the file."""
    deadline = time.monotonic() + timeout
    patience = min(timeout, seconds_for_a_copy(commit.descriptor))
    if wait_for(commit.try_to_begin, max(patience, _SECONDS_FOR_A_LOOK)):
        return True
    try:
        if commit.put_in_copy():
            return False
        reason = ""
    except NoRoomError as error:
        reason = str(error)
    if wait_for(commit.try_to_begin, max(0.0, deadline - time.monotonic())):
        return True
    raise kept_open(commit.names, timeout, reason)


def _changed_by_hdf5(overlay: Overlay) -> Iterator[h5py.File]:
    """Let the caller change the file; HDF5 is done with it at the end."""
    file = closed_in_forks(h5py.File(overlay, "r+"))
    try:
        yield file
    except BaseException as error:
        overlay.fail(error)
        with suppress(Exception):  # what HDF5 says to dropped bytes is of no interest
            file.close()
        raise
    file.close()
    raise_failures()  # also of files that it was copied from


def _raise_as_it_was(names: Names, error: BaseException) -> None:
    """Say of a failure to write that nothing was saved; other errors speak for themselves."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    if type(error) is OSError and error.errno is not None:
        reason = error.strerror or str(error)
        raise OSError(
            error.errno, f"{names.file} could not be saved, and is as it was before: {reason}"
        ) from error
