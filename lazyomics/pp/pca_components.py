"""Principal axes, however they were found, and the coordinates of cells on them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import config, graph
from lazyomics.kernels.project import project
from lazyomics.pp.matrix_choice import RowBlocks

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from lazyomics.kernels.kept_rows import KeptRows

__all__ = ["Components", "coordinates", "each_kept", "keep_budget"]


@dataclass(frozen=True, eq=False)
class Components:
    """Axes of a PCA (or, uncentred, of a truncated SVD) of n rows with p columns.

    Attributes
    ----------
    axes
        One axis a column, orthonormal, float64, shape (p, k).
    variance, variance_ratio
        Along each axis, absolute and of the whole, shape (k,).
    center
        Mean of the columns, shape (p,); None if uncentred.
    kept
        The rows that stayed in memory: all of them, or the leading ones.
    """

    axes: NDArray[np.float64]
    variance: NDArray[np.float64]
    variance_ratio: NDArray[np.float64]
    center: NDArray[np.float64] | None
    kept: KeptRows | None

    def with_fixed_signs(self) -> Components:
        """Make the entry of largest size of each axis positive, as scikit-learn does."""
        largest = np.abs(self.axes).argmax(axis=0)
        signs = np.sign(self.axes[largest, np.arange(self.axes.shape[1])])
        return replace(self, axes=self.axes * np.where(signs == 0, 1, signs))


def coordinates(x: RowBlocks, found: Components, dtype: DTypeLike) -> NDArray[Any]:
    """Coordinates of each row, shape (n, k): from kept rows, by one more pass over others."""
    offset = None if found.center is None else found.center @ found.axes
    result_dtype = np.dtype(dtype).name
    options: dict[str, Any] = {"axes": found.axes, "offset": offset, "result_dtype": result_dtype}
    values: list[Any] = []
    if found.kept is not None:
        values = each_kept(found.kept, partial(project, **options))
        x = x[sum(map(len, values)) :]
    if x.shape[0] or not values:
        columns = found.axes.shape[1]
        rest = graph.collect_rows(x, project, dtype=dtype, columns=columns, **options)
        values += graph.compute(rest)
    return np.concatenate(values)


def each_kept(kept: KeptRows, kernel: Callable[[Any], Any]) -> list[Any]:
    """Call a kernel that releases the interpreter lock on each kept block, in order."""
    with ThreadPoolExecutor(graph.threads()) as pool:
        return list(pool.map(kernel, kept))


def keep_budget(x: RowBlocks, other_bytes: int) -> float:
    """Bytes a row that may be kept beside ``other_bytes``.

    Nothing is kept if the matrix is in memory anyway, or if workers elsewhere would have to send
    it: they read the file again.
    """
    recipe = graph.recipe_of(x)
    if not graph.runs_here():
        return 0.0
    if recipe is not None and isinstance(recipe.source, graph.MemorySource):
        return 0.0
    return max(0, config.memory() - other_bytes) / max(1, x.shape[0])
