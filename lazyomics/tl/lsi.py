"""Latent semantic indexing of peak counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import lazy
from lazyomics.container.choose import choose_modality, get_matrix
from lazyomics.container.slots import matrix_bytes
from lazyomics.kernels.blas import one_blas_thread
from lazyomics.pp.components import coordinates
from lazyomics.pp.krylov import krylov_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData
    from lazyomics.container.mudata import MuData

__all__ = ["lsi"]

SMALL = 64 << 20  # bytes: ARPACK then takes seconds, beyond it soon minutes


def lsi(
    data: AnnData | MuData,
    *,
    scale_embeddings: bool = True,
    n_comps: int = 50,
    layer: str | None = None,
    random_state: int = 0,
    tol: float | None = None,
    max_passes: int | None = None,
) -> None:
    """Latent semantic indexing as muon does it: a truncated SVD, eagerly and out of core.

    Run it on the result of ``pp.tfidf``. A small matrix (64 MiB) is loaded and decomposed by
    ARPACK; a larger one by the block Lanczos iteration of ``pp.pca``. The entry of largest size of
    each loading is positive.

    Parameters
    ----------
    data
        Annotated data, shape (n_obs, n_vars), or a MuData with the modality ``"atac"``.
    scale_embeddings
        Scale each component to mean 0 and variance 1 over the cells.
    n_comps
        Number of components, fewer if the matrix is smaller.
    layer
        Layer to use instead of X.
    random_state
        Seed of the start.
    tol
        For the iteration: residual of a loading, relative to its squared singular value, at which
        to stop; by default 1e-5 in memory, 1e-3 by passes.
    max_passes
        For the iteration: how often the file may be read, at least 3, by default 10. What fits
        the memory budget is read once.

    Returns
    -------
    None. Sets ``obsm["X_lsi"]`` (shape (n_obs, n_comps)), ``varm["LSI"]`` (shape
    (n_vars, n_comps)) and ``uns["lsi"]["stdev"]`` (shape (n_comps,)).

    Raises
    ------
    ValueError
        If the matrix has fewer than two rows or columns.

    Warns
    -----
    UserWarning
        If the passes did not suffice, how large the residuals are, and of which components.

    Notes
    -----
    Passes over X: 1 if it fits the memory budget (``lazyomics.memory``), otherwise up to
    ``max_passes`` over the rows that do not fit. Peak memory: the budget and the blocks in flight,
    or, where that is more, about 1,500 bytes for each variable and thread (50 components).
    Accuracy: see ``pp.pca``.

    References
    ----------
    Cusanovich, D. A. et al. (2015). Multiplex single-cell profiling of chromatin accessibility by
    combinatorial cellular indexing. doi:10.1126/science.aab1601

    Examples
    --------
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.random.default_rng(0).random((20, 30)))
    >>> lo.tl.lsi(adata, n_comps=3)
    >>> adata.obsm["X_lsi"].shape, adata.varm["LSI"].shape, adata.uns["lsi"]["stdev"].shape
    ((20, 3), (30, 3), (3,))
    """
    adata = choose_modality(data, "atac")
    x = get_matrix(adata, layer=layer)
    if min(x.shape) < 2:
        raise ValueError(f"latent semantic indexing needs at least 2 × 2 values, found {x.shape}")
    k = min(n_comps, min(x.shape) - 1)
    if k < 1:
        raise ValueError(f"n_comps must be at least 1, found {n_comps}")
    if matrix_bytes(x) <= SMALL:
        cells, sizes, loadings = _loaded(lazy.materialize(x), k, random_state)
    else:
        cells, sizes, loadings = _by_iteration(x, k, random_state, tol, max_passes)
    signs = np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(k)])
    cells, loadings = cells * signs, loadings * signs
    if scale_embeddings:
        cells = (cells - cells.mean(axis=0)) / cells.std(axis=0)
    adata.obsm["X_lsi"] = cells
    adata.uns["lsi"] = {"stdev": sizes / np.sqrt(adata.n_obs - 1)}
    adata.varm["LSI"] = loadings


def _loaded(matrix: Any, k: int, seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Largest singular values of a matrix in memory, descending."""
    from scipy.sparse.linalg import svds

    if matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float64)
    start = np.random.default_rng(seed).standard_normal(min(matrix.shape)).astype(matrix.dtype)
    cells, sizes, loadings = svds(matrix, k=k, v0=start)
    order = np.argsort(sizes)[::-1]
    return cells[:, order], sizes[order], loadings[order].T


def _by_iteration(
    x: Any, k: int, seed: int, tol: float | None, max_passes: int | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The same without loading the matrix: axes by iteration, made exact on their span."""
    found = krylov_components(x, k, zero_center=False, seed=seed, tol=tol, max_passes=max_passes)
    values = coordinates(x, found, np.float64)
    with one_blas_thread():
        cells, sizes, turn = np.linalg.svd(values, full_matrices=False)
    return cells, sizes, found.axes @ turn.T
