"""The first bytes of HDF5: where they are, and where they say that the file ends."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from lazyomics.io.transaction import disk

__all__ = ["SIGNATURE", "Superblock", "find_superblock"]

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
        block = disk.read(descriptor, _LENGTH, start)
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
