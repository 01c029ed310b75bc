"""Locks between processes, and the right to change a file."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Literal

import h5py

from lazyomics import config
from lazyomics.io.transaction import disk
from lazyomics.io.transaction.attributes import attributes_of, give_permissions
from lazyomics.io.transaction.defer_sigint import defer_sigint, raise_if_interrupted
from lazyomics.io.transaction.file_object import (
    WeakIdSet,
    close_locked,
    is_opened_here,
    locked_here,
)
from lazyomics.io.transaction.names import Names, open_beside

__all__ = [
    "PAUSE",
    "Locking",
    "WriterLock",
    "held",
    "holders_of",
    "is_claimed_here",
    "is_mismatch",
    "is_saved_by_another",
    "kept_open",
    "lock_exclusive",
    "lock_shared",
    "locked",
    "open_with_any_locking",
    "seconds_to_wait",
    "wait_for",
]


HAS_FLOCK = importlib.util.find_spec("fcntl") is not None
if HAS_FLOCK:
    import fcntl


PAUSE = 0.005
_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}


def lock_shared(descriptor: int) -> bool:
    """Keep others from changing an open file; False where someone may be changing it.

    These are the locks that HDF5 itself takes. Where the file system has none, nothing is locked.
    Close the descriptor with ``close_locked``.
    """
    return _lock(descriptor, exclusive=False)


def lock_exclusive(descriptor: int) -> bool:
    """Keep others from reading and changing an open file; False where they have it open.

    A shared lock that was held may be lost when this fails.
    """
    return _lock(descriptor, exclusive=True)


def _lock(descriptor: int, *, exclusive: bool) -> bool:
    if not HAS_FLOCK:
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        # ENOLCK, ENOTSUP, ENOSYS …: this file system has no locks
    locked_here(descriptor)
    return True


def wait_for(attempt: Callable[[], bool], timeout: float) -> bool:
    """Try again and again; False when it did not work in time."""
    deadline = time.monotonic() + timeout
    while not attempt():
        if time.monotonic() > deadline:
            return False
        raise_if_interrupted()
        time.sleep(PAUSE)
    return True


class WriterLock:
    """The right to save a file: held by one thread of one process on one machine.

    The lock file says who holds it. It is removed at the end; one that a killed process left is
    not locked any more and does no harm.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self._descriptor: int | None = None
        self._claim: tuple[str, int] = ("", 0)

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it.

        Raises
        ------
        PermissionError
            If no file can be made beside the target.
        NameTakenError
            If there is something else where the lock would be.
        """
        while True:
            descriptor = _open_lock_file(self.names)
            if not lock_exclusive(descriptor):
                close_locked(descriptor)
                return False
            if _is_at(descriptor, self.names.lock):
                break
            close_locked(descriptor)  # removed by the one who held it: make a new one
        self._descriptor = descriptor
        self._claim = (self.names.file, threading.get_ident())
        _held.add(self)
        _claims.add(self._claim)
        with contextlib.suppress(OSError):  # whose it is matters less than that it is locked
            os.ftruncate(descriptor, 0)
            note = f"process {os.getpid()} on {socket.gethostname()}, since {_now()}"
            os.write(descriptor, note.encode())
        return True

    def holder(self) -> str:
        """Who has the lock, in words."""
        note = ""
        with contextlib.suppress(OSError, ValueError):
            descriptor = open_beside(self.names.lock, self.names.file)
            try:
                note = os.read(descriptor, 300).decode()
            finally:
                os.close(descriptor)
        return note or "another process"

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):  # while it is held, so that it is never another's
            if _is_at(self._descriptor, self.names.lock):
                os.unlink(self.names.lock)
        close_locked(self._descriptor)
        self._descriptor = None
        _held.discard(self)
        _claims.discard(self._claim)

    def forget(self) -> None:
        """Close a forked copy; the lock stays with the process that took it."""
        if self._descriptor is not None:
            close_locked(self._descriptor)
            self._descriptor = None
            _held.discard(self)

    def __enter__(self) -> WriterLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


_held: WeakIdSet[WriterLock] = WeakIdSet()


_claims: set[tuple[str, int]] = set()


def is_saved_by_another(path: str) -> bool:
    """Tell whether a save that is not of this thread may be on its way.

    The time stamp of the file is another one then for a moment whenever it has appended something.
    """
    names = Names.of(path)
    return os.path.lexists(names.lock) and not is_claimed_here(names)


def is_claimed_here(names: Names) -> bool:
    """Whether this thread has the right to save a file already."""
    return (names.file, threading.get_ident()) in _claims


def _after_fork() -> None:
    for lock in _held:
        lock.forget()
    _claims.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _open_lock_file(names: Names) -> int:
    """Open or make the lock file, with the permissions of the file that it stands for."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            return _open_left_over(names)
        with contextlib.suppress(FileExistsError):  # made by another process at this moment
            descriptor = disk.create_new(names.lock)
            with contextlib.suppress(OSError):
                give_permissions(attributes_of(names.file), descriptor)
            return descriptor


def _open_left_over(names: Names) -> int:
    """Open the lock file of a process that has it, or that was killed; it stays as it is."""
    try:
        return open_beside(names.lock, names.file, writable=True)
    except PermissionError:  # of another user: reading is enough to lock it
        return open_beside(names.lock, names.file)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def holders_of(path: str) -> str:
    """Processes of this machine that hold a lock on a file, in words; "" where unknown."""
    try:
        status = os.stat(path)
        with open("/proc/locks", encoding="ascii") as file:
            lines = [line.split() for line in file]
    except (OSError, UnicodeError):
        return ""
    number = f":{status.st_ino}"
    found = {
        int(words[4])
        for words in lines
        if len(words) > 5 and words[1] != "->" and words[5].endswith(number)
    }
    others = sorted(found - {os.getpid()})
    if not others:
        return "this process itself" if found else ""
    return "process " + ", ".join(map(str, others))


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
    with defer_sigint(), locked(names, timeout):
        yield


def kept_open(names: Names, timeout: float, why: str = "") -> BlockingIOError:
    """The error for a file that others do not let go of."""
    others = holders_of(names.file)
    return BlockingIOError(
        11,
        f"{names.file} is kept open by {others or 'another program'}; waited {timeout:g} s. "
        f"Close it there, or write to a new file{why}",
    )


Locking = bool | Literal["best-effort"] | None


def is_mismatch(error: OSError) -> bool:
    """Whether HDF5 refuses a second handle, whose locking differs from that of the first one."""
    return "flag values don't match" in str(error)


def open_with_any_locking(
    attempt: Callable[..., h5py.File], lockings: tuple[Locking, ...]
) -> h5py.File:
    """Open with the first setting that HDF5 takes.

    Parameters
    ----------
    attempt
        Opens a file; takes ``locking`` by keyword, like ``h5py.File``.
    lockings
        Settings to try, in this order.

    Raises
    ------
    OSError
        Why it cannot be opened; a mismatch where none fits, which may be over in a moment: other
        threads open and close the file, each with a setting of its own.
    """
    *others, last = lockings
    for locking in others:
        try:
            return attempt(locking=locking)
        except OSError as error:
            if not is_mismatch(error):
                raise
    return attempt(locking=last)
