"""One save, from the lock to the last sync."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import h5py

from lazyomics.io.transaction import disk
from lazyomics.io.transaction.commit import Commit
from lazyomics.io.transaction.locks import WriterLock, holders_of, lock_shared, wait_for
from lazyomics.io.transaction.names import Names
from lazyomics.io.transaction.overlay import Overlay
from lazyomics.io.transaction.recovery import recover

__all__ = ["claimed", "saving"]


@contextmanager
def saving(path: str | os.PathLike[str], *, timeout: float = 30.0) -> Iterator[h5py.File]:
    """Open a file to change it; all changes are in the file when the block ends, or none.

    Parameters
    ----------
    path
        An existing HDF5 file. Its folder must be writable.
    timeout
        Seconds to wait for others that save or read it.

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
    with claimed(path, timeout=timeout) as (names, descriptor):
        yield from _session(names, descriptor, timeout)


@contextmanager
def claimed(path: str | os.PathLike[str], *, timeout: float = 30.0) -> Iterator[tuple[Names, int]]:
    """Be the only one who saves a file; an interrupted save is finished first.

    Parameters
    ----------
    path, timeout
        As for :func:`saving`.

    Returns
    -------
    The names that belong to the file, and a descriptor that can read and write it. Others can read
    the file, nobody can change it.
    """
    names = Names.of(path)
    deadline = time.monotonic() + timeout
    with _locked(names, timeout):
        if not recover(names, timeout=max(0.0, deadline - time.monotonic())):
            raise _kept_open(names, timeout)
        descriptor = disk.open_file(names.file, writable=True)
        try:
            left = max(0.0, deadline - time.monotonic())
            if not wait_for(lambda: lock_shared(descriptor), left):
                raise _kept_open(names, timeout)
            yield names, descriptor
        finally:
            os.close(descriptor)


def _locked(names: Names, timeout: float) -> WriterLock:
    lock = WriterLock(names)
    try:
        if not wait_for(lock.try_acquire, timeout):
            raise BlockingIOError(
                11,
                f"{names.file} is being saved by {lock.holder()}; waited {timeout:g} s. "
                "Save again when that is done, or write to a new file",
            )
    except PermissionError as error:
        raise PermissionError(
            error.errno,
            f"cannot save {names.file}: a save needs to make files beside it, and the folder "
            f"does not allow that ({error.strerror}); write to a new file instead",
        ) from error
    return lock


def _kept_open(names: Names, timeout: float) -> BlockingIOError:
    others = holders_of(names.file)
    return BlockingIOError(
        11,
        f"{names.file} is kept open by {others or 'another program'}; waited {timeout:g} s. "
        "Close it there, or write to a new file",
    )


def _session(names: Names, descriptor: int, timeout: float) -> Iterator[h5py.File]:
    overlay = Overlay(descriptor, names.file)
    commit = Commit(names, descriptor, overlay)
    try:
        with _interrupts_deferred(overlay.fail):
            try:
                yield from _changed_by_hdf5(overlay)
                commit.prepare()
                if commit.is_empty:
                    return
                if not wait_for(lambda: commit.try_to_begin(overlay.error), timeout):
                    raise _kept_open(names, timeout)
                commit.decide()
            except BaseException as error:
                commit.abandon()
                _raise_as_it_was(names, overlay.error or error)
                raise
            commit.put_in_place()
        if isinstance(overlay.error, KeyboardInterrupt):
            raise overlay.error
    finally:
        overlay.close()


def _changed_by_hdf5(overlay: Overlay) -> Iterator[h5py.File]:
    """Let the caller change the file; HDF5 is done with it at the end."""
    file = h5py.File(overlay, "r+")
    try:
        yield file
    except BaseException as error:
        overlay.fail(error)
        with suppress(Exception):  # what HDF5 says to dropped bytes is of no interest
            file.close()
        raise
    file.close()
    if overlay.error is not None:
        raise overlay.error


def _raise_as_it_was(names: Names, error: BaseException) -> None:
    """Say of a failure to write that nothing was saved; other errors speak for themselves."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    if type(error) is OSError and error.errno is not None:
        reason = error.strerror or str(error)
        raise OSError(
            error.errno, f"{names.file} could not be saved, and is as it was before: {reason}"
        ) from error


@contextmanager
def _interrupts_deferred(tell: Callable[[BaseException], None]) -> Iterator[None]:
    """Tell about Ctrl-C instead of raising: an exception inside HDF5 would end the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupted(number: int, frame: FrameType | None) -> None:
        tell(KeyboardInterrupt())

    previous = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if previous is None else previous)
