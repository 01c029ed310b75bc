"""Put a save into a copy of the file that takes its place, where others keep the file open.

They go on reading the file that they opened, as it was; whoever opens it next finds the new one.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable

from dask.utils import format_bytes

from lazyomics.io.transaction import disk
from lazyomics.io.transaction.inherited import close_locked
from lazyomics.io.transaction.journal import Journal
from lazyomics.io.transaction.lineage import is_copy_of
from lazyomics.io.transaction.locks import lock_exclusive
from lazyomics.io.transaction.names import Names, temporary_name
from lazyomics.io.transaction.succession import inherit, take_place

__all__ = ["NoRoomError", "replace_by_copy", "seconds_for_a_copy"]

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
