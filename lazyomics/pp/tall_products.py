"""Products of tall, narrow matrices, in bands of rows spread over our own threads.

BLAS itself is held to one thread: its own wait for each other busily.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import graph
from lazyomics.kernels.blas import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["inner", "orthonormal", "subtract_product", "times_in_place"]

BAND = 4096  # rows: a band of single precision is widened while it is in the cache
ILL_CONDITIONED = 1e-5


def inner(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """``a.T @ b``, summed in float64 in an order that does not depend on the threads."""
    if not a.shape[1] or not b.shape[1]:
        return np.zeros((a.shape[1], b.shape[1]))
    parts = _each_band(len(a), lambda band: _wide(a[band]).T @ _wide(b[band]))
    return np.asarray(sum(parts[1:], start=parts[0]))


def subtract_product(out: NDArray[Any], a: NDArray[Any], b: NDArray[np.float64]) -> None:
    """``out -= a @ b`` in place."""

    def one(band: slice) -> None:
        out[band] -= _wide(a[band]) @ b

    _each_band(len(out), one)


def times_in_place(out: NDArray[Any], right: NDArray[np.float64]) -> None:
    """Replace the first columns of ``out`` by ``out[:, :m] @ right``, m the rows of ``right``."""

    def one(band: slice) -> None:
        out[band, : right.shape[1]] = _wide(out[band, : len(right)]) @ right

    _each_band(len(out), one)


def orthonormal(
    block: NDArray[np.float64], negligible: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Orthonormal columns F and a matrix R with ``F @ R = block``.

    Directions of the block shorter than ``negligible`` are dropped. Cholesky factors of the inner
    products, taken twice, are as good as Householder's reflections unless the block is close to
    dependent; then these do it, with pivots.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.pp.tall_products import orthonormal
    >>> f, r = orthonormal(np.array([[3.0, 6.0], [4.0, 8.0]]), 1e-9)
    >>> f.shape, np.allclose(f @ r, [[3, 6], [4, 8]])
    ((2, 1), True)
    """
    factors = np.eye(block.shape[1])
    out = block.copy()
    for _ in range(2):
        products = inner(out, out)
        sizes = np.sqrt(np.diag(products))
        if not sizes.size or sizes.min() <= negligible:
            return _pivoted(block, negligible)
        try:
            lower = np.linalg.cholesky(products / np.outer(sizes, sizes))
        except np.linalg.LinAlgError:
            return _pivoted(block, negligible)
        if np.diag(lower).min() < ILL_CONDITIONED:
            return _pivoted(block, negligible)
        upper = lower.T * sizes
        times_in_place(out, np.linalg.inv(upper))
        factors = upper @ factors
    return out, factors


def _pivoted(
    block: NDArray[np.float64], negligible: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy.linalg import qr

    if not block.shape[1]:
        return block, np.zeros((0, 0))
    columns, factors, order = qr(block, mode="economic", pivoting=True)
    used = np.abs(np.diag(factors)) > negligible
    sorted_back = np.empty_like(factors)
    sorted_back[:, order] = factors
    return np.ascontiguousarray(columns[:, used]), sorted_back[used]


def _wide(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.astype(np.float64, copy=False)


def _each_band(n: int, work: Callable[[slice], Any]) -> list[Any]:
    bands = [slice(start, start + BAND) for start in range(0, n, BAND)]

    def one(band: slice) -> Any:
        with one_blas_thread():
            return work(band)

    if len(bands) == 1:
        return [one(bands[0])]
    with ThreadPoolExecutor(graph.threads()) as pool:
        return list(pool.map(one, bands))
