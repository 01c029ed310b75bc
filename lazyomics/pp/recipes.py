"""Preprocessing recipes from the literature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container.choose import check_annotated
from lazyomics.errors import UnsupportedError
from lazyomics.kernels.moments import moments
from lazyomics.kernels.qc import highly_expressed
from lazyomics.kernels.steps import NormalizeRows, ScaleCols
from lazyomics.kernels.sums import row_totals
from lazyomics.pp.filter import filter_cells, filter_genes
from lazyomics.pp.filter_genes_dispersion import filter_genes_dispersion
from lazyomics.pp.log1p import log1p
from lazyomics.pp.matrix_choice import assign_matrix, choose_matrix
from lazyomics.pp.normalize import normalize_total
from lazyomics.pp.pca import pca
from lazyomics.pp.scale import scale

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["recipe_seurat", "recipe_weinreb17", "recipe_zheng17"]


def recipe_zheng17(
    adata: AnnData,
    *,
    n_top_genes: int = 1000,
    log: bool = True,
    plot: bool = False,
    copy: bool = False,
) -> AnnData | None:
    """Normalise, select genes and scale as Zheng et al. (2017) do.

    ``filter_genes(min_counts=1)``, ``normalize_total``, ``filter_genes_dispersion`` (flavour
    ``"cell_ranger"``), ``normalize_total``, ``log1p`` and ``scale``, one after the other.

    Parameters
    ----------
    adata
        Annotated data with counts, shape (n_obs, n_vars).
    n_top_genes
        Number of genes to keep.
    log
        Take logarithms.
    plot
        Not there yet.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy. Selects genes; sets X, ``obs["n_counts_all"]``, ``var["n_counts"]``,
    ``var["mean"]``, ``var["std"]`` and ``uns["log1p"]``.

    Raises
    ------
    UnsupportedError
        If a plot is asked for.

    Notes
    -----
    Passes over X: 5, and no copy of it: X stays lazy. Later reads hold its blocks densely.

    References
    ----------
    Zheng, G. X. Y. et al. (2017). Massively parallel digital transcriptional profiling of single
    cells. doi:10.1038/ncomms14049
    """
    check_annotated(adata, "pp.recipe_zheng17")
    _refuse_plot(plot, "pp.recipe_zheng17")
    adata = adata.copy() if copy else adata
    filter_genes(adata, min_counts=1)
    normalize_total(adata, key_added="n_counts_all")
    found: Any = filter_genes_dispersion(
        choose_matrix(adata), flavor="cell_ranger", n_top_genes=n_top_genes, log=False
    )
    adata._inplace_subset_var(found["gene_subset"])
    normalize_total(adata)
    if log:
        log1p(adata)
    scale(adata)
    return adata if copy else None


def recipe_seurat(
    adata: AnnData, *, log: bool = True, plot: bool = False, copy: bool = False
) -> AnnData | None:
    """Filter, normalise, select genes and scale as Satija et al. (2015) do.

    ``filter_cells(min_genes=200)``, ``filter_genes(min_cells=3)``, ``normalize_total`` to 10,000,
    ``filter_genes_dispersion``, ``log1p`` and ``scale(max_value=10)``, one after the other.

    Parameters
    ----------
    adata
        Annotated data with counts, shape (n_obs, n_vars).
    log
        Take logarithms.
    plot
        Not there yet.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy. Selects cells and genes; sets X, ``obs["n_genes"]``, ``var["n_cells"]``,
    ``var["mean"]``, ``var["std"]`` and ``uns["log1p"]``.

    Raises
    ------
    UnsupportedError
        If a plot is asked for.

    Notes
    -----
    Passes over X: 4, and no copy of it: X stays lazy. Later reads hold its blocks densely.

    References
    ----------
    Satija, R. et al. (2015). Spatial reconstruction of single-cell gene expression data.
    doi:10.1038/nbt.3192
    """
    check_annotated(adata, "pp.recipe_seurat")
    _refuse_plot(plot, "pp.recipe_seurat")
    adata = adata.copy() if copy else adata
    filter_cells(adata, min_genes=200)
    filter_genes(adata, min_cells=3)
    normalize_total(adata, target_sum=1e4)
    found: Any = filter_genes_dispersion(
        choose_matrix(adata), min_mean=0.0125, max_mean=3, min_disp=0.5, log=not log
    )
    adata._inplace_subset_var(found["gene_subset"])
    if log:
        log1p(adata)
    scale(adata, max_value=10)
    return adata if copy else None


def recipe_weinreb17(
    adata: AnnData,
    *,
    log: bool = True,
    mean_threshold: float = 0.01,
    cv_threshold: int = 2,
    n_pcs: int = 50,
    svd_solver: str = "randomized",
    random_state: Any = 0,
    copy: bool = False,
) -> AnnData | None:
    """Normalise, select genes and compute principal components as Weinreb et al. (2017) do.

    Cells are scaled to the same total of the genes that hold no more than 5 % of any cell; genes
    are kept by their mean and their coefficient of variation; the components are of z-scores.

    Parameters
    ----------
    adata
        Annotated data with counts, shape (n_obs, n_vars). Sparse ones, too, which scanpy refuses.
    log
        Take logarithms first.
    mean_threshold
        Genes with no larger mean are dropped.
    cv_threshold
        Genes whose standard deviation is no larger multiple of the mean are dropped.
    n_pcs, svd_solver, random_state
        As ``n_comps`` and so on of ``pp.pca``.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy. Selects genes; sets X (normalised), ``obsm["X_pca"]`` (float32, shape
    (n_obs, n_pcs)) and ``uns["log1p"]``.

    Notes
    -----
    Passes over X: 2, and those of ``pp.pca``. Peak memory: that of ``pp.pca``. Cells without counts
    of the genes that count stay as they are (scanpy makes them NaN).

    References
    ----------
    Weinreb, C., Wolock, S. & Klein, A. M. (2018). SPRING: a kinetic interface for visualizing
    high dimensional single-cell expression data. doi:10.1093/bioinformatics/btx792
    """
    check_annotated(adata, "pp.recipe_weinreb17")
    adata = adata.copy() if copy else adata
    if log:
        log1p(adata)
    x = choose_matrix(adata)
    (of_all,) = lazy.compute(lazy.fold_rows(x, _large_genes, max_fraction=0.05))
    target = of_all.total / max(x.shape[0], 1)
    normalized = lazy.map_rows(x, NormalizeRows(float(target), of_all.genes))
    (state,) = lazy.compute(lazy.fold_rows(normalized, moments))
    mean, std = state.mean[0], np.sqrt(state.variance(ddof=0)[0])
    kept = np.flatnonzero((mean > mean_threshold) & (std / (mean + 1e-4) > cv_threshold))
    assign_matrix(adata, normalized)
    adata._inplace_subset_var(kept)
    z_scores = lazy.map_rows(choose_matrix(adata), ScaleCols(std[kept] + 1e-4, mean[kept]))
    adata.obsm["X_pca"] = pca(
        z_scores, n_comps=n_pcs, svd_solver=svd_solver, random_state=random_state
    )
    return adata if copy else None


@dataclass(frozen=True, eq=False)
class _LargeGenes:
    """Genes with a large share of some cell, bool, shape (p,), and the total of all cells."""

    genes: NDArray[np.bool_]
    total: float

    def __add__(self, other: _LargeGenes) -> _LargeGenes:
        return _LargeGenes(self.genes | other.genes, self.total + other.total)


def _large_genes(block: Any, *, max_fraction: float) -> _LargeGenes:
    found = highly_expressed(block, max_fraction=max_fraction)
    return _LargeGenes(found.genes, float(row_totals(block).sum()))


def _refuse_plot(plot: bool, verb: str) -> None:
    if plot:
        raise UnsupportedError(f"{verb}: plot=True is not there yet; leave it out")
