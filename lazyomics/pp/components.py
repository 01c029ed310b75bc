"""Components of a matrix, from the eigenpairs of its Gram matrix."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import config, lazy
from lazyomics.kernels.blas import one_blas_thread
from lazyomics.kernels.product import project
from lazyomics.pp.matrix_choice import RowBlocks

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from lazyomics.kernels.gram import KeptRows
    from lazyomics.lazy.low_rank import SparsePlusLowRank

__all__ = [
    "Components",
    "coordinates",
    "each_kept",
    "keep_budget",
    "largest_eigenpairs",
]


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
    parts
        The sum that was computed with instead of the matrix; ``kept`` are rows of its matrix.
    """

    axes: NDArray[np.float64]
    variance: NDArray[np.float64]
    variance_ratio: NDArray[np.float64]
    center: NDArray[np.float64] | None
    kept: KeptRows | None
    parts: SparsePlusLowRank | None = None

    def with_fixed_signs(self) -> Components:
        """Make the entry of largest size of each axis positive, as scikit-learn does."""
        largest = np.abs(self.axes).argmax(axis=0)
        signs = np.sign(self.axes[largest, np.arange(self.axes.shape[1])])
        return replace(self, axes=self.axes * np.where(signs == 0, 1, signs))


def coordinates(x: RowBlocks, found: Components, dtype: DTypeLike) -> NDArray[Any]:
    """Coordinates of each row, shape (n, k): from kept rows, by one more pass over others."""
    offset = None if found.center is None else found.center @ found.axes
    result_dtype = np.dtype(dtype).name
    axes = found.axes
    if found.parts is not None:
        x, axes = found.parts.matrix, found.parts.axes(axes)
    options: dict[str, Any] = {"axes": axes, "offset": offset, "result_dtype": result_dtype}
    values: list[Any] = []
    if found.kept is not None:
        values = each_kept(found.kept, partial(project, **options))
        x = x[sum(map(len, values)) :]
    if x.shape[0] or not values:
        rest = lazy.collect_rows(x, project, dtype=dtype, columns=axes.shape[1], **options)
        values += lazy.compute(rest)
    return np.concatenate(values)


def each_kept(kept: KeptRows, kernel: Callable[[Any], Any]) -> list[Any]:
    """Call a kernel that releases the interpreter lock on each kept block, in order."""
    with ThreadPoolExecutor(lazy.threads()) as pool:
        return list(pool.map(kernel, kept))


def keep_budget(x: RowBlocks, other_bytes: int) -> float:
    """Bytes a row that may be kept beside ``other_bytes``.

    Nothing is kept if the matrix is in memory anyway, or if workers elsewhere would have to send
    it: they read the file again.
    """
    if not lazy.runs_here() or lazy.memory_source(x):
        return 0.0
    return max(0, config.memory() - other_bytes) / max(1, x.shape[0])


# Lanczos iteration beats the dense solver when few of many eigenvectors are asked for.
LANCZOS_FROM = 500
LANCZOS_SHARE = 10


def largest_eigenpairs(
    matrix: NDArray[np.float64], k: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the k largest eigenvalues, descending, and their vectors, of a symmetric matrix.

    BLAS is held to one thread, as its own threads wait for each other busily, which on a machine
    with other work takes thirty times as long; products are spread over our own threads instead.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.pp.components import largest_eigenpairs
    >>> values, vectors = largest_eigenpairs(np.diag([1.0, 3.0, 2.0]), 2)
    >>> values
    array([3., 2.])
    """
    p = len(matrix)
    with one_blas_thread():
        if p >= LANCZOS_FROM and k * LANCZOS_SHARE <= p:
            from scipy.sparse.linalg import ArpackError

            try:
                return _lanczos(matrix, k)
            except ArpackError:  # did not converge: the dense solver always does
                pass
        from scipy.linalg import eigh

        values, vectors = eigh(matrix, subset_by_index=[p - k, p - 1])
    return values[::-1], vectors[:, ::-1]


def _lanczos(
    matrix: NDArray[np.float64], k: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy.sparse.linalg import LinearOperator, eigsh

    p = len(matrix)
    start = np.random.default_rng(0).standard_normal(p)
    with ThreadPoolExecutor(lazy.threads()) as pool:
        bands = np.array_split(matrix, lazy.threads())
        operator: Any = LinearOperator(
            (p, p), matvec=lambda vector: _product(pool, bands, vector), dtype=np.float64
        )
        values, vectors = eigsh(operator, k=k, which="LA", v0=start)
    order = np.argsort(-values)
    return values[order], vectors[:, order]


def _product(
    pool: Executor, bands: list[NDArray[np.float64]], vector: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.concatenate(list(pool.map(lambda band: band.dot(vector), bands)))
