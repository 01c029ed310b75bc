"""Principal components from the exact scatter matrix of the genes."""

from __future__ import annotations

import numpy as np

from lazyomics import config, graph
from lazyomics.kernels.gram import Scatter, scatter_of_run
from lazyomics.pp.eigenpairs import largest_eigenpairs
from lazyomics.pp.matrix_choice import RowBlocks
from lazyomics.pp.pca_components import Components, keep_budget

__all__ = ["GENES_FOR_EXACT", "exact_components", "exact_fits"]

GENES_FOR_EXACT = 6000
RUNS = 32  # to finish and merge a matrix takes as long as to add a block of rows to it


def exact_bytes(n_vars: int) -> int:
    """Memory of the scatter matrices: packed float64 and a product in flight for each thread."""
    return (graph.threads() + 2) * n_vars**2 * 8


def exact_fits(n_vars: int) -> bool:
    """Whether the exact way is the better one for so many genes."""
    return n_vars <= GENES_FOR_EXACT and (n_vars <= 1000 or exact_bytes(n_vars) <= config.memory())


def exact_components(x: RowBlocks, k: int, *, zero_center: bool) -> Components:
    """First k components from one pass, in float64.

    Parameters
    ----------
    x
        Matrix of row blocks, shape (n, p).
    k
        Number of components.
    zero_center
        PCA if True, truncated SVD if False.
    """
    keep = keep_budget(x, exact_bytes(x.shape[1]))
    fold = graph.fold_runs(x, scatter_of_run, runs=RUNS, keep_bytes_per_row=keep)
    (state,) = graph.compute(fold)
    if not np.isfinite(state.packed).all():
        raise ValueError("PCA needs finite values, but the data contains NaN or infinity.")
    return (_centred if zero_center else _uncentred)(state, k).with_fixed_signs()


def _centred(state: Scatter, k: int) -> Components:
    matrix = state.matrix()
    total = max(float(np.trace(matrix)), np.finfo(np.float64).tiny)
    values, axes = largest_eigenpairs(matrix, k)
    values = np.maximum(values, 0)
    variance = values / max(state.n - 1, 1)
    return Components(axes, variance, values / total, state.mean, state.kept)


def _uncentred(state: Scatter, k: int) -> Components:
    _, axes = largest_eigenpairs(state.raw_matrix(), k)
    # as scikit-learn's TruncatedSVD: variances of the coordinates, which have a mean
    matrix = state.matrix()
    spread = np.maximum(np.einsum("pk,pk->k", axes, matrix @ axes), 0)
    total = max(float(np.trace(matrix)), np.finfo(np.float64).tiny)
    return Components(axes, spread / max(state.n, 1), spread / total, None, state.kept)
