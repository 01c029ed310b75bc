"""Undo the byte shuffle: planes of first bytes, second bytes, … back to elements."""

from __future__ import annotations

import numpy as np

from lazyomics.io.chunks.memory import Memory
from lazyomics.io.chunks.native import native_unshuffle

__all__ = ["unshuffle"]


def unshuffle(
    source: Memory, start: int, size: int, target: Memory, position: int, *, width: int
) -> None:
    """Write ``size`` bytes of ``source`` at ``start``, unshuffled, into ``target``.

    Parameters
    ----------
    source, start, size
        Shuffled bytes. A rest that does not fill an element is stored unshuffled at the end.
    target, position
        Where the elements go; must not overlap with the source.
    width
        Bytes of an element.

    Notes
    -----
    21 GB/s for float32 with the vectorised function that hdf5plugin carries, 4 GB/s with NumPy
    (a transposed copy: 1 GB/s).
    """
    if width < 2 or size < width:
        target.bytes[position : position + size] = source.bytes[start : start + size]
        return
    whole = size - size % width
    fast = native_unshuffle()
    if fast is not None and whole < 2**31:
        fast(width, whole, source.address + start, target.address + position)
    else:
        _with_numpy(
            source.bytes[start : start + whole].reshape(width, -1),
            target.bytes[position : position + whole],
        )
    if whole < size:
        rest = source.bytes[start + whole : start + size]
        target.bytes[position + whole : position + size] = rest


def _with_numpy(
    planes: np.ndarray[tuple[int, int], np.dtype[np.uint8]],
    target: np.ndarray[tuple[int], np.dtype[np.uint8]],
) -> None:
    width = len(planes)
    if width in (2, 4):
        # Widening by shifts is vectorised, strided byte writes are not.
        elements = target.view(f"<u{width}")
        elements[...] = planes[-1]
        for plane in planes[-2::-1]:
            np.left_shift(elements, 8, out=elements)
            np.bitwise_or(elements, plane, out=elements)
        return
    rows = target.reshape(-1, width)
    for k, plane in enumerate(planes):
        rows[:, k] = plane
