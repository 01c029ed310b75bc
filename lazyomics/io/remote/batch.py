"""What one task needs of several datasets, fetched together."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from lazyomics import config
from lazyomics.io.chunks.selection import Positions
from lazyomics.io.remote.address import RemotePath
from lazyomics.io.remote.connection import connect
from lazyomics.io.remote.ranges import Range, merged

__all__ = ["MOST_BYTES", "Batch", "fetched_together", "present"]

#: Larger needs are fetched dataset by dataset, a window at a time.
MOST_BYTES = 32 << 20


class Batch:
    """Ranges of a file that are in memory."""

    def __init__(
        self, path: RemotePath, ranges: Sequence[Range], data: Sequence[bytes | bytearray]
    ) -> None:
        self.path = path
        self._starts = [start for start, _ in ranges]
        self._data = data

    def find(self, position: int) -> tuple[int, bytes | bytearray] | None:
        """Start and bytes of the range that holds a position."""
        k = bisect_right(self._starts, position) - 1
        if k < 0 or position >= self._starts[k] + len(self._data[k]):
            return None
        return self._starts[k], self._data[k]


class _Present(threading.local):
    batch: Batch | None = None


_present = _Present()


def present(path: RemotePath) -> Batch | None:
    """The batch that this thread has fetched of a file."""
    batch = _present.batch
    return batch if batch is not None and batch.path == path else None


@contextmanager
def fetched_together(
    path: RemotePath, extents: Sequence[tuple[Positions, Positions]]
) -> Iterator[None]:
    """Fetch extents of a file; reads of this thread inside the block use them.

    Parameters
    ----------
    path
        The file.
    extents
        For each dataset, (n,) int64 positions and (n,) int64 lengths.
    """
    connection = connect(path)
    start = np.concatenate([position for position, _ in extents])
    stop = start + np.concatenate([length for _, length in extents])
    inside = (start >= 0) & (start < stop) & (stop <= connection.size)
    ranges = merged(
        start[inside], stop[inside], config.get("remote-gap"), config.get("remote-request")
    )
    if not ranges or sum(b - a for a, b in ranges) > MOST_BYTES:
        yield
        return
    before = _present.batch
    _present.batch = Batch(path, ranges, connection.fetch(ranges))
    try:
        yield
    finally:
        _present.batch = before
