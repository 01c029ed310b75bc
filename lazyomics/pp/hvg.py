"""Highly variable genes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import lazy, logging
from lazyomics.container.categories import categorise
from lazyomics.container.choose import check_annotated
from lazyomics.errors import warn_user
from lazyomics.kernels.moments import Moments, clipped_moments, moments, moments_by_group
from lazyomics.kernels.steps import Log1p
from lazyomics.names import choices
from lazyomics.pp.hvg_dispersion import (
    Cutoffs,
    Flavor,
    Trend,
    dispersions,
    mean_and_variance,
    normalized_dispersions,
    select_genes,
)
from lazyomics.pp.matrix_choice import RowBlocks, choose_matrix

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = [
    "COUNT_FLAVORS",
    "combine_batches",
    "genes_of_counts",
    "genes_of_logged",
    "highly_variable_genes",
    "rank_genes",
    "single_batch",
]


def single_batch(
    state: Moments, cutoffs: Cutoffs, *, flavor: Flavor, n_bins: int, expressed_only: bool
) -> pd.DataFrame:
    """Highly variable genes from the moments of one group of cells.

    Parameters
    ----------
    state
        Moments of a single group.
    cutoffs, flavor, n_bins
        As in ``highly_variable_genes``.
    expressed_only
        Leave genes that no cell expresses out of the bins; they get zeros.

    Returns
    -------
    Data frame with columns ``means``, ``dispersions``, ``mean_bin``, ``dispersions_norm`` and
    ``highly_variable``, a row per gene.
    """
    mean, variance = state.mean[0], state.variance()[0]
    used = state.positive[0] > 0 if expressed_only else np.ones(len(mean), dtype=np.bool_)
    if not used.any():
        raise ValueError("no gene is expressed in these cells; remove empty batches first")
    frame = dispersions(mean[used], variance[used], flavor)
    frame = normalized_dispersions(frame, flavor, n_bins)
    chosen = select_genes(frame["means"].to_numpy(), frame["dispersions_norm"].to_numpy(), cutoffs)
    frame = frame.assign(highly_variable=chosen)
    if used.all():
        return frame
    frame.index = pd.Index(np.flatnonzero(used))
    frame = frame.reindex(np.arange(len(mean)))
    numbers = ["means", "dispersions", "dispersions_norm"]
    frame.loc[~used, numbers] = 0.0
    return frame.assign(highly_variable=frame["highly_variable"].eq(True).to_numpy(dtype=bool))


def combine_batches(
    frames: list[pd.DataFrame], var_names: pd.Index[Any], cutoffs: Cutoffs
) -> pd.DataFrame:
    """Average over batches and choose genes by the number of batches they vary in.

    Returns
    -------
    Data frame with columns ``means``, ``dispersions``, ``dispersions_norm``,
    ``highly_variable``, ``highly_variable_nbatches`` and ``highly_variable_intersection``, a row
    per gene in the order of ``var_names``.
    """
    numbers = ["means", "dispersions", "dispersions_norm"]
    stacked = pd.concat([frame[numbers] for frame in frames])
    frame = stacked.groupby(level=0).mean()
    in_batches = np.sum([frame_["highly_variable"].to_numpy() for frame_ in frames], axis=0)
    frame["highly_variable"] = False
    frame["highly_variable_nbatches"] = in_batches.astype(np.int64)
    frame["highly_variable_intersection"] = in_batches == len(frames)
    if cutoffs.n_top_genes is None:
        frame["dispersions_norm"] = frame["dispersions_norm"].fillna(0)
        frame["highly_variable"] = cutoffs.in_bounds(
            frame["means"].to_numpy(), frame["dispersions_norm"].to_numpy()
        )
    else:
        # ties are broken by name
        by_name = np.argsort(var_names.to_numpy().astype(str), kind="stable")
        order = frame.iloc[by_name].sort_values(
            ["highly_variable_nbatches", "dispersions_norm"],
            ascending=False,
            na_position="last",
        )
        frame.loc[order.index[: cutoffs.n_top_genes], "highly_variable"] = True
    frame.index = var_names
    return frame


def genes_of_logged(
    x: RowBlocks,
    batches: pd.Categorical | None,
    var_names: pd.Index,
    *,
    flavor: Flavor,
    base: float | None,
    cutoffs: Cutoffs,
    n_bins: int,
    expressed_only: bool,
) -> pd.DataFrame:
    """Choose genes by their dispersion, relative to genes of the same mean.

    Parameters
    ----------
    x
        Logarithms, shape (n, p).
    batches
        Of each cell, shape (n,), every category used; None if they are no matter.
    var_names
        Names of the genes, which break ties between batches.
    flavor, cutoffs, n_bins
        As in ``highly_variable_genes``.
    base
        Of the logarithm; None is e.
    expressed_only
        Leave genes that no cell expresses out of the bins; always so with batches.

    Returns
    -------
    Data frame with columns ``means``, ``dispersions``, ``dispersions_norm`` and
    ``highly_variable``, with batches also ``highly_variable_nbatches`` and
    ``highly_variable_intersection``, a row per gene.

    Notes
    -----
    Passes over x: 1.
    """
    unlog: float | None = None
    if flavor == "seurat":
        x, unlog = _unlogged(x, base)
    if batches is None:
        (state,) = lazy.compute(lazy.fold_rows(x, moments, unlog=unlog))
        frame = single_batch(
            state, cutoffs, flavor=flavor, n_bins=n_bins, expressed_only=expressed_only
        )
        frame.index = var_names
        return frame
    codes = np.asarray(batches.codes, dtype=np.int64)  # cells without a batch have code -1
    (state,) = lazy.compute(lazy.fold_rows(x, moments_by_group, rows=(codes,), unlog=unlog))
    frames = [
        single_batch(state.at(k), cutoffs, flavor=flavor, n_bins=n_bins, expressed_only=True)
        for k in range(len(batches.categories))
    ]
    return combine_batches(frames, var_names, cutoffs)


def _unlogged(x: RowBlocks, base: float | None) -> tuple[RowBlocks, float | None]:
    """The matrix before its logarithm where that is known, or what undoes the logarithm."""
    below = lazy.before_last_step(x, Log1p)
    if below is not None and below[1].base == base:
        return below[0], None
    return x, 1.0 if base is None else float(np.log(base))


def rank_genes(
    variances: NDArray[np.float64], n_top_genes: int, *, batches_first: bool
) -> pd.DataFrame:
    """Choose the genes whose normalised variance is among the largest of the batches.

    Parameters
    ----------
    variances
        Normalised variance of each gene in each batch, shape (batches, p).
    n_top_genes
        How many genes to choose; also how many of each batch count.
    batches_first
        Order genes by the number of batches that they are among the first of, then by the median
        of their ranks there; otherwise the other way around.

    Returns
    -------
    Data frame with columns ``highly_variable_nbatches``, ``highly_variable_rank`` (NaN if among the
    first of no batch), ``variances_norm`` and ``highly_variable``, a row per gene.

    Examples
    --------
    >>> import numpy as np
    >>> rank_genes(np.array([[1.0, 3.0, 2.0]]), 2, batches_first=False)["highly_variable"].tolist()
    [False, True, True]
    """
    # Of genes with the same variance NumPy says which comes first, as it does for scanpy.
    order = np.argsort(-variances, axis=1)
    ranks = np.argsort(order, axis=1).astype(np.float32)
    among_first = ranks < n_top_genes
    median = np.ma.median(np.ma.masked_array(ranks, ~among_first), axis=0)
    frame = pd.DataFrame(
        {
            "highly_variable_nbatches": among_first.sum(axis=0),
            "highly_variable_rank": np.ma.filled(median, np.nan),
            "variances_norm": variances.mean(axis=0),
        }
    )
    by = [("highly_variable_rank", True), ("highly_variable_nbatches", False)]
    names, ascending = zip(*(by[::-1] if batches_first else by), strict=True)
    chosen = frame.sort_values(list(names), ascending=list(ascending), na_position="last")
    return frame.assign(highly_variable=frame.index.isin(chosen.index[:n_top_genes]))


COUNT_FLAVORS = ("seurat_v3", "seurat_v3_paper")


def genes_of_counts(
    x: RowBlocks,
    batches: pd.Categorical | None,
    var_names: pd.Index,
    *,
    flavor: str,
    n_top_genes: int,
    span: float,
    check_values: bool,
) -> pd.DataFrame:
    """Rank genes by their variance, relative to what is expected of their mean.

    Parameters
    ----------
    x
        Counts, shape (n, p).
    batches
        Of each cell, shape (n,), every category used; None if they are no matter. Cells without a
        batch count in ``means`` and ``variances`` alone.
    var_names
        Names of the genes.
    flavor
        One of ``COUNT_FLAVORS``.
    n_top_genes, span, check_values
        As in ``highly_variable_genes``.

    Returns
    -------
    Data frame with columns ``means``, ``variances``, ``gene_name``, ``highly_variable_rank``,
    ``variances_norm`` and ``highly_variable``, with batches also ``highly_variable_nbatches``, a
    row per gene.

    Notes
    -----
    Passes over x: 2.
    """
    names, codes = ["of all cells"], np.zeros(x.shape[0], dtype=np.int64)
    if batches is not None:
        names, codes = [repr(b) for b in batches.categories], batches.codes.astype(np.int64)
        codes[codes < 0] = len(names)  # cells without a batch, in one more
    n = np.bincount(codes, minlength=len(names))
    (state,) = lazy.compute(lazy.fold_rows(x, clipped_moments, rows=(codes,), check=True))
    if check_values and not state.are_counts:
        warn_user(f"flavor={flavor!r} expects raw count data, but non-integers were found.")
    powers = state.of_all(len(n))
    moments = partial(mean_and_variance, are_counts=state.are_counts)
    trends = [
        Trend.of(int(n[k]), *moments(powers[k], int(n[k])), span, name)
        for k, name in enumerate(names)
    ]
    mean, variance = moments(powers.sum(axis=0), x.shape[0])
    bounds = np.stack([t.bounds for t in trends] + [np.full_like(mean, np.inf)])
    (clipped,) = lazy.compute(lazy.fold_rows(x, clipped_moments, rows=(codes,), bounds=bounds))
    clipped_powers = clipped.of_all(len(n))[: len(names)]
    variances = [t.normalized_variance(p) for t, p in zip(trends, clipped_powers, strict=True)]
    ranked = rank_genes(np.stack(variances), n_top_genes, batches_first=flavor != "seurat_v3")
    frame = pd.DataFrame({"means": mean, "variances": variance})
    frame = frame.assign(gene_name=var_names, **ranked).set_axis(var_names)
    return frame.drop(columns="highly_variable_nbatches") if batches is None else frame


FLAVORS = ("seurat", "cell_ranger", *COUNT_FLAVORS)
# Said of logged values, and of counts.
ADDED = {
    False: ("highly_variable", "means", "dispersions", "dispersions_norm"),
    True: ("highly_variable", "highly_variable_rank", "means", "variances", "variances_norm"),
}
WRITTEN = (  # to var, in this order
    "highly_variable",
    "highly_variable_rank",
    "means",
    "variances",
    "variances_norm",
    "dispersions",
    "dispersions_norm",
    "highly_variable_nbatches",
    "highly_variable_intersection",
)
DEFAULT_BOUNDS = (0.5, np.inf, 0.0125, 3)  # min_disp, max_disp, min_mean, max_mean


def highly_variable_genes(
    adata: AnnData,
    *,
    layer: str | None = None,
    n_top_genes: int | None = None,
    min_disp: float = 0.5,
    max_disp: float = np.inf,
    min_mean: float = 0.0125,
    max_mean: float = 3,
    span: float = 0.3,
    n_bins: int = 20,
    flavor: str = "seurat",
    subset: bool = False,
    inplace: bool = True,
    batch_key: str | None = None,
    filter_unexpressed_genes: bool | None = None,
    check_values: bool = True,
) -> pd.DataFrame | None:
    """Annotate highly variable genes, eagerly.

    ``"seurat"`` and ``"cell_ranger"`` expect logarithmised data. The dispersion (variance / mean)
    of each gene is compared with the genes of similar mean: their mean and standard deviation in
    ``n_bins`` bins (``"seurat"``), or their median and median absolute deviation between
    percentiles (``"cell_ranger"``). ``"seurat"`` takes the moments of ``expm1(x)``, with the base
    noted in ``uns["log1p"]``.

    ``"seurat_v3"`` and ``"seurat_v3_paper"`` expect counts. Values are divided by the standard
    deviation that a local regression (loess) expects of a gene with this mean, and cut off at the
    root of the number of cells; genes are ranked by the variance of these.

    Parameters
    ----------
    adata
        Annotated data, shape (n_obs, n_vars).
    layer
        Layer to use instead of X.
    n_top_genes
        How many genes to keep; the cutoffs are then ignored. Flavours that expect counts keep 2,000
        unless told otherwise, and know no cutoffs.
    min_disp, max_disp
        Bounds of the normalised dispersion.
    min_mean, max_mean
        Bounds of the mean.
    span
        Share of the genes that each local fit uses; for flavours that expect counts.
    n_bins
        Number of bins for ``"seurat"``.
    flavor
        ``"seurat"``, ``"cell_ranger"``, ``"seurat_v3"`` or ``"seurat_v3_paper"``; the last two need
        ``lazyomics[skmisc]``.
    subset
        Keep only the highly variable genes in ``adata``.
    inplace
        Write to ``var``; if False, return the table.
    batch_key
        Column of ``obs``: find genes in each batch (among those expressed there) and prefer the
        ones that vary in most batches. ``"seurat_v3"`` prefers those whose median rank in the
        batches, where they are among the first ``n_top_genes``, is best.
    filter_unexpressed_genes
        Leave genes that no cell expresses out of the bins; always so with ``batch_key``.
    check_values
        Warn if values are not counts, for flavours that expect them.

    Returns
    -------
    None: sets ``var["highly_variable"]`` (bool), ``var["means"]``, ``var["dispersions"]``
    (float64), ``var["dispersions_norm"]`` (float32), with ``batch_key`` also
    ``var["highly_variable_nbatches"]`` (int64) and ``var["highly_variable_intersection"]``
    (bool), and ``uns["hvg"] = {"flavor": flavor}``. If not ``inplace``, a data frame of these
    columns. Flavours that expect counts set ``var["highly_variable"]``,
    ``var["highly_variable_rank"]`` (NaN for genes that are not among the first), ``var["means"]``,
    ``var["variances"]``, ``var["variances_norm"]`` (float64), with ``batch_key`` also
    ``var["highly_variable_nbatches"]``.

    Raises
    ------
    ValueError
        If means are not finite (not logarithmised?) or bins are not distinct; if the local
        regression fails, naming the batch.
    MissingDependencyError
        If scikit-misc is not installed and a flavour that expects counts is asked for.

    Notes
    -----
    Passes over X: 1, also with ``batch_key``; 2 for flavours that expect counts. Peak memory: the
    blocks in flight and, for each of them, four numbers per gene and batch that occurs in it; six
    for flavours that expect counts, and one more for all. ``lazyomics.memory`` does not bound
    these.

    With batches, scanpy 1.12 rounds the moments of ``"seurat_v3"`` otherwise than 1.11 and
    lazyomics, which the local regression makes 0.1 % of: 1,999 of 2,000 genes of PBMC 3k are the
    same.

    References
    ----------
    Satija, R. et al. (2015). Spatial reconstruction of single-cell gene expression data.
    doi:10.1038/nbt.3192

    Zheng, G. X. Y. et al. (2017). Massively parallel digital transcriptional profiling of single
    cells. doi:10.1038/ncomms14049

    Stuart, T. et al. (2019). Comprehensive integration of single-cell data.
    doi:10.1016/j.cell.2019.05.031

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> counts = np.random.default_rng(0).poisson(np.arange(1, 31), size=(50, 30))
    >>> adata = lo.AnnData(counts.astype("float32"))
    >>> lo.pp.log1p(adata)
    >>> lo.pp.highly_variable_genes(adata, n_top_genes=5, n_bins=3)
    >>> int(adata.var["highly_variable"].sum())
    5
    """
    check_annotated(adata, "pp.highly_variable_genes")
    begun = logging.info("extracting highly variable genes")
    bounds = (min_disp, max_disp, min_mean, max_mean)
    _check(flavor, n_top_genes, bounds)
    x, batches = choose_matrix(adata, layer=layer), _batches(adata, batch_key)
    if flavor in COUNT_FLAVORS:
        frame = genes_of_counts(
            x,
            batches,
            adata.var_names,
            flavor=flavor,
            n_top_genes=2000 if n_top_genes is None else n_top_genes,
            span=span,
            check_values=check_values,
        )
    else:
        frame = genes_of_logged(
            x,
            batches,
            adata.var_names,
            flavor=cast("Flavor", flavor),
            base=dict(adata.uns.get("log1p", {})).get("base"),
            cutoffs=Cutoffs(n_top_genes, *bounds),
            n_bins=n_bins,
            expressed_only=bool(filter_unexpressed_genes),
        )
        logging.info("    finished", time=begun)
    if not inplace:
        return frame.loc[frame["highly_variable"]] if subset else frame
    _write(adata, frame, flavor, subset)
    return None


def _check(flavor: str, n_top_genes: int | None, bounds: tuple[float, float, float, float]) -> None:
    if flavor not in FLAVORS:
        raise ValueError(f"`flavor` needs to be one of {FLAVORS}, found {flavor!r}")
    if n_top_genes is not None and bounds != DEFAULT_BOUNDS:
        warn_user("If you pass `n_top_genes`, all cutoffs are ignored.")
    if n_top_genes is not None and n_top_genes < 1:
        raise ValueError(f"n_top_genes must be at least 1, found {n_top_genes}")


def _batches(adata: AnnData, batch_key: str | None) -> pd.Categorical | None:
    """The batch of each cell, every category used."""
    if batch_key is None:
        return None
    if batch_key not in adata.obs.columns:
        raise KeyError(
            f"batch_key: obs has no column {batch_key!r}; {choices(batch_key, adata.obs.columns)}"
        )
    categorise(adata.obs, [batch_key])
    return pd.Categorical(adata.obs[batch_key]).remove_unused_categories()


def _write(adata: AnnData, frame: pd.DataFrame, flavor: str, subset: bool) -> None:
    adata.uns["hvg"] = {"flavor": flavor}
    added = [
        f"    {name!r}, {'boolean' if name == 'highly_variable' else 'float'} vector (adata.var)"
        for name in ADDED[flavor in COUNT_FLAVORS]
    ]
    logging.hint("\n".join(["added", *added]))
    for name in WRITTEN:
        if name in frame:
            values = frame[name].to_numpy()
            adata.var[name] = values.astype(np.float32) if name == "dispersions_norm" else values
    if subset:
        adata._inplace_subset_var(frame["highly_variable"].to_numpy())
