"""Finish an interrupted save from its journal, in place or into a copy."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from enum import Enum
from functools import lru_cache

from dask.utils import format_bytes

from lazyomics.errors import FileFormatError, NameTakenError, warn_user
from lazyomics.io.transaction import disk
from lazyomics.io.transaction.attributes import inherit, take_place
from lazyomics.io.transaction.defer_sigint import raise_if_interrupted
from lazyomics.io.transaction.disk import is_copy_of
from lazyomics.io.transaction.file_object import close_locked
from lazyomics.io.transaction.journal import (
    DamagedJournalError,
    Journal,
    NewerJournalError,
    checksum_of_range,
    sector_checksums,
)
from lazyomics.io.transaction.locks import (
    PAUSE,
    WriterLock,
    holders_of,
    is_claimed_here,
    lock_exclusive,
    lock_shared,
    wait_for,
)
from lazyomics.io.transaction.names import Names, refuse_others, remove_beside, temporary_name
from lazyomics.io.transaction.overlay import PAGE

__all__ = [
    "JournalState",
    "NoRoomError",
    "apply",
    "fit",
    "is_whole",
    "recover",
    "replace_by_copy",
    "seconds_for_a_copy",
    "settle_for_reading",
]


_PIECE = 64 << 20
_BYTES_A_SECOND = 500e6
_LEAST_SECONDS = 0.5
_MARGIN = 16 << 20


class NoRoomError(Exception):
    """There is no room for a copy; says how much is missing where."""


def seconds_for_a_copy(descriptor: int) -> float:
    """About how long a copy takes: it is worth while to wait that long for others to finish."""
    return max(_LEAST_SECONDS, os.fstat(descriptor).st_size / _BYTES_A_SECOND)


def replace_by_copy(
    journal: Journal,
    names: Names,
    descriptor: int,
    apply: Callable[[Journal, int], None],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Copy the file, change the copy, and let it take the file's place.

    Parameters
    ----------
    journal
        What is to be changed.
    names, descriptor
        The file; the writer's lock and a shared lock are held.
    apply
        Changes the copy.
    check
        Raises if the copy should not take the file's place after all.

    Raises
    ------
    NoRoomError
        If there is not enough room beside the file.
    OSError
        If the copy cannot be written; the file is as it was.
    """
    _check_room(names, journal.end_after)
    temporary = temporary_name(names.file)
    try:
        lost = _write_copy(journal, names, descriptor, temporary, apply, check)
        check()
        is_copy_of(names.file, os.stat(temporary), os.fstat(descriptor))
        take_place(temporary, names.file, lost)
    finally:
        disk.remove(temporary)


def _write_copy(
    journal: Journal,
    names: Names,
    descriptor: int,
    path: str,
    apply: Callable[[Journal, int], None],
    check: Callable[[], None],
) -> list[str]:
    """Write the copy; returns the attributes that it could not be given."""
    copy = disk.create_new(path)
    try:
        lock_exclusive(copy)  # shows that it is not left over
        _copy_bytes(descriptor, copy, journal.end_after, check)
        apply(journal, copy)
        lost = inherit(copy, path, names.file)
        disk.sync(copy)
        return lost
    finally:
        close_locked(copy)


def _check_room(names: Names, size: int) -> None:
    folder = os.path.dirname(names.file)
    free = shutil.disk_usage(folder).free
    if free < size + _MARGIN:
        raise NoRoomError(
            f". A copy could take its place, but needs {format_bytes(size)} in {folder}, where "
            f"{format_bytes(free)} are free"
        )


def _copy_bytes(source: int, target: int, size: int, check: Callable[[], None]) -> None:
    """Copy the first bytes of a file: at once where the file system can share them."""
    if _share_bytes(source, target):
        return
    position = 0
    while position < size:
        check()
        count = _copy_piece(source, target, min(_PIECE, size - position), position)
        if count == 0:
            raise OSError(errno.EIO, "the file ended while it was copied")
        position += count


def _share_bytes(source: int, target: int) -> bool:
    """Make a copy that shares the file's blocks (Btrfs, XFS)."""
    try:
        import fcntl

        fcntl.ioctl(target, 0x40049409, source)  # FICLONE
    except (ImportError, OSError):
        return False
    return True


