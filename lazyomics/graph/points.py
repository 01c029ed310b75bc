"""Points to compare, a block of rows at a time, so that they may be on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import dask.config
import numpy as np
from numpy.typing import NDArray

from lazyomics import config, lazy
from lazyomics.lazy.kinds import is_dask_array

__all__ = ["Points", "row_blocks", "sorted_rows"]

VALUES_AT_ONCE = 1 << 22
CONVERTED_AT_ONCE = 1024


def row_blocks(x: Any) -> Iterator[tuple[slice, Any]]:
    """Read some rows after the others.

    Parameters
    ----------
    x
        ndarray, scipy sparse matrix or lazy matrix, shape (n, d).

    Yields
    ------
    Which rows, and their values. Where blocks begin depends on the shape alone, so that sums over
    them have the same bits wherever the rows are.
    """
    n, width = x.shape
    at_once = max(1, VALUES_AT_ONCE // max(1, width) // CONVERTED_AT_ONCE) * CONVERTED_AT_ONCE
    for first in range(0, n, at_once):
        part = slice(first, min(first + at_once, n))
        rows = x[part]
        yield part, lazy.materialize(rows) if is_dask_array(rows) else rows


class Points(NamedTuple):
    """Points whose squared euclidean distances are those asked for.

    Euclidean ones are moved to their mean, where products lose the fewest digits, and scaled by a
    power of two, so that squares neither overflow nor vanish. Those of ``"cosine"`` and
    ``"correlation"`` become directions. Columns of zeros fill up to a multiple of four.

    Attributes
    ----------
    x
        What they are made of, shape (n, d).
    metric
        ``"euclidean"``, ``"cosine"`` or ``"correlation"``.
    center, scale
        What is subtracted from euclidean ones, shape (d,), and what they are then divided by.
    lost
        Which have no direction, shape (n,).
    """

    x: Any
    metric: str
    center: NDArray[np.float64]
    scale: float
    lost: NDArray[np.bool_]

    @classmethod
    def of(cls, x: Any, metric: str) -> Points:
        """Look through the rows once for what all of them have to do with."""
        n, width = x.shape
        lost = np.zeros(n, dtype=bool)
        total = np.zeros(width)
        low, high = np.full(width, np.inf), np.full(width, -np.inf)
        for part, rows in row_blocks(x):
            if metric == "euclidean":
                total += rows.sum(axis=0, dtype=np.float64)
                np.minimum(low, rows.min(axis=0), out=low)
                np.maximum(high, rows.max(axis=0), out=high)
            else:
                alike = rows == 0 if metric == "cosine" else rows == rows[:, :1]
                lost[part] = alike.all(axis=1)
        center = total / max(1, n)
        scale = 1.0
        if metric == "euclidean":
            peak = float(max(np.abs(high - center).max(), np.abs(low - center).max()))
            scale = 2.0 ** np.ceil(np.log2(peak)) if peak > 0 else 1.0
        return cls(x, metric, center, scale, lost)

    @property
    def shape(self) -> tuple[int, int]:
        """Points, and columns that each takes."""
        n, width = self.x.shape
        return n, -(-(width + int(self.lost.any())) // 4) * 4

    def blocks(
        self, dtype: np.dtype[Any], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Make some points after the others: which ones, and their coordinates."""
        for part, rows in row_blocks(self.x):
            made = np.zeros((len(rows), self.shape[1]), dtype=dtype)

            def work(
                first: int,
                rows: NDArray[Any] = rows,
                made: NDArray[Any] = made,
                begin: int = part.start,
            ) -> None:
                some = slice(first, min(first + CONVERTED_AT_ONCE, len(rows)))
                lost = self.lost[begin + some.start : begin + some.stop]
                self._convert(rows[some], lost, made[some])

            for _ in pool.map(work, range(0, len(rows), CONVERTED_AT_ONCE)):
                pass
            yield part, made

    def _convert(self, rows: NDArray[Any], lost: NDArray[np.bool_], made: NDArray[Any]) -> None:
        width = rows.shape[1]
        values = rows.astype(np.float64)
        if self.metric == "euclidean":
            made[:, :width] = (values - self.center) / self.scale
            return
        values = _directions(values, self.metric)
        values[lost] = 0
        made[:, :width] = values
        if lost.any():
            made[lost, width] = 1  # a direction of their own

    def table(self, dtype: np.dtype[Any], pool: ThreadPoolExecutor) -> NDArray[Any]:
        """Make all points, in memory."""
        made = np.empty(self.shape, dtype=dtype)
        for part, rows in self.blocks(dtype, pool):
            made[part] = rows
        return made


def _directions(rows: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    if metric == "correlation":
        rows = rows - rows.mean(axis=1, keepdims=True)
    peaks = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(peaks > 0, peaks, 1)
    norms = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    return rows / np.where(norms > 0, norms, 1)


def sorted_rows(
    points: Points, order: NDArray[np.integer[Any]], pool: ThreadPoolExecutor
) -> NDArray[np.float32]:
    """Make points in another order, float32.

    What does not fit ``lazyomics.memory`` goes to a temporary file, in dask's
    ``temporary-directory`` if that is set: as much of it at a time as fits, each time in a pass
    over the points.
    """
    n, width = points.shape
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    dtype = np.dtype(np.float32)
    at_once = max(CONVERTED_AT_ONCE, config.memory() // (width * dtype.itemsize))
    if n <= at_once:
        made: NDArray[np.float32] = np.empty((n, width), dtype=dtype)
        for part, rows in points.blocks(dtype, pool):
            made[place[part]] = rows
        return made
    with tempfile.TemporaryFile(dir=dask.config.get("temporary-directory", None)) as file:
        for first in range(0, n, at_once):
            window = np.empty((min(at_once, n - first), width), dtype=dtype)
            for part, rows in points.blocks(dtype, pool):
                here = place[part] - first
                inside = (here >= 0) & (here < len(window))
                window[here[inside]] = rows[inside]
            # Written, not mapped: a full disk raises here, and kills where it is mapped.
            window.tofile(file)
        file.flush()
        return np.asarray(np.memmap(file, dtype=dtype, mode="r+", shape=(n, width)))
