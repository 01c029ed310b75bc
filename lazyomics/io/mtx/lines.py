"""Entries of a matrix become its lines: as they come where they are sorted, else by buckets."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics import config
from lazyomics.blocks.canonical import index_dtype
from lazyomics.io.mtx.entries import MtxHeader, entries
from lazyomics.io.transpose import WINDOW_SHARE, Piece, ScratchFile, SpillBuffer
from lazyomics.lazy.load import Lines

__all__ = ["MtxLines", "NotSortedError"]

MOST_BUCKETS = 1024
HINT = "Give the program more room in it, or raise lazyomics.memory"


class NotSortedError(Exception):
    """Entries do not come line after line."""


@dataclass(frozen=True)
class MtxLines:
    """The matrix of a file, line by line.

    Attributes
    ----------
    header
        Of the file.
    axis
        0 gives the rows of the file, 1 its columns.
    dtype
        Of the values.
    kept
        (n_across,), booleans of the positions inside of lines that are kept, or None for all.
    """

    header: MtxHeader
    axis: int
    dtype: np.dtype[Any]
    kept: NDArray[np.bool_] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Lines, and positions in each."""
        across = self.header.shape[1 - self.axis]
        return self.header.shape[self.axis], across if self.kept is None else int(self.kept.sum())

    @property
    def index_dtype(self) -> np.dtype[Any]:
        """Type of the positions."""
        return index_dtype(self.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix in memory, at most."""
        value = self.dtype.itemsize + self.index_dtype.itemsize
        return self.header.most * value + 8 * (self.shape[0] + 1)

    def sorted_blocks(self) -> Generator[Lines]:
        """Give the lines of a file whose entries come line by line.

        Raises
        ------
        NotSortedError
            If they do not.
        """
        done, pending = 0, list[Piece]()
        for piece in self._pieces():
            if not len(piece.lines):
                continue
            before = pending[-1].lines[-1] if pending else 0
            if piece.lines[0] < before or bool((piece.lines[1:] < piece.lines[:-1]).any()):
                raise NotSortedError
            last = int(piece.lines[-1])
            cut = int(np.searchsorted(piece.lines, last))
            if cut == 0 and pending and before == last:
                pending.append(piece)
                continue
            yield self._block([*pending, _part(piece, slice(cut))], done, last)
            pending, done = [_part(piece, slice(cut, None))], last
        yield self._block(pending, done, self.shape[0])

    def bucket_blocks(self, folder: str | os.PathLike[str]) -> Generator[Lines]:
        """Give the lines whatever the order of entries, by way of a scratch file in a folder.

        Notes
        -----
        Entries are put aside once, in buckets of consecutive lines; a bucket that turns out to be
        larger than a window is read once for each of its windows. Peak memory: half of
        ``lazyomics.memory``, or the longest line.
        """
        n_lines = self.shape[0]
        room = max(1, config.memory() // WINDOW_SHARE)
        value = self.dtype.itemsize + 8
        n_buckets = max(1, min(MOST_BUCKETS, n_lines, 2 * self.header.most * value // room))
        width = -(-n_lines // n_buckets) or 1
        counts = np.zeros(n_lines, np.int64)
        with ScratchFile(folder, HINT) as file:
            aside = [SpillBuffer(file) for _ in range(n_buckets)]
            for piece in self._pieces():
                counts += np.bincount(piece.lines, minlength=n_lines)
                _put(aside, piece, width)
            ends = np.append(0, np.cumsum(counts * value))
            start = 0
            while start < n_lines:
                stop = int(np.searchsorted(ends, ends[start] + room, side="right")) - 1
                stop = min(max(stop, start + 1), n_lines)
                yield self._block(_between(aside, width, start, stop), start, stop)
                start = stop

    def _pieces(self) -> Generator[Piece]:
        """The entries of the file that are kept."""
        places = None
        if self.kept is not None:
            places = np.cumsum(self.kept, dtype=self.index_dtype) - 1
        for found in entries(self.header):
            lines, across = (found.rows, found.cols) if self.axis == 0 else (found.cols, found.rows)
            values = found.values.astype(self.dtype, copy=False)
            if places is not None and self.kept is not None:
                chosen = self.kept[across]
                lines, across = lines[chosen], places[across[chosen]]
                values = values[chosen]
            yield Piece(lines, across, values)

    def _block(self, pieces: list[Piece], start: int, stop: int) -> Lines:
        """Put pieces of the lines from start to stop together, positions sorted and distinct."""
        if not pieces:
            empty = np.empty(0, self.index_dtype)
            return Lines(np.empty(0, self.dtype), empty, np.zeros(stop - start + 1, np.int64))
        lines, indices, data = (
            np.concatenate(parts) if len(parts) > 1 else parts[0]
            for parts in zip(*((p.lines, p.indices, p.data) for p in pieces), strict=True)
        )
        pieces.clear()
        shape = (stop - start, self.shape[1])
        block = sp.coo_array((data, (lines - start, indices)), shape=shape).tocsr()
        indices = block.indices.astype(self.index_dtype, copy=False)
        return Lines(block.data, indices, block.indptr)


def _part(piece: Piece, chosen: Any) -> Piece:
    return Piece(piece.lines[chosen], piece.indices[chosen], piece.data[chosen])


def _put(aside: list[SpillBuffer], piece: Piece, width: int) -> None:
    """Put the parts of a piece into the buckets of their lines."""
    if len(aside) == 1:
        aside[0].put(piece)
        return
    # NumPy sorts numbers of 16 bits by counting, an order of magnitude faster than longer ones.
    bucket = (piece.lines // width).astype(np.uint16)
    piece = _part(piece, np.argsort(bucket, kind="stable"))
    ends = np.append(0, np.cumsum(np.bincount(bucket, minlength=len(aside))))
    for k, (a, b) in enumerate(pairwise(ends.tolist())):
        if a < b:
            aside[k].put(_part(piece, slice(a, b)))


def _between(aside: list[SpillBuffer], width: int, start: int, stop: int) -> list[Piece]:
    """Entries of the lines from start to stop, in the order of the file inside of each line."""
    found = []
    for k in range(start // width, (stop - 1) // width + 1):
        whole = start <= k * width and (k + 1) * width <= stop
        for piece in aside[k]:
            chosen = slice(None) if whole else (piece.lines >= start) & (piece.lines < stop)
            found.append(_part(piece, chosen))
    return found
