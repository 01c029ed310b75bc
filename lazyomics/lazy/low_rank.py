"""Lazy matrices that steps made dense, as sparse values plus a matrix of low rank."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.low_rank import sparse_plus_low_rank
from lazyomics.lazy.matrix import LazyMatrix
from lazyomics.lazy.recipe import recipe_of

__all__ = ["SparsePlusLowRank", "apart"]

LARGEST_SHARE = 4  # of the columns may be more of the basis


@dataclass(frozen=True, eq=False)
class SparsePlusLowRank:
    """A matrix x of n rows and p columns that is ``y + basis @ coefficients``, y being sparse.

    Attributes
    ----------
    matrix
        ``[y, basis]``, lazy, shape (n, p + q).
    coefficients
        float64, shape (q, p).
    """

    matrix: LazyMatrix
    coefficients: NDArray[np.float64]

    def axes(self, axes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what to multiply ``matrix`` with instead of x with ``axes``, shape (p, k)."""
        return np.concatenate([axes, self.coefficients @ axes])

    def mean(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the means of the columns of x, shape (p,), from those of ``matrix``."""
        p = self.coefficients.shape[1]
        return np.asarray(mean[:p] + mean[p:] @ self.coefficients)

    def products(self, products: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Gram or scatter matrix of x, shape (p, p), from that of ``matrix``."""
        p = self.coefficients.shape[1]
        mixed = products[:p, p:] @ self.coefficients
        found = products[:p, :p] + mixed
        found += mixed.T
        found += self.coefficients.T @ (products[p:, p:] @ self.coefficients)
        return found

    def sizes(self, squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return sums of squares of what is added up to each column, from those of ``matrix``."""
        p = self.coefficients.shape[1]
        return np.asarray(squares[:p] + squares[p:] @ np.square(self.coefficients))


def apart(x: Any) -> SparsePlusLowRank | None:
    """Return a lazy matrix as a sum. Reads nothing.

    None if it is another array, or sparse anyway, or stored densely, or if some step on the dense
    values has no such form.
    """
    recipe = recipe_of(x)
    if recipe is None or recipe.source.format == "dense":
        return None
    for k in range(1, len(recipe.steps) + 1):
        if isinstance(replace(recipe, steps=recipe.steps[:k]).meta(), np.ndarray):
            break
    else:
        return None
    p = int(x.shape[1])
    parts = sparse_plus_low_rank(recipe.steps[k - 1 :], p)
    if parts is None or len(parts[1]) > max(1, p // LARGEST_SHARE):
        return None
    steps, coefficients = parts
    whole = replace(recipe, steps=(*recipe.steps[: k - 1], *steps))
    return SparsePlusLowRank(LazyMatrix.cook(whole), coefficients)
