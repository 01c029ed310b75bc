"""The Gram matrix of the genes as something to multiply by, by passes or in memory."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import config, graph
from lazyomics.kernels.gram_product import GramProduct, gram_product
from lazyomics.kernels.kept_rows import KeptRows
from lazyomics.pp.keeping import allowances
from lazyomics.pp.pca_components import Components

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from lazyomics.pp.matrix_choice import RowBlocks

__all__ = ["GramOperator"]

# In memory narrow blocks take the fewest operations; where each product is a pass over a file,
# wide ones take the fewest passes.
WIDTH_IN_MEMORY = 32
WIDTH_BY_PASSES = 64
PRODUCTS_IN_MEMORY = 500
KEPT_AT_ONCE = 16  # blocks whose products are summed in the precision of the vectors


class GramOperator:
    """Multiply by the (implicitly centred) Gram matrix of x.

    The first pass keeps as many of the leading rows as fit the memory budget, so that each product
    reads the others only.

    Parameters
    ----------
    x
        Matrix of row blocks, shape (n, p).
    k
        Number of components that are wanted.
    zero_center
        Whether to subtract the mean of each column.
    max_passes
        Over rows that are not kept, the first one and one for coordinates included.
    """

    def __init__(self, x: RowBlocks, k: int, *, zero_center: bool, max_passes: int) -> None:
        self.x, self.zero_center = x, zero_center
        self.products = 0
        self.kept: tuple[Any, ...] = ()
        self.rest: RowBlocks | None = x
        narrow = WIDTH_IN_MEMORY if k > WIDTH_IN_MEMORY // 2 else WIDTH_IN_MEMORY // 2
        self._plan(k, narrow, max(256, 4 * k + 6 * narrow))
        self.allowances, whole = allowances(x, self._left())
        recipe = graph.recipe_of(x)
        in_memory = recipe is not None and isinstance(recipe.source, graph.MemorySource)
        self.reads = not (whole or in_memory)
        self.most_products = max_passes - 2 if self.reads else PRODUCTS_IN_MEMORY
        if self.reads:
            wide = max(WIDTH_BY_PASSES, -(-5 * k // 2 // 16) * 16)
            self._plan(k, min(wide, self._affordable(k)), wide * self.most_products)
            self.allowances, _ = allowances(x, self._left())

    @property
    def exhausted(self) -> bool:
        """Whether no further product is allowed."""
        return self.products >= self.most_products

    def start(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Keep rows, sum columns, and return the product with vectors in single precision."""
        (state,) = graph.compute(
            graph.fold_runs(
                self.x,
                gram_product,
                rows=(self.allowances,),
                vectors=vectors.astype(np.float32),
                first=True,
            )
        )
        if not np.isfinite(state.squares):
            raise ValueError("PCA needs finite values, but the data contains NaN or infinity.")
        self.kept = tuple(takewhile(lambda rows: rows is not None, state.kept))
        n_kept = sum(rows.shape[0] for rows in self.kept)
        self.rest = self.x[n_kept:] if n_kept < self.x.shape[0] else None
        self.n, self.squares, self.sums = state.n, state.squares, state.sums
        self.mean = state.sums / max(state.n, 1)
        image = self._centred(state.product, state.totals)
        return image if np.isfinite(image).all() else vectors

    def __call__(self, block: NDArray[np.float64], dtype: DTypeLike) -> NDArray[np.float64]:
        """Product with a block, shape (p, b), taken in float32 or float64."""
        self.products += 1
        offset = self.mean @ block if self.zero_center else None
        options: dict[str, Any] = {"vectors": block.astype(dtype), "offset": offset}
        product, totals = np.zeros(block.shape), np.zeros(block.shape[1])
        for state in self._states(options):
            product += state.product
            totals += state.totals
        return self._centred(product, totals)

    def components(self, axes: NDArray[np.float64], values: NDArray[np.float64]) -> Components:
        """Components of the whole, given eigenvectors and eigenvalues."""
        n, mean = self.n, self.mean
        total = max(self.squares - float(self.sums @ mean), np.finfo(np.float64).tiny)
        values = np.maximum(values, 0)
        kept = KeptRows(self.kept) if self.kept else None
        if self.zero_center:
            return Components(axes, values / max(n - 1, 1), values / total, mean, kept)
        spread = np.maximum(values - n * np.square(mean @ axes), 0)
        return Components(axes, spread / max(n, 1), spread / total, None, kept)

    def _states(self, options: dict[str, Any]) -> Iterator[GramProduct]:
        """Products over groups of kept rows in order, then over the others."""
        length = min(KEPT_AT_ONCE, -(-len(self.kept) // KEPT_AT_ONCE))
        groups = [self.kept[a : a + length] for a in range(0, len(self.kept), max(1, length))]
        with ThreadPoolExecutor(graph.threads()) as pool:
            yield from pool.map(
                lambda group: gram_product(((rows,) for rows in group), **options), groups
            )
        if self.rest is not None:
            yield graph.compute(graph.fold_runs(self.rest, gram_product, **options))[0]

    def _centred(self, product: NDArray[Any], totals: NDArray[np.float64]) -> NDArray[np.float64]:
        wide = np.asarray(product, dtype=np.float64)
        return wide - np.outer(self.mean, totals) if self.zero_center else wide

    def _plan(self, k: int, width: int, room: int) -> None:
        """Width of blocks, and columns of the basis: at most a quarter of the memory."""
        n, p = self.x.shape
        self.width = min(width, n, p)
        least = k + 3 * self.width
        self.room = max(least, min(room, config.memory() // 4 // (4 * p)))

    def _state_bytes(self) -> int:
        """Of one column, in all the states that may exist at a time."""
        return (2 * graph.threads() + 4) * self.x.shape[1] * 4

    def _affordable(self, k: int) -> int:
        return max(k + 14, config.memory() // 4 // max(1, self._state_bytes()))

    def _left(self) -> int:
        """Bytes that basis and states leave of the budget."""
        used = self.x.shape[1] * 4 * (self.room + 6 * self.width)
        return max(0, config.memory() - used - self.width * self._state_bytes())