def _copy_piece(source: int, target: int, size: int, position: int) -> int:
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, size, position, position)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
    data = disk.read(source, min(size, 1 << 20), position)
    disk.write(target, data, position)
    return len(data)


_SECONDS_FOR_A_SAVE_TO_BEGIN = 0.25


class JournalState(Enum):
    """How a file relates to a journal."""

    BEFORE = "none of the journal is in the file"
    PARTLY = "some of it is"
    AFTER = "all of it is"
    CHANGED = "none of it is, and the file is not the one it was written for any more"
    MIXED = "some of it is, and the file was changed since"


_NEEDED_FOR_READING = frozenset({JournalState.PARTLY})


def fit(journal: Journal, descriptor: int) -> JournalState:
    """Compare each sector of the file with the old and the new content."""
    old = new = neither = 0
    for entry in journal.entries:
        there = sector_checksums(disk.read(descriptor, entry.length, entry.number * PAGE))
        there += [b""] * (len(entry.old) - len(there))
        wanted = sector_checksums(journal.content(entry))
        for found, before, after in zip(there, entry.old, wanted, strict=True):
            neither += found not in (before, after)
            if before != after:
                old += found == before
                new += found == after
    appended = checksum_of_range(descriptor, journal.end_before, journal.end_after)
    if neither or appended != journal.tail:
        return JournalState.MIXED if new else JournalState.CHANGED
    if new == 0:
        return JournalState.BEFORE
    return JournalState.PARTLY if old else JournalState.AFTER


def apply(journal: Journal, descriptor: int) -> None:
    """Put the journal's pages in place and return when they are on the disk.

    May be interrupted anywhere and run again. The file carries the journal's time stamp afterwards,
    if it has one.
    """
    _pass_the_clock_tick(descriptor)
    for entry in journal.entries:
        disk.write(descriptor, journal.content(entry), entry.number * PAGE)
    if os.fstat(descriptor).st_size > journal.end_after:
        disk.truncate(descriptor, journal.end_after)
    disk.sync(descriptor)
    if journal.stamp is not None:  # last: everything else moves it
        disk.stamp(descriptor, journal.stamp)


def _pass_the_clock_tick(descriptor: int) -> None:
    """Make sure that the file gets another time stamp by the next write.

    Readers recognise by it that the file changed while they read; stamps move in ticks of a few
    milliseconds.
    """
    clock = getattr(time, "CLOCK_REALTIME_COARSE", None)
    if clock is None:
        time.sleep(0.02)
        return
    stamp = os.fstat(descriptor).st_mtime_ns
    for _ in range(20):
        if time.clock_gettime_ns(clock) > stamp:
            return
        time.sleep(0.001)


def recover(
    names: Names,
    *,
    timeout: float = 2.0,
    copy_if: frozenset[JournalState] = frozenset(
        {JournalState.BEFORE, JournalState.PARTLY, JournalState.AFTER}
    ),
) -> bool:
    """Finish what an interrupted save left. The caller holds the writer's lock.

    Parameters
    ----------
    names
        The file.
    timeout
        Seconds to wait for others that read it.
    copy_if
        States in which a copy of the file takes its place if they do not let go of it.

    Returns
    -------
    Whether nothing is left. If not, another program has the file open and it cannot be changed.

    Raises
    ------
    PermissionError
        If the file or the folder cannot be written.
    FileFormatError
        If a newer version wrote the journal.
    NameTakenError
        If there is something else where the journal would be.
    """
    if os.path.lexists(names.part):
        remove_beside(names.part, names.file)
    try:
        journal = _opened(names)
    except FileNotFoundError:
        return True
    except DamagedJournalError:
        _set_aside(names, "is damaged")
        return True
    try:
        descriptor = disk.open_file(names.file, writable=True)
        try:
            patience = min(timeout, seconds_for_a_copy(descriptor))
            if not wait_for(lambda: lock_exclusive(descriptor), patience):
                return _finish_in_copy(names, journal, descriptor, copy_if)
            _finish(names, journal, descriptor)
            return True
        finally:
            close_locked(descriptor)
    finally:
        journal.close()


def _opened(names: Names) -> Journal:
    try:
        return Journal.read(names.journal, names.file)
    except NewerJournalError as error:
        raise FileFormatError.at(
            names.file,
            "/",
            expected="no unfinished save, or one by this version of lazyomics",
            found=f"the journal {names.journal} of {error}",
            hint="Open the file once with the version that saved it.",
        ) from error


