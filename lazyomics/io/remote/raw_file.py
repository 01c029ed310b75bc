"""Stored bytes of a remote file, for the decoder of chunks."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

import numpy as np

from lazyomics import config
from lazyomics.io.hdf5.raw_files import FileState, RawFile
from lazyomics.io.remote.address import RemotePath
from lazyomics.io.remote.connection import connect
from lazyomics.io.remote.ranges import Range, merged
from lazyomics.lazy.indexer import Positions

__all__ = [
    "MOST_BYTES",
    "Batch",
    "RemoteRawFile",
    "fetched_together",
    "present",
]


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


# What one reading call has in flight.
_WINDOW_BYTES, _WINDOW_REQUESTS = 16 << 20, 16


class RemoteRawFile(RawFile):
    """A remote file opened for reading at positions.

    What is announced by `expect` is fetched as merged ranges, a window of them at a time, when the
    first of its bytes are read.

    Raises
    ------
    StaleFileError
        If the file is not what it was when ``path`` was found.
    """

    is_local = False

    __slots__ = ("_batch", "_connection", "_fetched", "_held", "_ranges", "_starts")

    def __init__(self, path: RemotePath) -> None:
        self.path, self.total = path, 0
        self._connection = connect(path)
        self._batch = present(path)
        self._ranges: list[Range] = []
        self._starts: list[int] = []
        self._held: dict[int, bytes | bytearray] = {}
        self._fetched = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.clear()

    def state(self) -> FileState:
        """Identity and size of the file.

        Raises
        ------
        StaleFileError
            If the file is another now than the one that was opened.
        """
        if self._fetched:
            self._connection.confirm()
            self._fetched = False
        return FileState(-1, self.inode_at_path(), 0, self._connection.size)

    def inode_at_path(self) -> int:
        """Number of the file in the state that was opened."""
        return self._connection.path.number

    def expect(self, position: Positions, length: Positions) -> None:
        """Say what will be read, in about this order."""
        gap, most = config.get("remote-gap"), config.get("remote-request")
        self._ranges = merged(position, position + length, gap, most)
        self._starts = [start for start, _ in self._ranges]
        self._held.clear()

    def read_into(self, view: memoryview, position: int) -> int:
        """Fill ``view`` with the bytes at ``position``; fewer only where the file ends."""
        done, wanted = 0, max(min(len(view), self._connection.size - position), 0)
        while done < wanted:
            start, data = self._data_at(position + done, position + wanted)
            begin = position + done - start
            count = min(len(data) - begin, wanted - done)
            view[done : done + count] = memoryview(data)[begin : begin + count]
            done += count
        self.total += done
        return done

    def _data_at(self, position: int, stop: int) -> tuple[int, bytes | bytearray]:
        """Fetched bytes that hold a position, and where they start."""
        found = None if self._batch is None else self._batch.find(position)
        if found is not None:
            self._fetched = True
            return found
        k = bisect_right(self._starts, position) - 1
        if k < 0 or position >= self._ranges[k][1]:  # was not expected
            if k + 1 < len(self._starts):
                stop = min(stop, self._starts[k + 1])
            return position, self._fetch([(position, stop)])[0]
        if k not in self._held:
            self._load(k)
        return self._starts[k], self._held[k]

    def _load(self, first: int) -> None:
        """Fetch a window of ranges at once; those before it have been read."""
        size, last = 0, first
        while last < len(self._ranges) and last < first + _WINDOW_REQUESTS:
            size += self._ranges[last][1] - self._ranges[last][0]
            if size > _WINDOW_BYTES and last > first:
                break
            last += 1
        self._held.clear()
        fetched = self._fetch(self._ranges[first:last])
        self._held = dict(zip(range(first, last), fetched, strict=True))

    def _fetch(self, ranges: list[Range]) -> list[bytes | bytearray]:
        self._fetched = True
        return self._connection.fetch(ranges)
