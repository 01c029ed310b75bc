"""Finish an interrupted save, or recognise that its journal must not be used."""

from __future__ import annotations

import os
import time
from enum import Enum
from functools import lru_cache

from lazyomics.errors import FileFormatError, NameTakenError, warn_user
from lazyomics.io.transaction import disk
from lazyomics.io.transaction.copying import NoRoomError, replace_by_copy, seconds_for_a_copy
from lazyomics.io.transaction.inherited import close_locked
from lazyomics.io.transaction.interrupts import raise_if_interrupted
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
from lazyomics.io.transaction.names import Names
from lazyomics.io.transaction.obstacles import refuse_others, remove_beside
from lazyomics.io.transaction.pages import PAGE

__all__ = ["Fit", "apply", "fit", "is_whole", "recover", "settle_for_reading"]

_SECONDS_FOR_A_SAVE_TO_BEGIN = 0.25


class Fit(Enum):
    """How a file relates to a journal."""

    BEFORE = "none of the journal is in the file"
    PARTLY = "some of it is"
    AFTER = "all of it is"
    CHANGED = "none of it is, and the file is not the one it was written for any more"
    MIXED = "some of it is, and the file was changed since"


_NEEDED_FOR_READING = frozenset({Fit.PARTLY})


def fit(journal: Journal, descriptor: int) -> Fit:
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
        return Fit.MIXED if new else Fit.CHANGED
    if new == 0:
        return Fit.BEFORE
    return Fit.PARTLY if old else Fit.AFTER


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
    copy_if: frozenset[Fit] = frozenset({Fit.BEFORE, Fit.PARTLY, Fit.AFTER}),
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
    if state is Fit.MIXED:
        _set_aside(names, "was not completely in the file when that was changed by another program")
        return
    if state is Fit.CHANGED:
        warn_user(_ignored(names, "belongs to an earlier state of the file, and was removed"))
    else:
        apply(journal, descriptor)
    remove_beside(names.journal, names.file)
    disk.sync_folder(names.journal)


def _finish_in_copy(
    names: Names, journal: Journal, descriptor: int, copy_if: frozenset[Fit]
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
    if state is Fit.PARTLY:
        others = holders_of(names.file)
        raise OSError(
            f"{names.file}: the last save was interrupted while it was put in place, and cannot "
            "be finished here: that needs permission to write the file and its folder, and that "
            f"no other program has it open{f' ({others} has)' if others else ''}."
        )
    return True


@lru_cache(maxsize=16)
def _state(names: Names, stamps: tuple[int, ...]) -> Fit | None:
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
    if state in (Fit.CHANGED, Fit.MIXED):
        warn_user(_ignored(names, "does not belong to the file as it is, and was ignored"))
    return state
