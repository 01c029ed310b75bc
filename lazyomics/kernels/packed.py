"""Symmetric matrices as their lower triangle, row by row, and means of two sets of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.compiled import compiled

__all__ = ["add_outer", "merged", "merged_mean", "unpacked"]


def merged_mean(
    n: int, mean: NDArray[np.float64], n_other: int, other: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Mean of both, difference of the means, and its weight in the scatter.

    References
    ----------
    Chan, Golub & LeVeque (1983), doi:10.1080/00031305.1983.10483115
    """
    total = max(n + n_other, 1)
    delta = other - mean if n and n_other else np.zeros(len(mean))
    both = mean + delta * (n_other / total) if n else other
    return both, delta, n * n_other / total


def unpacked(packed: NDArray[np.float64], p: int) -> NDArray[np.float64]:
    """Full symmetric matrix, shape (p, p).

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.packed import unpacked
    >>> unpacked(np.array([1.0, 2.0, 3.0]), 2)
    array([[1., 2.],
           [2., 3.]])
    """
    full = np.empty((p, p))
    at = 0
    for i in range(p):
        row = packed[at : at + i + 1]
        full[i, : i + 1] = row
        full[: i + 1, i] = row
        at += i + 1
    return full


@compiled
def add_outer(packed: NDArray[np.float64], vector: NDArray[np.float64], weight: float) -> None:
    """Add ``weight * vector vector^T``, in place."""
    at = 0
    for i in range(len(vector)):
        weighted = weight * vector[i]
        for j in range(i + 1):
            packed[at + j] += weighted * vector[j]
        at += i + 1


@compiled
def merged(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    delta: NDArray[np.float64],
    weight: float,
    out: NDArray[np.float64],
) -> None:
    """Write ``a + b + weight * delta delta^T`` to ``out``."""
    at = 0
    for i in range(len(delta)):
        weighted = weight * delta[i]
        for j in range(i + 1):
            out[at + j] = a[at + j] + b[at + j] + weighted * delta[j]
        at += i + 1
