"""A file that HDF5 may change while it stays as it is."""

from __future__ import annotations

import io
import os
from typing import Any

from lazyomics.io.transaction import disk
from lazyomics.io.transaction.pages import ChangedPages
from lazyomics.io.transaction.superblock import find_superblock
from lazyomics.io.transaction.tail import Tail

__all__ = ["Overlay"]


class Overlay(io.RawIOBase):
    """A file object for ``h5py.File(overlay, "r+")`` that keeps back what would change the file.

    Bytes behind the end of the old file go there at once when they are many; nobody sees them.
    Bytes in front of it are kept as pages.

    Parameters
    ----------
    descriptor
        The file, open for reading and writing.
    path
        Its name; HDF5 reports it, and pages that memory should not hold are spilled beside it.

    Notes
    -----
    HDF5 does not survive an exception out of a file object. A failure is therefore kept in
    ``error``, what is written afterwards is dropped, and the caller looks at it when HDF5 is done.
    Peak memory: 128 MiB, however much is written.
    """

    def __init__(self, descriptor: int, path: str) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.path = path
        self.superblock = find_superblock(descriptor)
        self.old_end = self.superblock.end
        self.size = self.old_end
        self.error: BaseException | None = None
        self.pages = ChangedPages(descriptor, self.old_end, os.path.dirname(path) or ".")
        self.tail = Tail(descriptor, self.old_end, path)
        self._position = 0

    def __repr__(self) -> str:
        return self.path  # h5py shows it as the name of the file

    def fail(self, error: BaseException) -> None:
        """Drop what is written from now on."""
        if self.error is None:
            self.error = error

    def close(self) -> None:
        """Forget the changes; the descriptor stays open."""
        self.pages.close()
        super().close()

    def readable(self) -> bool:  # noqa: D102
        return True

    def writable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def tell(self) -> int:  # noqa: D102
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:  # noqa: D102
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = origin + offset
        return self._position

    def truncate(self, size: int | None = None, /) -> int:  # noqa: D102
        self.size = self._position if size is None else int(size)
        return self.size

    def flush(self) -> None:
        """Nothing: the changes are written when the save is complete."""

    def readinto(self, buffer: Any, /) -> int:
        """Fill all of the buffer, with zeros behind the end of the file."""
        view = memoryview(buffer).cast("B")
        try:
            self._read(view, self._position)
        except BaseException as error:
            self.fail(error)
        self._position += len(view)
        return len(view)

    def write(self, data: Any, /) -> int:
        """Keep the bytes, or drop them after a failure."""
        view = memoryview(data).cast("B")
        if self.error is None:
            try:
                self._write(view, self._position)
            except BaseException as error:
                self.fail(error)
        self._position += len(view)
        self.size = max(self.size, self._position)
        return len(view)

    def _read(self, view: memoryview, position: int) -> None:
        inside = max(0, min(len(view), self.old_end - position))
        if inside:
            old = view[:inside]
            count = disk.read_into(self.descriptor, old, position)
            old[count:] = bytes(inside - count)
            self.pages.patch(old, position)
        if inside < len(view):
            self.tail.read_into(view[inside:], position + inside)

    def _write(self, view: memoryview, position: int) -> None:
        inside = max(0, min(len(view), self.old_end - position))
        if inside:
            self.pages.write(view[:inside], position)
        if inside < len(view):
            self.tail.write(view[inside:], position + inside)
