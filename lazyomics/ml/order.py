"""The order in which an epoch takes the rows: shuffled blocks, and shuffled rows in a buffer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

__all__ = ["Order", "Rows"]

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """Where each row of several matrices, one after the other, comes in each epoch.

    Rows are cut into blocks of neighbours, which are cheap to read together. Blocks are shuffled,
    then so many of them as a buffer holds are read, and their rows are shuffled. All of it follows
    from the seed and the epoch, so that any place of any epoch can be gone to.

    Attributes
    ----------
    sizes
        Rows of each matrix; no block holds rows of two.
    block_size, buffer_size
        Rows of a block and of a buffer.
    seed
        Of the random numbers.
    shuffle
        Whether rows are shuffled at all.
    weights
        How likely each row is to be drawn, shape (rows,); None: each row once.
    shard, shards
        Which of several parts of an epoch, which share no row, and how many there are.
    """

    sizes: tuple[int, ...]
    block_size: int
    buffer_size: int
    seed: int = 0
    shuffle: bool = True
    weights: NDArray[np.float64] | None = None
    shard: int = 0
    shards: int = 1

    @property
    def n_rows(self) -> int:
        """Rows of all matrices."""
        return sum(self.sizes)

    def of_shard(self, shard: int, shards: int) -> Order:
        """Return one of several parts of this part of an epoch."""
        return replace(self, shard=self.shard * shards + shard, shards=self.shards * shards)

    def with_buffer(self, size: int) -> Order:
        """Return the same with buffers of other size."""
        return replace(self, buffer_size=size)

    def span(self) -> tuple[int, int]:
        """First and last position of this shard in an epoch; shards differ by a row at most."""
        n = self.n_rows
        return n * self.shard // self.shards, n * (self.shard + 1) // self.shards

    def buffers(self, epoch: int, skip: int = 0) -> Iterator[Rows]:
        """Return the rows of one buffer after the other, in their final order.

        Parameters
        ----------
        epoch
            Number of the epoch.
        skip
            Rows of this shard that were taken before.

        Yields
        ------
        Positions in the matrices one after the other. Memory: the bounds of all blocks, and where
        rows are drawn by weights 4 bytes for each row.
        """
        taken = _Blocks.of(self, epoch)
        first, last = self.span()
        for start in range(first, last, self.buffer_size):
            stop = min(start + self.buffer_size, last)
            done = first + skip - start
            if stop - start <= done:
                continue
            rows = taken.rows(start, stop)
            if self.shuffle:
                rows = np.random.default_rng((self.seed, epoch, start)).permutation(rows)
            yield rows[max(0, done) :]


@dataclass(frozen=True)
class _Blocks:
    """Bounds of blocks in the order of an epoch, and how often each row is taken."""

    starts: Rows
    stops: Rows
    ends: Rows  # rows that have been taken after each of them
    counts: NDArray[np.int32] | None

    @classmethod
    def of(cls, order: Order, epoch: int) -> _Blocks:
        rng = np.random.default_rng((order.seed, epoch))
        starts, stops = [], []
        for size, after in zip(order.sizes, accumulate(order.sizes), strict=True):
            # Blocks begin elsewhere in each epoch, so that a row has other neighbours.
            moved = int(rng.integers(order.block_size)) if order.shuffle else 0
            inner = np.arange(moved or order.block_size, size, order.block_size, dtype=np.int64)
            bounds = np.concatenate([[0], inner, [size]]) + after - size
            starts.append(bounds[:-1])
            stops.append(bounds[1:])
        start, stop = np.concatenate(starts), np.concatenate(stops)
        counts = None
        if order.weights is not None:
            drawn = rng.multinomial(order.n_rows, order.weights / order.weights.sum())
            counts = drawn.astype(np.int32)
        if order.shuffle:
            shuffled = rng.permutation(len(start))
            start, stop = start[shuffled], stop[shuffled]
        lengths = stop - start
        if counts is not None:
            before = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
            lengths = before[stop] - before[start]
        return cls(start, stop, np.cumsum(lengths), counts)

    def rows(self, first: int, last: int) -> Rows:
        """Return the rows at some positions, block by block."""
        k, end = np.searchsorted(self.ends, [first, last - 1], side="right")
        parts = [self._block(block) for block in range(int(k), int(end) + 1)]
        begin = first - (int(self.ends[k - 1]) if k else 0)
        return np.concatenate(parts)[begin : begin + last - first]

    def _block(self, block: int) -> Rows:
        start, stop = int(self.starts[block]), int(self.stops[block])
        rows = np.arange(start, stop, dtype=np.int64)
        return rows if self.counts is None else np.repeat(rows, self.counts[start:stop])
