"""What a save appends: collected in memory, and written behind the old end in large pieces."""

from __future__ import annotations

import os

from lazyomics.errors import StaleFileError
from lazyomics.io.transaction import disk

__all__ = ["Tail"]

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
