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
        The rows, if they stayed in memory.
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
    """Coordinates of each row, shape (n, k): from the kept rows, or by one more pass."""
    offset = None if found.center is None else found.center @ found.axes
    result_dtype = np.dtype(dtype).name
    options: dict[str, Any] = {"axes": found.axes, "offset": offset, "result_dtype": result_dtype}
    if found.kept is not None:
        return np.concatenate(each_kept(found.kept, partial(project, **options)))
    (values,) = graph.compute(
        graph.collect_rows(x, project, dtype=dtype, columns=found.axes.shape[1], **options)
    )
    return np.asarray(values)


def each_kept(kept: KeptRows, kernel: Callable[[Any], Any]) -> list[Any]:
    """Call a kernel that releases the interpreter lock on each kept block, in order."""
    with ThreadPoolExecutor(graph.workers()) as pool:
        return list(pool.map(kernel, kept))


def keep_budget(x: RowBlocks, other_bytes: int) -> float:
    """Bytes a row that may be kept beside ``other_bytes``; 0 if the matrix is in memory anyway."""
    recipe = graph.recipe_of(x)
    if recipe is not None and isinstance(recipe.source, graph.MemorySource):
        return 0.0
    return max(0, config.memory() - other_bytes) / max(1, x.shape[0])
