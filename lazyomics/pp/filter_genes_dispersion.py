"""Highly variable genes, as older scripts select them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from lazyomics import lazy
from lazyomics.container.choose import bare_matrix, is_annotated
from lazyomics.errors import warn_user
from lazyomics.kernels.moments import moments
from lazyomics.pp.hvg_dispersion import Cutoffs, median_absolute_deviation
from lazyomics.pp.matrix_choice import choose_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = ["filter_genes_dispersion"]

FLAVORS = ("seurat", "cell_ranger")


def filter_genes_dispersion(
    data: AnnData | Any,
    *,
    flavor: Literal["seurat", "cell_ranger"] = "seurat",
    min_disp: float | None = None,
    max_disp: float | None = None,
    min_mean: float | None = None,
    max_mean: float | None = None,
    n_bins: int = 20,
    n_top_genes: int | None = None,
    log: bool = True,
    subset: bool = True,
    copy: bool = False,
) -> AnnData | np.recarray[Any, Any] | None:
    """Select genes by their dispersion, eagerly; ``pp.highly_variable_genes`` succeeds it.

    Parameters
    ----------
    data
        Annotated data, shape (n_obs, n_vars), not logarithmised; or a numpy, scipy or dask matrix.
    flavor
        ``"seurat"`` compares a gene with the mean and the standard deviation of its bin,
        ``"cell_ranger"`` with the median and the median absolute deviation.
    min_disp, max_disp
        Bounds of the normalised dispersion, 0.5 and infinity by default.
    min_mean, max_mean
        Bounds of the mean, 0.0125 and 3 by default.
    n_bins
        Number of bins for ``"seurat"``. (scanpy takes 20 whatever is given, for annotated data.)
    n_top_genes
        How many genes to keep; the bounds are then ignored.
    log
        Take the logarithm of dispersions and of means + 1.
    subset
        Keep only the selected genes; otherwise write ``var["highly_variable"]``.
    copy
        Return a changed copy and leave ``data`` as it is.

    Returns
    -------
    None, or the copy. Sets ``var["means"]``, ``var["dispersions"]`` and ``var["dispersions_norm"]``
    (float32). For a matrix: a record array with ``gene_subset`` (bool) and these, shape (n_vars,).

    Raises
    ------
    ValueError
        If the flavour is unknown, or the edges of bins are not distinct.

    Warns
    -----
    UserWarning
        If bounds are given with ``n_top_genes``.

    Notes
    -----
    Passes over X: 1. Peak memory: the blocks in flight and three numbers per gene for each.

    References
    ----------
    Satija, R. et al. (2015). Spatial reconstruction of single-cell gene expression data.
    doi:10.1038/nbt.3192

    Zheng, G. X. Y. et al. (2017). Massively parallel digital transcriptional profiling of single
    cells. doi:10.1038/ncomms14049

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> counts = np.random.default_rng(0).poisson(np.arange(1, 31), size=(50, 30))
    >>> adata = lo.AnnData(counts.astype("float32"))
    >>> lo.pp.filter_genes_dispersion(adata, n_top_genes=5, n_bins=3)
    >>> adata.n_vars
    5
    """
    if flavor not in FLAVORS:
        raise ValueError(f'`flavor` needs to be "seurat" or "cell_ranger", found {flavor!r}')
    if n_top_genes is not None and (min_disp, max_disp, min_mean, max_mean) != (None,) * 4:
        warn_user("If you pass `n_top_genes`, all cutoffs are ignored.")
    cutoffs = Cutoffs(
        n_top_genes,
        0.5 if min_disp is None else min_disp,
        np.inf if max_disp is None else max_disp,
        0.0125 if min_mean is None else min_mean,
        3 if max_mean is None else max_mean,
    )
    if not is_annotated(data):
        x = bare_matrix(data, "pp.filter_genes_dispersion")
        return _found(x, flavor, n_bins, cutoffs, log=log)
    adata = data.copy() if copy else data
    found = _found(choose_matrix(adata), flavor, n_bins, cutoffs, log=log)
    for name in ("means", "dispersions", "dispersions_norm"):
        adata.var[name] = found[name]
    if subset:
        adata._inplace_subset_var(found["gene_subset"])
    else:
        adata.var["highly_variable"] = found["gene_subset"]
    return adata if copy else None


def _found(
    x: Any, flavor: str, n_bins: int, cutoffs: Cutoffs, *, log: bool
) -> np.recarray[Any, Any]:
    (state,) = lazy.compute(lazy.fold_rows(x, moments))
    mean, variance = state.mean[0], state.variance()[0]
    mean = np.where(mean == 0, 1e-12, mean)
    dispersion = variance / mean
    if log:
        with np.errstate(invalid="ignore"):
            dispersion = np.log(np.where(dispersion == 0, np.nan, dispersion))
        mean = np.log1p(mean)
    norm = _normalized(pd.Series(mean), pd.Series(dispersion), flavor, n_bins)
    chosen = _chosen(mean, norm, cutoffs)
    columns = ("means", "dispersions", "dispersions_norm")
    types: Any = [("gene_subset", bool), *((name, "float32") for name in columns)]
    return np.rec.fromarrays((chosen, mean, dispersion, norm), dtype=types)


def _normalized(
    mean: pd.Series[Any], dispersion: pd.Series[Any], flavor: str, n_bins: int
) -> NDArray[np.float64]:
    bins: Any = n_bins
    if flavor == "cell_ranger":
        bins = np.r_[-np.inf, np.percentile(mean, np.arange(10, 105, 5)), np.inf]
    of_gene = pd.cut(mean, bins=bins)
    grouped = dispersion.groupby(of_gene, observed=False)
    if flavor == "seurat":
        centre, spread = grouped.mean(), grouped.std(ddof=1)
        # A single gene in a bin has no spread: its normalised dispersion becomes 1.
        alone = spread.isna()
        spread, centre = spread.mask(alone, centre), centre.mask(alone, 0.0)
    else:
        centre = grouped.median()
        spread = grouped.agg(median_absolute_deviation)
    codes = of_gene.cat.codes.to_numpy()
    at, by = (np.append(s.to_numpy(dtype=np.float64), np.nan)[codes] for s in (centre, spread))
    with np.errstate(invalid="ignore", divide="ignore"):
        norm = (dispersion.to_numpy() - at) / by
    return np.abs(norm) if flavor == "cell_ranger" else norm


def _chosen(
    mean: NDArray[np.float64], norm: NDArray[np.float64], cutoffs: Cutoffs
) -> NDArray[np.bool_]:
    rounded = norm.astype(np.float32)
    if cutoffs.n_top_genes is None:
        return cutoffs.in_bounds(mean, np.nan_to_num(rounded, posinf=np.inf, neginf=-np.inf))
    known = np.sort(rounded[~np.isnan(rounded)])[::-1]
    if len(known) == 0:
        return np.zeros(len(mean), dtype=np.bool_)
    # The bound is rounded, what is compared with it is not: as by scanpy.
    return np.asarray(norm >= known[min(cutoffs.n_top_genes, len(known)) - 1])
