"""The journal: what a complete save changes in front of the old end of the file.

Version 1, little-endian::

    header   128 bytes  magic, version, page size, number of pages, end of the file before and
                        after, checksum of the appended bytes, whether and which time of its last
                        change the file shall carry afterwards, checksum of the header
    index    each page  number, length, checksums of the old content of each 512-byte sector,
                        checksum of the new content
    pages               the new content of each page
    checksum 32 bytes   of everything before

The old content says which file the journal belongs to, and how far it has been applied: a disk
writes a sector wholly or not at all.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from lazyomics.io.transaction import disk
from lazyomics.io.transaction.names import check_writer, open_beside
from lazyomics.io.transaction.overlay import PAGE, Overlay

__all__ = [
    "SECTOR",
    "DamagedJournalError",
    "Journal",
    "NewerJournalError",
    "PageEntry",
    "checksum_of_range",
    "sector_checksums",
    "write_journal",
]

SECTOR = 512
VERSION = 1
_MAGIC = b"\x89lazyomics\r\n\x1a\njl"
_HEADER = struct.Struct("<16sIIQQQ16s?q")
_HEADER_BYTES = 128
_ENTRY = struct.Struct("<QII64s16s")
_PIECE = 1 << 20


class DamagedJournalError(Exception):
    """A journal that is not complete."""


class NewerJournalError(Exception):
    """A journal in a format that this version does not know."""


class PageEntry(NamedTuple):
    """One changed page: where it goes, what was there, and where its content is."""

    number: int
    length: int
    old: tuple[bytes, ...]
    new: bytes
    position: int


@dataclass(frozen=True)
class Journal:
    """An opened journal, complete and undamaged.

    Parameters
    ----------
    descriptor
        The journal file.
    end_before, end_after
        End of the file before and after the save.
    tail
        Checksum of the bytes between both, if there are any.
    entries
        The pages.
    stamp
        Time of the last change that the file shall carry afterwards, in nanoseconds.
    """

    descriptor: int
    end_before: int
    end_after: int
    tail: bytes
    entries: tuple[PageEntry, ...]
    stamp: int | None = None

    @classmethod
    def read(cls, path: str, file: str) -> Journal:
        """Open and check a journal of ``file``; ``close`` it.

        Raises
        ------
        DamagedJournalError, NewerJournalError
            If it is not complete, or of a later version.
        NameTakenError
            If it is no regular file, or by someone who may not write the file.
        """
        descriptor = open_beside(path, file)
        try:
            check_writer(descriptor, path, file)
            return _parsed(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def close(self) -> None:
        """Close the journal file."""
        os.close(self.descriptor)

    def content(self, entry: PageEntry) -> bytes:
        """The new content of a page."""
        data = disk.read(self.descriptor, entry.length, entry.position)
        if _digest(data, 16) != entry.new:
            raise DamagedJournalError(f"page {entry.number}")
        return data


def write_journal(
    descriptor: int, overlay: Overlay, end_after: int, tail: bytes, stamp: int | None = None
) -> None:
    """Write the changed pages of an overlay, return when they are on the disk, and close the file.

    Pages that are as they were are left out, except those of the superblock: it changes when
    another program appends to the file, so the journal would not fit any more.
    """
    pages = overlay.pages
    block = overlay.superblock
    watched = range(block.start // PAGE, -(-block.stop // PAGE))
    numbers = sorted(
        n
        for n in {*pages.numbers(), *watched}
        if n * PAGE < min(end_after, overlay.old_end)
        and (n in watched or pages.new(n) != pages.old(n))
    )
    try:
        _write_parts(descriptor, overlay, numbers, end_after, tail, stamp)
        disk.sync(descriptor)
    finally:
        os.close(descriptor)


def _write_parts(
    descriptor: int,
    overlay: Overlay,
    numbers: list[int],
    end_after: int,
    tail: bytes,
    stamp: int | None,
) -> None:
    ends = overlay.old_end, end_after
    header = _HEADER.pack(
        _MAGIC, VERSION, PAGE, len(numbers), *ends, tail, stamp is not None, stamp or 0
    ).ljust(_HEADER_BYTES - 16, b"\0")
    whole, position, pending = blake2b(digest_size=32), 0, bytearray()
    for piece in _parts(header, overlay, numbers, end_after):
        whole.update(piece)
        pending += piece
        if len(pending) >= _PIECE:
            disk.write(descriptor, pending, position)
            position += len(pending)
            pending = bytearray()
    disk.write(descriptor, pending + whole.digest(), position)


def _parts(header: bytes, overlay: Overlay, numbers: list[int], end_after: int) -> Iterator[bytes]:
    pages = overlay.pages
    yield header + _digest(header, 16)
    for number in numbers:
        length = min(pages.length(number), end_after - number * PAGE)
        old = b"".join(sector_checksums(pages.old(number)[:length])).ljust(64, b"\0")
        yield _ENTRY.pack(number, length, 0, old, _digest(pages.new(number)[:length], 16))
    for number in numbers:
        yield pages.new(number)[: min(pages.length(number), end_after - number * PAGE)]


def _parsed(descriptor: int) -> Journal:
    size = os.fstat(descriptor).st_size
    header = disk.read(descriptor, _HEADER_BYTES, 0)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise DamagedJournalError("no header")
    _, version, page, count, before, after, tail, stamped, stamp = _HEADER.unpack_from(header)
    if version != VERSION:
        raise NewerJournalError(f"version {version}")
    if _digest(header[:-16], 16) != header[-16:] or page != PAGE:
        raise DamagedJournalError("header")
    first = _HEADER_BYTES + count * _ENTRY.size
    if first + 32 > size or not _is_whole(descriptor, size):
        raise DamagedJournalError("checksum")
    index = disk.read(descriptor, count * _ENTRY.size, _HEADER_BYTES)
    entries, position = [], first
    for number, length, _, old, new in _ENTRY.iter_unpack(index):
        sectors = -(-length // SECTOR)
        checksums = tuple(old[8 * k : 8 * k + 8] for k in range(sectors))
        entries.append(PageEntry(number, length, checksums, new, position))
        position += length
    if position + 32 != size:
        raise DamagedJournalError("length")
    return Journal(descriptor, before, after, tail, tuple(entries), stamp if stamped else None)


def _is_whole(descriptor: int, size: int) -> bool:
    end = size - 32
    return checksum_of_range(descriptor, 0, end, 32) == disk.read(descriptor, 32, end)


def checksum_of_range(descriptor: int, start: int, stop: int, size: int = 16) -> bytes:
    """Checksum of a part of a file, read in pieces of 1 MiB; of no bytes where it is empty."""
    whole, buffer = blake2b(digest_size=size), bytearray(_PIECE)
    while start < stop:
        view = memoryview(buffer)[: min(_PIECE, stop - start)]
        count = disk.read_into(descriptor, view, start)
        whole.update(view[:count])
        if count < len(view):
            break
        start += count
    return whole.digest()


def sector_checksums(data: bytes) -> list[bytes]:
    """Checksum of each 512 bytes."""
    return [_digest(data[a : a + SECTOR], 8) for a in range(0, len(data), SECTOR)]


def _digest(data: bytes, size: int) -> bytes:
    return blake2b(data, digest_size=size).digest()
