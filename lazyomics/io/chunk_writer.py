"""Fill a dataset from its start: rows of any number go in, whole compressed chunks go to the file.

Chunks are compressed in threads and written with HDF5's direct chunk write, so that the thread
that holds HDF5's lock only copies bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from lazyomics.io.compress import ChunkEncoder, Encoded, chunk_encoder

__all__ = ["CHUNK_BYTES", "ChunkPool", "ChunkWriter", "chunk_pool", "encoded"]

CHUNK_BYTES = 1 << 20  # few chunks to look up, and still quick to decode one


class ChunkPool:
    """Compresses chunks in threads and writes them in the order they were given."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads)
        self._most = 2 * threads
        self._waiting: deque[tuple[Any, tuple[int, ...], Future[Encoded]]] = deque()

    def submit(self, target: Any, place: tuple[int, ...], encode: Any, *args: Any) -> None:
        """Have a chunk compressed; write those that are ready when many wait."""
        self._waiting.append((target, place, self._executor.submit(encode, *args)))
        while len(self._waiting) > self._most:
            self._write_next()

    def finish(self) -> None:
        """Write all that waits."""
        while self._waiting:
            self._write_next()

    def stop(self) -> None:
        """Drop what waits and wait for the threads."""
        self._waiting.clear()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _write_next(self) -> None:
        target, place, future = self._waiting.popleft()
        stored, mask = future.result()
        target.write_direct_chunk(place, stored, mask)


@contextmanager
def chunk_pool(threads: int) -> Iterator[ChunkPool]:
    """Open a pool; leaving it well writes everything, leaving it with an error drops the rest."""
    pool = ChunkPool(threads)
    try:
        yield pool
        pool.finish()
    finally:
        pool.stop()


class ChunkWriter:
    """Appends along the first axis of a dataset.

    Parameters
    ----------
    dataset
        Of one or two dimensions. It grows with the values where its first axis is unlimited.
    pool
        Where chunks are compressed.

    Notes
    -----
    Memory: less than one row of chunks, and two chunks for each thread of the pool. Datasets
    that are not chunked, or have filters that only HDF5 knows, are written by HDF5.
    """

    def __init__(self, dataset: h5py.Dataset, pool: ChunkPool) -> None:
        self._dataset, self._pool = dataset, pool
        self._encode: ChunkEncoder | None = chunk_encoder(dataset)
        self._grows = dataset.maxshape[0] is None
        self._rest: list[np.ndarray[Any, Any]] = []
        self._start = 0  # of the first row that is in no written chunk
        self._length = 0

    @property
    def length(self) -> int:
        """Rows that were appended."""
        return self._length

    def append(self, values: np.ndarray[Any, Any]) -> None:
        """Add rows behind those that are there."""
        if len(values) == 0:
            return
        values = np.ascontiguousarray(values, dtype=self._dataset.dtype)
        before, self._length = self._length, self._length + len(values)
        if self._grows:
            self._dataset.resize(self._length, axis=0)
        if self._encode is None:
            self._dataset[before : self._length] = values
            return
        self._cut(values)

    def close(self) -> None:
        """Hand over the last chunk, which may be partial."""
        if self._rest:
            self._emit(np.concatenate(self._rest))
            self._rest.clear()

    def _cut(self, values: np.ndarray[Any, Any]) -> None:
        step = self._dataset.chunks[0]
        held = sum(len(part) for part in self._rest)
        if held:
            self._rest.append(values[: step - held].copy())
            values = values[step - held :]
            if held + len(self._rest[-1]) < step:
                return
            self.close()
        whole = len(values) - len(values) % step
        for a in range(0, whole, step):
            self._emit(values[a : a + step])
        if whole < len(values):
            self._rest.append(values[whole:].copy())

    def _emit(self, rows: np.ndarray[Any, Any]) -> None:
        """Hand over one row of chunks, ``rows`` being at most as many as a chunk has."""
        chunk, start = self._dataset.chunks, self._start
        self._start += len(rows)
        if rows.ndim == 1:
            self._pool.submit(self._dataset.id, (start,), encoded, self._encode, rows, chunk)
            return
        for a in range(0, rows.shape[1], chunk[1]):
            tile = rows[:, a : a + chunk[1]]
            self._pool.submit(self._dataset.id, (start, a), encoded, self._encode, tile, chunk)


def encoded(encode: ChunkEncoder, values: np.ndarray[Any, Any], chunk: tuple[int, ...]) -> Encoded:
    """Encode values as a whole chunk: HDF5 stores also those at the edge at full size."""
    if values.shape != chunk:
        whole = np.zeros(chunk, values.dtype)
        whole[tuple(slice(0, n) for n in values.shape)] = values
        values = whole
    return encode(np.ascontiguousarray(values))
