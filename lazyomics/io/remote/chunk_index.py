"""The nodes of HDF5's index of chunks, as far as to see which nodes lie below one."""

from __future__ import annotations

import struct

__all__ = ["children"]

_HEAD = 24  # signature, type, level, entries, two siblings
_ENTRIES = 64  # what HDF5 makes room for, unless told otherwise
_OF_CHUNKS = 1
_MOST_AXES = 8


def children(node: bytes | bytearray) -> list[int]:
    """Positions that an inner node of a version 1 B-tree of chunks refers to.

    Positions are counted from the superblock. Anything else has none: whether the bytes are such
    a node is seen from their signature and length.

    Examples
    --------
    >>> children(b"OHDR" + bytes(100))
    []
    """
    if node[:4] != b"TREE" or len(node) < _HEAD or node[4] != _OF_CHUNKS or node[5] == 0:
        return []
    key = _key_bytes(len(node))
    (used,) = struct.unpack_from("<H", node, 6)
    if key is None or used > _ENTRIES:
        return []
    step = key + 8
    return [struct.unpack_from("<Q", node, _HEAD + key + k * step)[0] for k in range(used)]


def _key_bytes(size: int) -> int | None:
    """Bytes of a key in a node of this size: they depend on the number of axes."""
    for axes in range(1, _MOST_AXES + 1):
        key = 8 + 8 * (axes + 1)  # stored size and mask, and a position along each axis
        if size == _HEAD + _ENTRIES * 8 + (_ENTRIES + 1) * key:
            return key
    return None
