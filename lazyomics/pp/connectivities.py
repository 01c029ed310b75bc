"""Weights of the neighbour graph: UMAP's fuzzy union, or Gaussian kernels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lazyomics.errors import require

__all__ = ["gauss", "umap"]


def umap(indices: NDArray[Any], lengths: NDArray[Any]) -> sparse.csr_matrix:
    """Fuzzy simplicial set of the neighbour tables.

    Parameters
    ----------
    indices
        int, shape (n_obs, n_neighbors); the first column is the cell itself.
    lengths
        float, shape (n_obs, n_neighbors): distances, nearest first.

    Returns
    -------
    csr_matrix, float32, shape (n_obs, n_obs)
        Symmetric, values in (0, 1].

    References
    ----------
    McInnes, Healy and Melville (2018), UMAP. doi:10.48550/arXiv.1802.03426
    """
    umap_ = load_umap("pp.neighbors(method='umap')")
    n_obs, n_neighbors = indices.shape
    # The data matrix is only asked for its number of rows when the neighbours are given.
    placeholder = sparse.coo_matrix((n_obs, 1))
    weights = umap_.fuzzy_simplicial_set(
        placeholder,
        n_neighbors,
        None,
        None,
        knn_indices=indices,
        knn_dists=lengths,
        set_op_mix_ratio=1.0,
        local_connectivity=1.0,
    )[0]
    return sparse.csr_matrix(weights.tocsr())


def load_umap(purpose: str) -> Any:
    """Import ``umap.umap_`` without its remark about TensorFlow, which is not used here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Tensorflow not installed")
        return require("umap.umap_", extra="cluster", purpose=purpose)


def gauss(
    distances: sparse.csr_matrix | NDArray[Any],
    indices: NDArray[Any],
    lengths: NDArray[Any],
) -> sparse.csr_matrix | NDArray[Any]:
    """Gaussian kernel whose width adapts to each cell.

    Parameters
    ----------
    distances
        CSR (n_obs, n_obs) of neighbour distances, or dense distances between all pairs.
    indices, lengths
        Neighbour tables, shape (n_obs, n_neighbors), of the sparse ``distances``.

    Returns
    -------
    csr_matrix or ndarray, shape (n_obs, n_obs)
        Sparse and dense as ``distances``.

    References
    ----------
    Coifman et al. (2005), doi:10.1073/pnas.0500334102;
    Haghverdi et al. (2016), doi:10.1038/nmeth.3971
    """
    if isinstance(distances, np.ndarray):
        return _gauss_all_pairs(distances, n_neighbors=indices.shape[1])
    neighbors = indices[:, 1:]
    sigmas_sq = np.median(np.square(lengths[:, 1:]), axis=1)
    rows = np.repeat(np.arange(distances.shape[0]), np.diff(distances.indptr))
    weights = _kernel(np.square(distances.data), sigmas_sq[rows], sigmas_sq[distances.indices])
    kernel = sparse.csr_matrix(
        (weights, distances.indices, distances.indptr), shape=distances.shape
    )
    return _mirror(kernel, rows, neighbors)


def _kernel(d_sq: NDArray[Any], a_sq: NDArray[Any], b_sq: NDArray[Any]) -> NDArray[Any]:
    total = a_sq + b_sq
    widths = np.sqrt(2 * np.sqrt(a_sq) * np.sqrt(b_sq) / total)
    weights: NDArray[Any] = widths * np.exp(-d_sq / total)
    return weights


def _mirror(
    kernel: sparse.csr_matrix, rows: NDArray[Any], neighbors: NDArray[Any]
) -> sparse.csr_matrix:
    """Add j → i with the weight of i → j where cell i is not among the neighbours of cell j."""
    n_obs = kernel.shape[0]
    # A pair as one number, so that membership is a search in a sorted array.
    stored = rows.astype(np.int64) * n_obs + kernel.indices
    forward = (np.arange(n_obs)[:, None] * n_obs + neighbors).ravel()
    backward = forward % n_obs * n_obs + forward // n_obs
    missing = ~np.isin(backward, forward) & ~np.isin(backward, stored)
    order = np.argsort(stored)
    weights = kernel.data[order[np.searchsorted(stored[order], forward[missing])]]
    pairs = np.concatenate([stored, backward[missing]])
    values = np.concatenate([kernel.data, weights])
    full = sparse.coo_matrix((values, (pairs // n_obs, pairs % n_obs)), shape=kernel.shape)
    result = sparse.csr_matrix(full.tocsr())
    result.sort_indices()
    return result


def _gauss_all_pairs(distances: NDArray[Any], n_neighbors: int) -> NDArray[Any]:
    d_sq = np.square(distances)
    # The distance to the n-th neighbour: the kernel decays beyond it.
    sigmas_sq = np.partition(d_sq, n_neighbors - 1, axis=1)[:, n_neighbors - 1] / 4
    weights = _kernel(d_sq, sigmas_sq[:, None], sigmas_sq[None, :])
    weights[weights <= 1e-14] = 0
    return weights
