"""One save, from the lock to the last sync; and reads while others save."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import h5py

from lazyomics.errors import StaleFileError
from lazyomics.io.transaction import disk
from lazyomics.io.transaction.atomic_replace import remove_left_over
from lazyomics.io.transaction.attributes import attributes_of, give_permissions
from lazyomics.io.transaction.defer_sigint import defer_sigint, raise_if_interrupted
from lazyomics.io.transaction.disk import Stamp, stamp_of
from lazyomics.io.transaction.file_object import close_locked, closed_in_forks, raise_failures
from lazyomics.io.transaction.journal import Journal, checksum_of_range, write_journal
from lazyomics.io.transaction.locks import (
    PAUSE,
    held,
    kept_open,
    lock_exclusive,
    lock_shared,
    seconds_to_wait,
    wait_for,
)
from lazyomics.io.transaction.names import Names, create_beside, open_beside, refuse_others
from lazyomics.io.transaction.overlay import Overlay
from lazyomics.io.transaction.recovery import (
    NoRoomError,
    apply,
    is_whole,
    recover,
    replace_by_copy,
    seconds_for_a_copy,
    settle_for_reading,
)

__all__ = [
    "Commit",
    "Shared",
    "claimed",
    "exclusively",
    "saving",
    "share",
]


class Commit:
    """``prepare``, ``try_to_begin`` until it works, ``decide``, ``put_in_place``.

    Where others keep the file open, ``put_in_copy`` instead of the last three. Before ``decide``
    or ``put_in_copy`` return, ``abandon`` leaves the old state; afterwards the save is done, and
    what is interrupted is finished when the file is opened next.

    Parameters
    ----------
    names, descriptor
        The file, opened for writing; a shared lock and the writer's lock are held.
    overlay
        The caught changes.
    stamp
        Time of the last change that the file shall carry afterwards.
    """

    def __init__(
        self, names: Names, descriptor: int, overlay: Overlay, stamp: Stamp = None
    ) -> None:
        self.names = names
        self.descriptor = descriptor
        self.overlay = overlay
        self.stamp = stamp
        self.is_empty = False
        self._made: list[str] = []
        self._gave_up_lock = False

    def prepare(self) -> None:
        """Put everything on the disk without changing what the file says."""
        overlay, end = self.overlay, self.overlay.size
        pages = overlay.pages
        overlay.tail.check()
        stamp = stamp_of(self.stamp)
        if end == overlay.old_end and all(pages.new(n) == pages.old(n) for n in pages.numbers()):
            self.is_empty = True
            if stamp is not None:
                disk.stamp(self.descriptor, stamp)
            return
        overlay.tail.write_out(end)
        if end > overlay.old_end:
            disk.sync(self.descriptor)
        tail = checksum_of_range(self.descriptor, overlay.old_end, end)
        part = create_beside(self.names.part, self.names.file)
        self._made.append(self.names.part)
        write_journal(part, overlay, end, tail, stamp)

    def try_to_begin(self) -> bool:
        """Keep everybody else out; False while somebody reads.

        Raises
        ------
        StaleFileError
            If another program changed or replaced the file in the meantime.
        """
        if self.overlay.error is not None:
            raise self.overlay.error
        if not lock_exclusive(self.descriptor):
            # The attempt gave up the shared lock. Who comes in now changes the time stamp.
            self._gave_up_lock = True
            lock_shared(self.descriptor)
            return False
        self._check()
        return True

    def put_in_copy(self) -> bool:
        """Put the save into a copy that takes the file's place; False while somebody writes.

        Raises
        ------
        NoRoomError
            If there is no room for a copy.
        StaleFileError
            If another program changed or replaced the file in the meantime.
        """
        if not lock_shared(self.descriptor):
            return False
        self._check()
        journal = Journal.read(self.names.part, self.names.file)
        try:
            replace_by_copy(journal, self.names, self.descriptor, apply, self._check)
        finally:
            journal.close()
        self.abandon()  # what was appended to the old file, and the journal
        return True

    def _check(self) -> None:
        if self.overlay.error is not None:
            raise self.overlay.error
        self.overlay.tail.check()
        if not self._is_there():
            raise StaleFileError(
                f"{self.names.file} was replaced by another program while it was saved; nothing "
                "was saved. Open it again"
            )

    def decide(self) -> None:
        """Give the journal its name: from here on the save counts as done."""
        part = open_beside(self.names.part, self.names.file)
        try:  # whoever may change the file may also finish its save
            give_permissions(attributes_of(self.descriptor), part)
        finally:
            os.close(part)
        refuse_others(self.names.journal, self.names.file)
        self._made.append(self.names.journal)
        disk.rename(self.names.part, self.names.journal)
        disk.sync_folder(self.names.journal)

    def put_in_place(self) -> None:
        """Bring the changes into the file.

        Raises
        ------
        OSError
            If that fails; the journal stays, and is applied when the file is opened next.
        """
        try:
            journal = Journal.read(self.names.journal, self.names.file)
            try:
                apply(journal, self.descriptor)
            finally:
                journal.close()
            disk.remove(self.names.journal)
            disk.sync_folder(self.names.journal)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{self.names.file} is saved, but not all of it is in the file yet "
                f"({error.strerror}): do not remove {self.names.journal}. It is put in place when "
                "the file is opened next",
            ) from error

    def abandon(self) -> None:
        """Leave the file as it was, and nothing beside it."""
        with suppress(OSError):
            for path in reversed(self._made):
                disk.remove(path)
            disk.sync_folder(self.names.journal)
        # Behind the old end another program may be writing, if it came in meanwhile.
        if not self._gave_up_lock or lock_shared(self.descriptor):
            with suppress(OSError):
                self.overlay.tail.abandon()

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.names.file), os.fstat(self.descriptor))
        except FileNotFoundError:
            return False


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
    with defer_sigint(), exclusively(path, timeout=timeout) as names:
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
        with defer_sigint(overlay.fail, held=True):
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
        with defer_sigint():
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
    with defer_sigint():
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
