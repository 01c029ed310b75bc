"""Weights of the graph that neighbours make: fuzzy simplicial sets, Gaussian kernels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lazyomics import lazy
from lazyomics.compiled import compiled

__all__ = ["fuzzy", "gauss"]

ROWS_AT_ONCE = 4096


def fuzzy(indices: NDArray[Any], lengths: NDArray[Any]) -> sparse.csr_matrix:
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
        Symmetric, values in (0, 1], within 1.2e-7 of those of umap-learn.

    Notes
    -----
    Memory: three times the result.

    References
    ----------
    McInnes, Healy and Melville (2018), UMAP. doi:10.48550/arXiv.1802.03426

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.graph.weights import fuzzy
    >>> indices = np.array([[0, 1], [1, 0], [2, 1]])
    >>> fuzzy(indices, np.array([[0.0, 1], [0, 1], [0, 2]])).toarray()
    array([[0., 1., 0.],
           [1., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    n_obs, width = indices.shape
    near = np.ascontiguousarray(lengths, dtype=np.float32)
    strengths = np.empty((n_obs, width), dtype=np.float32)
    mean = float(near.mean(dtype=np.float64)) if near.size else 0.0

    def work(first: int) -> None:
        part = slice(first, first + ROWS_AT_ONCE)
        _strengths(np.ascontiguousarray(indices[part]), near[part], first, mean, strengths[part])

    with ThreadPoolExecutor(lazy.threads()) as pool:
        for _ in pool.map(work, range(0, n_obs, ROWS_AT_ONCE)):
            pass
    start = np.arange(0, n_obs * width + 1, width) if width else np.zeros(n_obs + 1, dtype=int)
    one_way = sparse.csr_matrix((strengths.ravel(), indices.ravel(), start), shape=(n_obs, n_obs))
    one_way.eliminate_zeros()
    one_way.sort_indices()
    return _union(one_way)


def _union(one_way: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return a + b - ab of the strengths a of i → j and b of j → i."""
    back = one_way.T.tocsr()
    ways = one_way.indptr, one_way.indices, one_way.data, back.indptr, back.indices, back.data
    counts = np.zeros(one_way.shape[0] + 1, dtype=np.int64)
    none = np.empty(0, dtype=one_way.indices.dtype), np.empty(0, dtype=np.float32)
    _join(*ways, counts, *none)
    stored = int(counts.sum())
    indices = np.empty(stored, dtype=one_way.indices.dtype)
    values = np.empty(stored, dtype=np.float32)
    start = np.cumsum(counts)
    _join(*ways, start, indices, values)
    result = sparse.csr_matrix((values, indices, start), shape=one_way.shape)
    result.has_sorted_indices = True
    return result


@compiled
def _strengths(
    indices: NDArray[Any],
    lengths: NDArray[np.float32],
    first: int,
    mean: float,
    strengths: NDArray[np.float32],
) -> None:
    """Strengths of i → j of cells from ``first`` on; ``mean`` is that of all lengths."""
    width = lengths.shape[1]
    target = np.log2(np.float64(width))
    for i in range(len(lengths)):
        nearest = np.float32(0)  # distance of the nearest other cell that is elsewhere
        total = 0.0
        for k in range(width):
            total += lengths[i, k]
            if nearest == 0 and lengths[i, k] > 0:
                nearest = lengths[i, k]
        # The width of the kernel for which the strengths add up to log2 of their number.
        low, high, middle = 0.0, np.inf, 1.0
        for _ in range(64):
            found = 0.0
            for k in range(1, width):
                beyond = lengths[i, k] - nearest
                found += np.exp(-(beyond / middle)) if beyond > 0 else 1.0
            if abs(found - target) < 1e-5:
                break
            if found > target:
                high = middle
            else:
                low = middle
            middle = middle * 2 if high == np.inf else (low + high) / 2
        least = 1e-3 * (total / width if nearest > 0 else mean)
        scale = np.float32(max(middle, least))
        for k in range(width):
            beyond = lengths[i, k] - nearest
            if indices[i, k] == first + i or indices[i, k] < 0:
                strengths[i, k] = 0
            elif beyond <= 0 or scale == 0:
                strengths[i, k] = 1
            else:
                strengths[i, k] = np.exp(-(beyond / scale))


@compiled
def _join(
    start: NDArray[Any],
    indices: NDArray[Any],
    values: NDArray[np.float32],
    back_start: NDArray[Any],
    back_indices: NDArray[Any],
    back_values: NDArray[np.float32],
    out_start: NDArray[np.int64],
    out_indices: NDArray[Any],
    out_values: NDArray[np.float32],
) -> None:
    """Join sorted rows; without room for the result, count row i in ``out_start[i + 1]``."""
    counting = len(out_indices) == 0
    for i in range(len(start) - 1):
        a, b = start[i], back_start[i]
        at = np.int64(0) if counting else out_start[i]
        while a < start[i + 1] or b < back_start[i + 1]:
            here = a < start[i + 1] and (b == back_start[i + 1] or indices[a] <= back_indices[b])
            there = b < back_start[i + 1] and (a == start[i + 1] or back_indices[b] <= indices[a])
            if not counting:
                out_indices[at] = indices[a] if here else back_indices[b]
                if here and there:
                    out_values[at] = values[a] + back_values[b] - values[a] * back_values[b]
                else:
                    out_values[at] = values[a] if here else back_values[b]
            at += 1
            a += np.int64(here)
            b += np.int64(there)
        if counting:
            out_start[i + 1] = at


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
