"""Files as the operating system sees them: identity, and reading at a position."""

from __future__ import annotations

import os
import platform
import sys
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from lazyomics.io.remote.address import RemotePath
from lazyomics.io.transaction.disk import original_inode

if TYPE_CHECKING:
    from lazyomics.lazy.indexer import Positions

__all__ = [
    "FileState",
    "RawFile",
    "absolute_path",
    "open_raw",
]


class FileState(NamedTuple):
    """What tells that a file may have changed."""

    device: int
    inode: int
    mtime_ns: int
    size: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        """From the result of ``os.stat``."""
        return cls(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def absolute_path(path: str | os.PathLike[str]) -> str:
    """The path that finds the file from any working directory, in any process."""
    if isinstance(path, RemotePath):
        return path
    return os.path.abspath(os.fspath(path))


def _why_missing() -> str:
    """Say what may be wrong: on a cluster, this may be another machine than the one that opened."""
    distributed = sys.modules.get("distributed")
    try:
        if distributed is not None:
            where = f"{distributed.get_worker().name} on {platform.node()}"
            return (
                f"the file is not found by worker {where}: it was moved or removed, or is not on a "
                "file system that the workers share; its path must be visible to all workers"
            )
    except ValueError:  # this is no task of a cluster
        pass
    return "the file was moved or removed after it was opened"


class RawFile:
    """A file opened for reading at positions: one descriptor, closed by the ``with`` block.

    Opened for each read (5 µs): nothing to leak, nothing to share over a fork, and a file that is
    replaced meanwhile is still read from the state that was opened.

    Raises
    ------
    FileNotFoundError
        If the file is gone.
    """

    __slots__ = ("descriptor", "path", "total")

    #: whether bytes may change without a change of identity, and reading a few costs little
    is_local = True

    def __init__(self, path: str) -> None:
        self.path = path
        self.total = 0
        try:
            self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except FileNotFoundError as error:
            raise FileNotFoundError(error.errno, _why_missing(), path) from error

    def __enter__(self) -> RawFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.descriptor)

    def state(self) -> FileState:
        """Identity, size and time of the file that is open."""
        status = os.fstat(self.descriptor)
        return FileState.of(status)._replace(inode=original_inode(self.path, status))

    def inode_at_path(self) -> int:
        """Inode of the file that has this path now; one that this process continued counts on."""
        status = os.stat(self.path)
        is_same = os.path.samestat(status, os.fstat(self.descriptor))
        return original_inode(self.path, status) if is_same else status.st_ino

    def expect(self, position: Positions, length: Positions) -> None:
        """Say what will be read, in about this order: files on servers fetch it together."""

    def read_into(self, view: memoryview, position: int) -> int:
        """Fill ``view`` with the bytes at ``position``; fewer only where the file ends."""
        done, wanted = 0, len(view)
        while done < wanted:
            count = self._read(view[done:] if done else view, position + done)
            if count == 0:
                break
            done += count
        self.total += done
        return done

    def _read(self, view: memoryview, position: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self.descriptor, [view], position)
        os.lseek(self.descriptor, position, os.SEEK_SET)  # the descriptor is this call's own
        data = os.read(self.descriptor, len(view))
        view[: len(data)] = data
        return len(data)


def open_raw(path: str) -> RawFile:
    """Open a file, here or on a server, for reading at positions."""
    if isinstance(path, RemotePath):
        from lazyomics.io.remote.raw_file import RemoteRawFile

        return RemoteRawFile(path)
    return RawFile(path)
