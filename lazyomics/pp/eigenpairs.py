"""Largest eigenvalues and vectors of a symmetric matrix."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import graph
from lazyomics.kernels.blas import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["largest_eigenpairs"]

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
    >>> from lazyomics.pp.eigenpairs import largest_eigenpairs
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
    with ThreadPoolExecutor(graph.threads()) as pool:
        bands = np.array_split(matrix, graph.threads())
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
