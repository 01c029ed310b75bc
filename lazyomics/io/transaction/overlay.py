"""A file that HDF5 may change while it stays as it is."""

from __future__ import annotations

import os

from lazyomics.io.transaction import disk
from lazyomics.io.transaction.file_object import FileObject
from lazyomics.io.transaction.pages import ChangedPages
from lazyomics.io.transaction.superblock import find_superblock
from lazyomics.io.transaction.tail import Tail

__all__ = ["Overlay"]


class Overlay(FileObject):
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
    Peak memory: 128 MiB, however much is written.
    """

    def __init__(self, descriptor: int, path: str) -> None:
        self.superblock = find_superblock(descriptor)
        super().__init__(path, self.superblock.end)
        self.descriptor = descriptor
        self.old_end = self.superblock.end
        self.pages = ChangedPages(descriptor, self.old_end, os.path.dirname(path) or ".")
        self.tail = Tail(descriptor, self.old_end, path)

    def close(self) -> None:
        """Forget the changes; the descriptor stays open."""
        self.pages.close()
        super().close()

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
