"""A file that HDF5 may change while it stays as it is: changed pages, appended bytes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import IO

from lazyomics.errors import StaleFileError
from lazyomics.io.transaction import disk
from lazyomics.io.transaction.disk import find_superblock
from lazyomics.io.transaction.file_object import FileObject

__all__ = [
    "PAGE",
    "DirtyPages",
    "Overlay",
    "Tail",
]


PAGE = 4096
_MOST_IN_MEMORY = 64 << 20


class DirtyPages:
    """Changed pages of a file that stays as it is.

    Parameters
    ----------
    descriptor
        The file.
    end
        Where the old file ends: the last page may be shorter.
    folder
        Where pages are put that memory should not hold (64 MiB are held).
    """

    def __init__(self, descriptor: int, end: int, folder: str) -> None:
        self.descriptor = descriptor
        self.end = end
        self._folder = folder
        self._held: dict[int, bytearray] = {}
        self._slots: dict[int, int] = {}
        self._spill: IO[bytes] | None = None

    def __len__(self) -> int:
        return len(self._held.keys() | self._slots.keys())

    def close(self) -> None:
        """Forget all pages."""
        self._held.clear()
        self._slots.clear()
        if self._spill is not None:
            self._spill.close()

    def numbers(self) -> list[int]:
        """Numbers of the pages that were written to, ascending."""
        return sorted(self._held.keys() | self._slots.keys())

    def length(self, number: int) -> int:
        """Bytes of a page."""
        return min(PAGE, self.end - number * PAGE)

    def old(self, number: int) -> bytes:
        """The page as it is in the file."""
        return disk.read(self.descriptor, self.length(number), number * PAGE)

    def new(self, number: int) -> bytes:
        """The page as it will be."""
        held = self._held.get(number)
        if held is not None:
            return bytes(held)
        if number in self._slots and self._spill is not None:
            return disk.read(self._spill.fileno(), self.length(number), self._slots[number] * PAGE)
        return self.old(number)

    def write(self, data: memoryview, position: int) -> None:
        """Change bytes in front of the old end."""
        while data:
            number, start = divmod(position, PAGE)
            page = self._held.get(number)
            if page is None:
                self._make_room()
                page = self._held[number] = bytearray(self.new(number))
            count = min(len(data), len(page) - start)
            page[start : start + count] = data[:count]
            data, position = data[count:], position + count

    def patch(self, view: memoryview, position: int) -> None:
        """Put changed bytes over what was read from the file at ``position``."""
        for number in self._between(position, position + len(view)):
            page, first = self.new(number), number * PAGE
            low, high = max(first, position), min(first + len(page), position + len(view))
            view[low - position : high - position] = page[low - first : high - first]

    def _between(self, start: int, stop: int) -> Iterator[int]:
        if not self._held and not self._slots:
            return
        first, last = start // PAGE, -(-stop // PAGE)
        if last - first > len(self._held) + len(self._slots):
            yield from (n for n in self.numbers() if first <= n < last)
        else:
            yield from (n for n in range(first, last) if n in self._held or n in self._slots)

    def _make_room(self) -> None:
        if len(self._held) * PAGE < _MOST_IN_MEMORY:
            return
        if self._spill is None:
            self._spill = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (see close)
        for number, page in self._held.items():
            slot = self._slots.setdefault(number, len(self._slots))
            disk.write(self._spill.fileno(), page, slot * PAGE)
        self._held.clear()

    def __del__(self) -> None:
        if self._spill is not None and not self._spill.closed:
            self._spill.close()


BLOCK = 1 << 20
_MOST_BLOCKS = 64


class Tail:
    """Bytes from ``start``, the old end of the file, on.

    Nobody looks there before the file says that it is longer, so they may be written at any time.
    The file gets its time stamp back after each piece: what it says has not changed, and objects
    that were opened before should not take it for another state.
    """

    def __init__(self, descriptor: int, start: int, path: str) -> None:
        self.descriptor = descriptor
        self.path = path
        self.start = start
        self.is_in_file = False
        self._modified = os.fstat(descriptor).st_mtime_ns
        self._stamp: tuple[int, int] | None = self._stamp_now()
        self._blocks: dict[int, bytearray] = {}
        self._written: set[int] = set()

    def write(self, data: memoryview, position: int) -> None:
        """Put bytes at a position of the file behind the old end."""
        while data:
            number, offset = divmod(position - self.start, BLOCK)
            block = self._block(number)
            count = min(len(data), BLOCK - offset)
            stop = offset + count
            if stop > len(block):
                block.extend(bytes(stop - len(block)))
            block[offset:stop] = data[:count]
            data, position = data[count:], position + count

    def read_into(self, view: memoryview, position: int) -> None:
        """Read what was written; zeros where nothing was."""
        done = 0
        while done < len(view):
            number, offset = divmod(position + done - self.start, BLOCK)
            part = view[done : done + BLOCK - offset]
            part[:] = bytes(len(part))
            block = self._blocks.get(number)
            if block is not None:
                found = block[offset : offset + len(part)]
                part[: len(found)] = found
            elif number in self._written:
                disk.read_into(self.descriptor, part, position + done)
            done += len(part)

    def write_out(self, end: int) -> None:
        """Write everything in front of ``end`` to the file, and make the file reach there."""
        self.check()
        if end > self.start:
            self._flush(end)
            if os.fstat(self.descriptor).st_size < end:
                disk.truncate(self.descriptor, end)
                self._settle()

    def abandon(self) -> None:
        """Cut the file at its old end, unless another program has written to it."""
        if self.is_in_file and (self._stamp is None or self._stamp == self._stamp_now()):
            disk.truncate(self.descriptor, self.start)
            self._settle()

    def check(self) -> None:
        """Make sure that nobody else has changed the file since the save began.

        Raises
        ------
        StaleFileError
            If the time stamp or the size is another than after the last write here.
        """
        if self._stamp is not None and self._stamp != self._stamp_now():
            raise StaleFileError(
                f"{self.path} was changed by another program while it was saved; nothing was "
                "saved. Open it again"
            )

    def _stamp_now(self) -> tuple[int, int]:
        status = os.fstat(self.descriptor)
        return status.st_mtime_ns, status.st_size

    def _block(self, number: int) -> bytearray:
        block = self._blocks.get(number)
        if block is not None:
            return block
        if len(self._blocks) >= _MOST_BLOCKS:
            self._flush(None)
        block = bytearray()
        if number in self._written:
            block = bytearray(disk.read(self.descriptor, BLOCK, self.start + number * BLOCK))
        self._blocks[number] = block
        return block

    def _flush(self, end: int | None) -> None:
        self.check()
        self._stamp = None  # unknown while a write may be half done
        if not self.is_in_file:
            self.is_in_file = True
            if os.fstat(self.descriptor).st_size > self.start:
                # left by an interrupted save: used again
                disk.truncate(self.descriptor, self.start)
        for number, block in sorted(self._blocks.items()):
            position = self.start + number * BLOCK
            size = len(block) if end is None else max(0, min(len(block), end - position))
            if size:
                disk.write(self.descriptor, memoryview(block)[:size], position)
            self._written.add(number)
        self._blocks.clear()
        self._settle()

    def _settle(self) -> None:
        """Give the file its time stamp back, and remember it as it is now."""
        disk.stamp(self.descriptor, self._modified)
        self._stamp = self._stamp_now()


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
        self.pages = DirtyPages(descriptor, self.old_end, os.path.dirname(path) or ".")
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
