"""Pages of the old file as they will be: kept back until the save is complete."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

from lazyomics.io.transaction import disk

__all__ = ["PAGE", "ChangedPages"]

PAGE = 4096
_MOST_IN_MEMORY = 64 << 20


class ChangedPages:
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