def _finish(names: Names, journal: Journal, descriptor: int) -> None:
    state = fit(journal, descriptor)
    if state is JournalState.MIXED:
        _set_aside(names, "was not completely in the file when that was changed by another program")
        return
    if state is JournalState.CHANGED:
        warn_user(_ignored(names, "belongs to an earlier state of the file, and was removed"))
    else:
        apply(journal, descriptor)
    remove_beside(names.journal, names.file)
    disk.sync_folder(names.journal)


def _finish_in_copy(
    names: Names, journal: Journal, descriptor: int, copy_if: frozenset[JournalState]
) -> bool:
    if not lock_shared(descriptor) or fit(journal, descriptor) not in copy_if:
        return False
    try:
        replace_by_copy(journal, names, descriptor, apply)
    except NoRoomError:
        return False
    remove_beside(names.journal, names.file)
    disk.sync_folder(names.journal)
    return True


def _set_aside(names: Names, why: str) -> None:
    refuse_others(names.set_aside, names.file)
    disk.rename(names.journal, names.set_aside)
    disk.sync_folder(names.journal)
    warn_user(
        _ignored(names, f"{why}; it is kept as {names.set_aside}. Check that the file is complete")
    )


def _ignored(names: Names, why: str) -> str:
    return f"{names.file}: the last save was interrupted. Its journal {why}."


def settle_for_reading(names: Names, deadline: float) -> bool:
    """Finish an interrupted save, or wait for one that is being put in place.

    Returns
    -------
    Whether a journal may be left that this process cannot apply.

    Raises
    ------
    BlockingIOError
        If another process is still putting its save in place at the deadline.
    NameTakenError
        If there is something else where the journal or the lock would be.
    """
    if is_claimed_here(names):
        return not _settled(names)
    lock = WriterLock(names)
    begun = time.monotonic() + _SECONDS_FOR_A_SAVE_TO_BEGIN
    while names.left_over():
        try:
            acquired = lock.try_acquire()
        except NameTakenError:
            raise
        except OSError:  # no permission, a read-only or a full disk: reading needs none of that
            return True
        if acquired:
            with lock:
                return not _settled(names)
        raise_if_interrupted()
        now = time.monotonic()
        if now > begun and not os.path.lexists(names.journal):
            return False
        if now > deadline:
            raise BlockingIOError(
                11, f"{names.file} is being saved by {lock.holder()}; try again when it is done"
            )
        time.sleep(PAUSE)
    return False


def _settled(names: Names) -> bool:
    """Whether nothing is left of an interrupted save that was finished, as far as is allowed."""
    try:
        return recover(names, copy_if=_NEEDED_FOR_READING)
    except NameTakenError:
        raise
    except OSError:
        return False


def is_whole(names: Names, descriptor: int) -> bool:
    """Whether a file is in one state although a journal lies beside it that cannot be applied.

    Raises
    ------
    OSError
        If the journal is in the file in part.
    """
    try:
        status = os.lstat(names.journal)
    except FileNotFoundError:
        return True
    file = os.fstat(descriptor)
    stamps = (status.st_ino, status.st_mtime_ns, file.st_ino, file.st_mtime_ns, file.st_size)
    state = _state(names, stamps)
    if state is JournalState.PARTLY:
        others = holders_of(names.file)
        raise OSError(
            f"{names.file}: the last save was interrupted while it was put in place, and cannot "
            "be finished here: that needs permission to write the file and its folder, and that "
            f"no other program has it open{f' ({others} has)' if others else ''}."
        )
    return True


@lru_cache(maxsize=16)
def _state(names: Names, stamps: tuple[int, ...]) -> JournalState | None:
    """Compare a file with its journal, once for each state of both."""
    try:
        journal = _opened(names)
    except FileNotFoundError:
        return None
    except (DamagedJournalError, PermissionError):
        warn_user(_ignored(names, "cannot be read, and was ignored"))
        return None
    descriptor = disk.open_file(names.file)
    try:
        state = fit(journal, descriptor)
    finally:
        os.close(descriptor)
        journal.close()
    if state in (JournalState.CHANGED, JournalState.MIXED):
        warn_user(_ignored(names, "does not belong to the file as it is, and was ignored"))
    return state
