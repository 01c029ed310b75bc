"""Matrices in memory that tasks fill in place, so that no value is held twice.

What fills them is anything that holds ``data``, ``indices`` and ``indptr`` of some lines: a sparse
block, or ``Lines`` just read; dense ones are filled with arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazyomics.graph.recipe import Recipe

__all__ = ["Lines", "Target", "joined_lines"]


class Lines(NamedTuple):
    """Some rows (columns) of a compressed matrix."""

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Target:
    """Arrays of the result, shared by the tasks that fill them; ``bounds`` are of stored values.

    Dense results have only ``data``, with bounds in rows.
    """

    data: NDArray[Any]
    indices: NDArray[Any] | None
    bounds: tuple[int, ...]

    @classmethod
    def dense(cls, shape: tuple[int, int], dtype: Any, bounds: tuple[int, ...]) -> Target:
        """An array, cut into blocks of rows."""
        return cls(np.empty(shape, dtype), None, bounds)

    @classmethod
    def of_lines(cls, recipe: Recipe, dtype: Any, bounds: tuple[int, ...]) -> Target | None:
        """Arrays for blocks of lines, where what they hold is known before they are read."""
        stored = recipe.source.stored_per_line() if recipe.keeps_lines else None
        if stored is None:
            return None
        ends = np.cumsum(stored[recipe.cols if recipe.by_columns else recipe.rows])
        ends = np.append(0, ends)[list(bounds)]
        total = int(ends[-1])
        index = np.int32 if max(total, *recipe.shape) < 2**31 else np.int64
        return cls(np.empty(total, dtype), np.empty(total, index), tuple(ends.tolist()))

    def fill(self, block: Any, k: int) -> Any:
        """Store block ``k``; return it if it is not what was planned."""
        low, high = self.bounds[k], self.bounds[k + 1]
        data = block if type(block) is np.ndarray else getattr(block, "data", None)
        if data is None or data.dtype != self.data.dtype:
            return block
        if self.indices is None:
            if data is not block or data.shape != (high - low, self.data.shape[1]):
                return block
            self.data[low:high] = data
            return None
        if data is block or len(data) != high - low:
            return block
        self.data[low:high] = data
        self.indices[low:high] = block.indices
        return np.diff(block.indptr)

    def part(self, k: int, result: Any) -> Any:
        """Block ``k`` again, as views of where it was stored; ``result`` is what `fill` gave."""
        here = slice(self.bounds[k], self.bounds[k + 1])
        if self.indices is None:
            return self.data[here]
        return Lines(self.data[here], self.indices[here], np.append(0, np.cumsum(result)))

    def finish(self, results: list[Any]) -> Any:
        """Everything, as an array or as lines, when all blocks were what was planned."""
        if self.indices is None:
            return self.data
        counts = np.concatenate([np.zeros(1, np.int64), *results])
        return Lines(self.data, self.indices, np.cumsum(counts).astype(self.indices.dtype))


def joined_lines(parts: list[Any], shape: tuple[int, int]) -> Lines:
    """Lines behind each other, each part forgotten as soon as it is copied."""
    total = sum(len(part.data) for part in parts)
    index = np.int32 if max(total, *shape) < 2**31 else np.int64
    counts = [np.zeros(1, np.int64), *(np.diff(part.indptr) for part in parts)]
    data = np.empty(total, np.result_type(*(part.data.dtype for part in parts)))
    indices = np.empty(total, index)
    ends = list(accumulate((len(part.data) for part in parts), initial=0))
    for k, (low, high) in enumerate(pairwise(ends)):
        data[low:high] = parts[k].data
        indices[low:high] = parts[k].indices
        parts[k] = None
    return Lines(data, indices, np.cumsum(np.concatenate(counts)).astype(index))
