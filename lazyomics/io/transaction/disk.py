"""What a save asks of the operating system, in one place, so that tests can let it fail."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "SIGNATURE",
    "Stamp",
    "Superblock",
    "create_new",
    "find_superblock",
    "forget",
    "is_copy_of",
    "open_file",
    "open_unfollowed",
    "original_inode",
    "read",
    "read_into",
    "remove",
    "rename",
    "stamp",
    "stamp_of",
    "sync",
    "sync_folder",
    "truncate",
    "write",
]


try:
    from fcntl import F_FULLFSYNC, fcntl  # type: ignore[attr-defined,unused-ignore]
except ImportError:
    F_FULLFSYNC = None


_BINARY = getattr(os, "O_BINARY", 0)
_UNFOLLOWED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def open_file(path: str, *, writable: bool = False) -> int:
    """Descriptor of an existing file."""
    return os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | _BINARY)


def open_unfollowed(path: str, *, writable: bool = False) -> int:
    """The same, but no symbolic link is followed, and no pipe waits for its other end."""
    return os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | _BINARY | _UNFOLLOWED)


def create_new(path: str, mode: int = 0o600) -> int:
    """Descriptor of a new, empty file, by default only for this user; there must be none yet."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, mode)


def read_into(descriptor: int, view: memoryview, position: int) -> int:
    """Fill ``view`` with the bytes at ``position``; fewer only where the file ends."""
    done = 0
    while done < len(view):
        count = _read_once(descriptor, view[done:], position + done)
        if count == 0:
            break
        done += count
    return done


def _read_once(descriptor: int, view: memoryview, position: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [view], position)
    os.lseek(descriptor, position, os.SEEK_SET)
    data = os.read(descriptor, len(view))
    view[: len(data)] = data
    return len(data)


def read(descriptor: int, size: int, position: int) -> bytes:
    """The bytes at ``position``, fewer only where the file ends."""
    buffer = bytearray(size)
    count = read_into(descriptor, memoryview(buffer), position)
    return bytes(buffer[:count])


def write(descriptor: int, data: bytes | bytearray | memoryview, position: int) -> None:
    """Write all bytes at ``position``."""
    view = memoryview(data)
    while view:
        if hasattr(os, "pwrite"):
            count = os.pwrite(descriptor, view, position)
        else:
            os.lseek(descriptor, position, os.SEEK_SET)
            count = os.write(descriptor, view)
        view, position = view[count:], position + count


def stamp(descriptor: int, modified: int) -> None:
    """Give a file a time of its last change, in nanoseconds; that of others' files stays."""
    if os.utime in os.supports_fd:
        with contextlib.suppress(OSError):  # only its owner may
            os.utime(descriptor, ns=(os.fstat(descriptor).st_atime_ns, modified))


def truncate(descriptor: int, size: int) -> None:
    """Cut or lengthen the file."""
    os.ftruncate(descriptor, size)


def sync(descriptor: int) -> None:
    """Return when everything written is on the disk."""
    if F_FULLFSYNC is not None:  # macOS: fsync alone does not empty the disk's own cache
        with contextlib.suppress(OSError):  # not every file system knows it
            fcntl(descriptor, F_FULLFSYNC)
            return
    os.fsync(descriptor)


def rename(source: str, target: str) -> None:
    """Give a file another name, in one step."""
    os.replace(source, target)


def remove(path: str) -> None:
    """Remove a file; one that is gone already is no error."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def sync_folder(path: str) -> None:
    """Return when the names in the folder of ``path`` are on the disk."""
    if os.name == "nt":
        return
    descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


#: Nanoseconds, or a function that is asked for them when all is written; None for the clock's time.
Stamp = int | Callable[[], int | None] | None


def stamp_of(stamp: Stamp) -> int | None:
    """The time in nanoseconds, if one was asked for."""
    given = stamp() if callable(stamp) else stamp
    return None if given is None else int(given)


SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LENGTH = 128  # longer than a superblock of any version


@dataclass(frozen=True)
class Superblock:
    """Position of the superblock, and the end of what HDF5 uses.

    Parameters
    ----------
    start, stop
        Bytes of the file that hold it.
    end
        End of the file as HDF5 knows it; what may lie behind belongs to nobody.
    """

    start: int
    stop: int
    end: int


def find_superblock(descriptor: int) -> Superblock:
    """Look where the format allows a superblock: at 0, 512, 1024, 2048, ….

    If there is none, or none that is understood, all of the file counts as used.
    """
    size = os.fstat(descriptor).st_size
    start = 0
    while start < size:
        block = read(descriptor, _LENGTH, start)
        if block.startswith(SIGNATURE):
            end = _stored_end(block)
            known = end is not None and start < end <= size
            return Superblock(start, min(start + _LENGTH, size), end if known and end else size)
        start = start * 2 or 512
    return Superblock(0, min(_LENGTH, size), size)


def _stored_end(block: bytes) -> int | None:
    """The end-of-file address, counted from the start of the file also behind a user block."""
    version = block[8]
    if version in (0, 1):
        if block[13] != 8:  # bytes of an address
            return None
        first = 24 if version == 0 else 28
    elif version in (2, 3):
        if block[9] != 8:
            return None
        first = 12
    else:
        return None
    # version 0, 1: base, free space, end, driver; version 2, 3: base, extension, end, root group
    return int(struct.unpack_from("<4Q", block, first)[2])


_originals: dict[tuple[str, int], int] = {}


def is_copy_of(path: str, copy: os.stat_result, original: os.stat_result) -> None:
    """Remember that a file continues the one that had its path, with a save put into it.

    ``path`` is without symbolic links.
    """
    inode = original_inode(path, original)
    forget(path)  # numbers of files that are gone are given to others
    _originals[path, copy.st_ino] = inode


def forget(path: str) -> None:
    """The file at this path is replaced by an unrelated one."""
    for known in [key for key in _originals if key[0] == path]:
        _originals.pop(known, None)


def original_inode(path: str, status: os.stat_result) -> int:
    """The inode of a file, or of the one that it continues."""
    if not _originals:
        return status.st_ino
    return _originals.get((os.path.realpath(path), status.st_ino), status.st_ino)
