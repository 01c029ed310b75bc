"""Write a file beside its target, and rename it over that when it is complete."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import h5py
from dask.utils import format_bytes

from lazyomics.errors import NameTakenError
from lazyomics.io.transaction import disk
from lazyomics.io.transaction.attributes import inherit, take_place
from lazyomics.io.transaction.defer_sigint import defer_sigint
from lazyomics.io.transaction.disk import Stamp, forget, stamp_of
from lazyomics.io.transaction.file_object import (
    FileObject,
    close_locked,
    closed_in_forks,
    raise_failures,
)
from lazyomics.io.transaction.locks import held, lock_exclusive, seconds_to_wait
from lazyomics.io.transaction.names import (
    Names,
    kind_of,
    open_beside,
    temporary_name,
    temporary_names,
)
from lazyomics.io.transaction.recovery import recover

__all__ = [
    "TemporarySibling",
    "atomic_replace",
    "remove_left_over",
    "temporary_sibling",
    "why_not_written",
]


_SECONDS_TO_LOCK = 10.0
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class TemporarySibling(FileObject):
    """A new file for HDF5 to write, locked as long as it is open, and only for this user.

    Parameters
    ----------
    path
        Of the file; there must be none yet.
    user_block
        Bytes that are put in front of the HDF5 part at the end.
    """

    def __init__(self, path: str, user_block: bytes = b"") -> None:
        super().__init__(path)
        self.user_block = user_block
        self.written = 0
        self.descriptor = disk.create_new(path)
        lock_exclusive(self.descriptor)  # shows that it is not left over

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            close_locked(self.descriptor)
        super().close()

    def finish(self, place: str, stamp: Stamp = None) -> list[str]:
        """Return when everything is on the disk, and the file may take its place.

        Parameters
        ----------
        place
            Where it will be: it has the attributes of the file there.
        stamp
            Time of the last change that it carries.

        Returns
        -------
        Attributes that it could not be given, in words.
        """
        if self.user_block:
            disk.write(self.descriptor, self.user_block, 0)
        if os.fstat(self.descriptor).st_size < self.size:
            disk.truncate(self.descriptor, self.size)
        lost = inherit(self.descriptor, self.path, place)
        disk.sync(self.descriptor)
        modified = stamp_of(stamp)
        if modified is not None:
            disk.stamp(self.descriptor, modified)
        return lost

    def _read(self, view: memoryview, position: int) -> None:
        count = disk.read_into(self.descriptor, view, position)
        view[count:] = bytes(len(view) - count)

    def _write(self, view: memoryview, position: int) -> None:
        disk.write(self.descriptor, view, position)
        self.written = max(self.written, position + len(view))


@contextmanager
def temporary_sibling(
    path: str, *, replace: bool, user_block: bytes = b"", stamp: Stamp = None
) -> Iterator[h5py.File]:
    """Open a new file beside ``path`` to write; gone at the end, or in the place of ``path``.

    Parameters
    ----------
    path
        A file that need not exist, behind all symbolic links.
    replace
        Whether the new file takes its place when the block ends well.
    user_block
        Bytes in front of the HDF5 part: none, 512, 1024, 2048, ….
    stamp
        Time of the last change, in nanoseconds, that the file carries when it takes its place; a
        function is asked when all is written.

    Raises
    ------
    OSError
        If it cannot be written: says where, how much was, and how much room there is.
    """
    opened: TemporarySibling | None = None
    temporary = temporary_name(path)

    def tell(error: BaseException) -> None:
        if opened is not None:
            opened.fail(error)

    with defer_sigint(tell):
        try:
            opened = TemporarySibling(temporary, user_block)
            yield from _filled(opened)
            if replace:
                lost = opened.finish(path, stamp)
                opened.close()  # Windows renames no open files
                forget(path)
                take_place(temporary, path, lost)
        except OSError as error:
            if opened is not None and (opened.error or error) is error:
                raise why_not_written(error, path, opened.written, opened.size) from error
            raise
        finally:
            if opened is not None:
                opened.close()
                disk.remove(temporary)


def _filled(opened: TemporarySibling) -> Iterator[h5py.File]:
    """Let the caller write the file; HDF5 is done with it at the end."""
    file = closed_in_forks(h5py.File(opened, "w", userblock_size=len(opened.user_block)))
    try:
        yield file
        raise_failures()
    except BaseException as error:
        opened.fail(error)
        with suppress(Exception):  # what HDF5 says to dropped bytes is of no interest
            file.close()
        raise opened.error or error from None
    file.close()
    if opened.error is not None:
        raise opened.error


def remove_left_over(path: str) -> None:
    """Remove files that a process wrote beside ``path`` when it was killed."""
    folder, pattern = os.path.dirname(path), temporary_names(path)
    with suppress(OSError):
        for entry in os.listdir(folder or "."):
            found = pattern.fullmatch(entry)
            if found and not _is_running(int(found[1])):
                _remove_unlocked(os.path.join(folder, entry))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove_unlocked(path: str) -> None:
    with suppress(OSError):  # something else that looks like it by its name is left alone
        descriptor = open_beside(path, path)
        try:
            # One of another machine may be locked in a moment: new ones stay.
            age = time.time() - os.fstat(descriptor).st_mtime
            if age > _SECONDS_TO_LOCK and lock_exclusive(descriptor):
                os.unlink(path)
        finally:
            close_locked(descriptor)


def why_not_written(error: OSError, path: str, written: int, needed: int) -> OSError:
    """The same error, with the folder, and the bytes that were written, needed and are free."""
    if error.errno is None or type(error) not in (OSError, PermissionError):
        return error
    folder = os.path.dirname(path) or "."
    text = f"{path} could not be written: {error.strerror or error}"
    if error.errno in _FULL:
        text += f". {format_bytes(written)} were written of at least {format_bytes(needed)}"
        with suppress(OSError):
            free = format_bytes(shutil.disk_usage(folder).free)
            text += f"; {free} were free for the rest in {folder}"
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        text += f": no file can be made in {folder}"
    return type(error)(error.errno, f"{text}. Nothing was changed")


@contextmanager
def atomic_replace(
    path: str | os.PathLike[str],
    *,
    user_block: bytes = b"",
    timeout: float | None = None,
    stamp: Stamp = None,
) -> Iterator[h5py.File]:
    """Open a file beside ``path`` to write; it takes its place when the block ends well.

    Parameters
    ----------
    path
        A file that need not exist; its folder must be writable.
    user_block
        Bytes in front of the HDF5 part: none, 512, 1024, 2048, ….
    timeout
        Seconds to wait for others that save or write the file; ``lazyomics.lock-timeout`` by
        default.
    stamp
        Time of the last change, in nanoseconds, that the file carries when it takes its place; a
        function is asked when all is written. By default the time at which it was written.

    Raises
    ------
    BlockingIOError
        If another process saves or writes it for the whole time; names it.
    PermissionError
        If there is a file that may not be written.
    FileExistsError
        If there is something that is no regular file.
    OSError
        If it cannot be written: says where, how much was, and how much room there is.
    """
    names = Names.of(path)
    _check_goal(names.file)
    with held(names, seconds_to_wait(timeout)):
        # Parts may come from the file itself: they should be those of a whole state.
        try:
            recover(names)
        except NameTakenError:
            raise
        except OSError:
            pass
        remove_left_over(names.file)
        with temporary_sibling(
            names.file, replace=True, user_block=user_block, stamp=stamp
        ) as file:
            yield file


def _check_goal(file: str) -> None:
    """Make sure that a new file may take a place, which is free or that of a file."""
    try:
        kind = kind_of(os.lstat(file))
    except FileNotFoundError:
        return
    if kind:  # behind all symbolic links: one that leads to itself is left
        raise FileExistsError(
            errno.EEXIST,
            f"{file} is {kind}, expected a file or a free name: nothing takes its place",
        )
    if not os.access(file, os.W_OK):
        raise PermissionError(
            errno.EACCES, f"{file} may not be written, so no new file takes its place"
        )
