"""Byte ranges to ask for: neighbours merged, long ones cut."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

__all__ = ["Range", "cut", "merged"]

#: first byte, and the one behind the last
Range = tuple[int, int]


def merged(starts: NDArray[np.int64], stops: NDArray[np.int64], gap: int, most: int) -> list[Range]:
    """Ranges that cover others, ascending and disjoint.

    Parameters
    ----------
    starts, stops
        (n,), int64: ranges in any order; they may overlap or be empty.
    gap
        Ranges that are at most this far apart become one.
    most
        Longer ranges are cut into pieces of at most this many bytes.

    Examples
    --------
    >>> import numpy as np
    >>> merged(np.array([50, 0, 12]), np.array([90, 10, 20]), 5, 30)
    [(0, 20), (50, 80), (80, 90)]
    """
    kept = stops > starts
    starts, stops = starts[kept], stops[kept]
    if len(starts) == 0:
        return []
    order = np.argsort(starts, kind="stable")
    starts, stops = starts[order], np.maximum.accumulate(stops[order])
    head = np.flatnonzero(np.append(True, starts[1:] > stops[:-1] + gap))
    tail = np.append(head[1:], len(starts)) - 1
    spans = zip(starts[head].tolist(), stops[tail].tolist(), strict=True)
    return list(itertools.chain.from_iterable(cut(a, b, most) for a, b in spans))


def cut(start: int, stop: int, most: int) -> list[Range]:
    """One range in pieces of at most ``most`` bytes."""
    return [(a, min(a + most, stop)) for a in range(start, stop, most)]
