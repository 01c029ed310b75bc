"""HDF5's Fletcher-32 checksum of a chunk."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["fletcher32", "fletcher32_matches"]

_MODULUS = 65535
# Words summed at once: the weighted sum of this many 16-bit words stays below 2**63.
_BATCH = 1 << 20


def fletcher32(data: np.ndarray[Any, np.dtype[np.uint8]]) -> tuple[int, int]:
    """Both sums of the checksum, modulo 65,535.

    Parameters
    ----------
    data
        Bytes (n,), uint8. They are read as big-endian 16-bit words; an odd last byte is the high
        byte of a last word.

    Returns
    -------
    The sum of the words, and the sum of all partial sums.

    Examples
    --------
    >>> import numpy as np
    >>> fletcher32(np.array([0, 1, 0, 2], np.uint8))
    (3, 4)
    """
    if len(data) % 2:
        data = np.append(data, np.uint8(0))
    words = data.view(">u2")
    first = second = 0
    for start in range(0, len(words), _BATCH):
        batch = words[start : start + _BATCH].astype(np.int64)
        weights = np.arange(len(batch), 0, -1, dtype=np.int64)
        second = (second + first * len(batch) + int(batch @ weights)) % _MODULUS
        first = (first + int(batch.sum())) % _MODULUS
    return first, second


def fletcher32_matches(data: np.ndarray[Any, np.dtype[np.uint8]], stored: bytes) -> bool:
    """Whether the four bytes that HDF5 stored behind ``data`` are its checksum."""
    first, second = fletcher32(data)
    low = int.from_bytes(stored[:2], "little") % _MODULUS
    high = int.from_bytes(stored[2:4], "little") % _MODULUS
    if (low, high) == (first, second):
        return True
    # Before HDF5 1.6.3 the bytes of each half were swapped on little-endian machines.
    swapped_low = int.from_bytes(stored[:2], "big") % _MODULUS
    swapped_high = int.from_bytes(stored[2:4], "big") % _MODULUS
    return (swapped_low, swapped_high) == (first, second)
