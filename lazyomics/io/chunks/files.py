"""Files as the operating system sees them: identity, and reading at a position."""

from __future__ import annotations

import os
from types import TracebackType
from typing import NamedTuple

__all__ = ["FileState", "RawFile", "absolute_path"]


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
    return os.path.abspath(os.fspath(path))


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

    def __init__(self, path: str) -> None:
        self.path = path
        self.total = 0
        try:
            self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except FileNotFoundError as error:
            raise FileNotFoundError(
                error.errno, "the file was moved or removed after it was opened", path
            ) from error

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
        return FileState.of(os.fstat(self.descriptor))

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
