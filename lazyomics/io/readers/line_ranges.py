"""Where the values of some lines of a compressed matrix are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.graph.selection import Selector
from lazyomics.io.chunks import StoredArray

__all__ = ["LineRanges"]

HITS_IN_A_CHUNK = 4  # with more of them on average, hardly any chunk has none


@dataclass(frozen=True, eq=False)
class LineRanges:
    """Where the values of some lines are stored, and the pointers of these lines as a block."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    indptr: NDArray[Any]

    @classmethod
    def of(cls, pointers: NDArray[np.int64], lines: Selector) -> LineRanges:
        """Find some lines by the pointers to the ends of all of them."""
        if isinstance(lines, slice):
            bounds = pointers[lines.start : lines.stop + 1]
            return cls(bounds[:1], bounds[-1:], _small(bounds - bounds[0]))
        starts, stops = pointers[lines], pointers[lines + 1]
        return cls(starts, stops, _small(np.concatenate([[0], np.cumsum(stops - starts)])))

    def read(self, stored: StoredArray) -> NDArray[Any]:
        """All values, line behind line."""
        return stored.read_ranges(self.starts, self.stops)

    def read_some(self, stored: StoredArray, kept: NDArray[Any]) -> NDArray[Any]:
        """Values at ascending places among those that `read` gives.

        Chunks that hold none of them are not read, which is likely only where there are few.
        """
        total = int(self.indptr[-1])
        if len(kept) * stored.chunk_rows > HITS_IN_A_CHUNK * total:
            return self.read(stored)[kept]
        ends = np.cumsum(self.stops - self.starts)
        line = np.searchsorted(ends, kept, side="right")
        place = kept - ends[line] + self.stops[line]
        return stored.read_ranges(place, place + 1)


def _small(indptr: NDArray[np.int64]) -> NDArray[Any]:
    """Pointers of one block as int32, as its indices usually are."""
    return indptr.astype(np.int32) if indptr[-1] < 2**31 else indptr
