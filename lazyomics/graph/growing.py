"""Compressed blocks of unknown size, appended in their order as they arrive from threads."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GrowingLines"]


class GrowingLines:
    """Arrays of a compressed matrix that grow in place.

    Parameters
    ----------
    n_blocks
        How many blocks will come.

    Notes
    -----
    Memory: what has arrived, a few percent more, and blocks that came before their turn.
    """

    def __init__(self, n_blocks: int) -> None:
        self._n_blocks = n_blocks
        self._early: dict[int, Any] = {}
        self._next = 0
        self._filled = 0
        self._counts: list[NDArray[Any]] = [np.zeros(1, np.int64)]
        self._data: NDArray[Any] = np.empty(0)
        self._indices: NDArray[Any] = np.empty(0)
        self._lock = threading.Lock()

    def fill(self, block: Any, k: int) -> None:
        """Take block ``k``; it is copied as soon as all before it are there."""
        with self._lock:
            self._early[k] = block
            while self._next in self._early:
                self._append(self._early.pop(self._next))
                self._next += 1

    def arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return data, indices and indptr of everything, which this object then gives up."""
        data, indices = self._data, self._indices
        for part in (data, indices):
            part.resize(self._filled, refcheck=False)
        if self._filled >= 2**31:
            indices = indices.astype(np.int64, copy=False)
        indptr = np.cumsum(np.concatenate(self._counts)).astype(indices.dtype)
        return data, indices, indptr

    def _append(self, block: Any) -> None:
        if self._next == 0:
            self._data = np.empty(0, block.data.dtype)
            self._indices = np.empty(0, block.indices.dtype)
        self._promote(block)
        stop = self._filled + len(block.data)
        if stop > len(self._data):
            self._grow(stop)
        self._data[self._filled : stop] = block.data
        self._indices[self._filled : stop] = block.indices
        self._counts.append(np.diff(block.indptr))
        self._filled = stop

    def _grow(self, needed: int) -> None:
        """Make room for as many values as the blocks so far let expect.

        The operating system moves large arrays without copying them.
        """
        expected = needed / (self._next + 1) * self._n_blocks
        size = max(needed, int(min(expected, 2 * needed + 2**24) * 1.02))
        for part in (self._data, self._indices):
            part.resize(size, refcheck=False)

    def _promote(self, block: Any) -> None:
        """Widen what is held if this block needs it."""
        dtype = np.result_type(self._data.dtype, block.data.dtype)
        index = np.result_type(self._indices.dtype, block.indices.dtype)
        self._data = self._data.astype(dtype, copy=False)
        self._indices = self._indices.astype(index, copy=False)
