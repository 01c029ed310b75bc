"""Cut an axis into blocks by the bytes they decode to, never by their number of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BLOCKS_AT_LEAST",
    "RUNS_AT_LEAST",
    "SMALLEST_BLOCK",
    "bounds_by_bytes",
    "run_bounds",
    "uniform_bounds",
]

BLOCKS_AT_LEAST = 16  # so that a matrix of a few blocks still keeps several workers busy
SMALLEST_BLOCK = 1 << 20  # below it a task costs more than its work
RUNS_AT_LEAST = 64  # so that the last of them to end keeps few workers waiting
RUNS_FOR_EACH = 4  # worker of a large cluster
LONGEST_RUN = 32  # blocks that are lost with a worker


def bounds_by_bytes(line_bytes: NDArray[np.int64], target: int) -> tuple[int, ...]:
    """Boundaries of blocks of about ``target`` bytes.

    Parameters
    ----------
    line_bytes
        Decoded bytes of each row (or column), shape (n,).
    target
        Bytes a block may hold; a single line that is larger gets a block of its own.

    Returns
    -------
    Ascending boundaries from 0 to n, at least ``(0, n)``.
    """
    n = len(line_bytes)
    if n == 0:
        return (0, 0)
    ends = np.cumsum(line_bytes, dtype=np.int64)
    target = effective_target(int(ends[-1]), target)
    bounds = [0]
    while bounds[-1] < n:
        start = bounds[-1]
        used = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, used + target, side="right"))
        bounds.append(min(max(stop, start + 1), n))
    return tuple(bounds)


def effective_target(total: int, target: int) -> int:
    """Smaller blocks for matrices that would otherwise be too few for several workers."""
    return max(1, min(target, max(SMALLEST_BLOCK, -(-total // BLOCKS_AT_LEAST))))


def uniform_bounds(n: int, step: int) -> tuple[int, ...]:
    """Boundaries every ``step`` lines."""
    if n == 0:
        return (0, 0)
    return (*range(0, n, max(1, step)), n)


def run_bounds(n_blocks: int, workers: int = 1, runs: int = RUNS_AT_LEAST) -> tuple[int, ...]:
    """Boundaries of runs of blocks that one task works off: as long as workers stay busy."""
    length = min(LONGEST_RUN, -(-n_blocks // max(runs, RUNS_FOR_EACH * workers)))
    return uniform_bounds(n_blocks, length)
