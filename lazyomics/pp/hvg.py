"""Find the genes that vary more than their mean explains."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from lazyomics import graph
from lazyomics.errors import UnsupportedError
from lazyomics.kernels.moments import Moments, moments, moments_by_group
from lazyomics.kernels.steps import Log1p
from lazyomics.pp.hvg_batches import combine_batches, single_batch
from lazyomics.pp.hvg_dispersion import Cutoffs, Flavor
from lazyomics.pp.matrix_choice import RowBlocks, choose_matrix

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["highly_variable_genes"]

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
    n_bins: int = 20,
    flavor: str = "seurat",
    subset: bool = False,
    inplace: bool = True,
    batch_key: str | None = None,
    filter_unexpressed_genes: bool | None = None,
    check_values: bool = True,
) -> pd.DataFrame | None:
    """Annotate highly variable genes, eagerly.

    Expects logarithmised data. The dispersion (variance / mean) of each gene is compared with the
    genes of similar mean: their mean and standard deviation in ``n_bins`` bins (``"seurat"``), or
    their median and median absolute deviation between percentiles (``"cell_ranger"``).
    ``"seurat"`` takes the moments of ``expm1(x)``, with the base noted in ``uns["log1p"]``.

    Parameters
    ----------
    adata
        Annotated data, shape (n_obs, n_vars).
    layer
        Layer to use instead of X.
    n_top_genes
        How many genes to keep; the cutoffs are then ignored.
    min_disp, max_disp
        Bounds of the normalised dispersion.
    min_mean, max_mean
        Bounds of the mean.
    n_bins
        Number of bins for ``"seurat"``.
    flavor
        ``"seurat"`` or ``"cell_ranger"``.
    subset
        Keep only the highly variable genes in ``adata``.
    inplace
        Write to ``var``; if False, return the table.
    batch_key
        Column of ``obs``: find genes in each batch (among those expressed there) and prefer the
        ones that vary in most batches.
    filter_unexpressed_genes
        Leave genes that no cell expresses out of the bins; always so with ``batch_key``.
    check_values
        Has no effect for these flavours, as in scanpy.

    Returns
    -------
    None: sets ``var["highly_variable"]`` (bool), ``var["means"]``, ``var["dispersions"]``
    (float64), ``var["dispersions_norm"]`` (float32), with ``batch_key`` also
    ``var["highly_variable_nbatches"]`` (int64) and ``var["highly_variable_intersection"]``
    (bool), and ``uns["hvg"] = {"flavor": flavor}``. If not ``inplace``, a data frame of these
    columns.

    Raises
    ------
    UnsupportedError
        For flavours that need counts: ``"seurat_v3"``, ``"seurat_v3_paper"``.
    ValueError
        If means are not finite (not logarithmised?) or bins are not distinct.

    Notes
    -----
    Passes over X: 1, also with ``batch_key``. Peak memory: the blocks in flight and, for each of
    them, four numbers per gene and batch that occurs in it.

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
    >>> lo.pp.log1p(adata)
    >>> lo.pp.highly_variable_genes(adata, n_top_genes=5, n_bins=3)
    >>> int(adata.var["highly_variable"].sum())
    5
    """
    bounds = (min_disp, max_disp, min_mean, max_mean)
    cutoffs = _checked(flavor, n_top_genes, bounds)
    kind = cast("Flavor", flavor)
    x = choose_matrix(adata, layer=layer)
    unlog: float | None = None
    if flavor == "seurat":
        x, unlog = _unlogged(x, dict(adata.uns.get("log1p", {})).get("base"))
    if batch_key is None:
        (state,) = graph.compute(graph.fold_rows(x, moments, unlog=unlog))
        frame = single_batch(
            state,
            cutoffs,
            flavor=kind,
            n_bins=n_bins,
            expressed_only=bool(filter_unexpressed_genes),
        )
        frame.index = adata.var_names
    else:
        state, groups = _batch_moments(adata, x, batch_key, unlog)
        frames = [
            single_batch(state.at(k), cutoffs, flavor=kind, n_bins=n_bins, expressed_only=True)
            for k in range(groups)
        ]
        frame = combine_batches(frames, adata.var_names, cutoffs)
    if not inplace:
        return frame.loc[frame["highly_variable"]] if subset else frame
    _write(adata, frame, flavor, subset)
    return None


def _checked(
    flavor: str, n_top_genes: int | None, bounds: tuple[float, float, float, float]
) -> Cutoffs:
    if flavor in ("seurat_v3", "seurat_v3_paper"):
        raise UnsupportedError(
            f"flavor={flavor!r} is not supported; choose 'seurat' or 'cell_ranger' "
            "on logarithmised data"
        )
    if flavor not in ("seurat", "cell_ranger"):
        raise ValueError(f'`flavor` needs to be "seurat" or "cell_ranger", found {flavor!r}')
    if n_top_genes is not None and bounds != DEFAULT_BOUNDS:
        warnings.warn(
            "If you pass `n_top_genes`, all cutoffs are ignored.", UserWarning, stacklevel=3
        )
    if n_top_genes is not None and n_top_genes < 1:
        raise ValueError(f"n_top_genes must be at least 1, found {n_top_genes}")
    return Cutoffs(n_top_genes, *bounds)


def _unlogged(x: RowBlocks, base: float | None) -> tuple[RowBlocks, float | None]:
    """The matrix before its logarithm where that is known, or what undoes the logarithm."""
    below = graph.before_last_step(x, Log1p)
    if below is not None and below[1].base == base:
        return below[0], None
    return x, 1.0 if base is None else float(np.log(base))


def _batch_moments(
    adata: AnnData, x: RowBlocks, batch_key: str, unlog: float | None
) -> tuple[Moments, int]:
    """Moments of each batch, and how many batches there are."""
    if batch_key not in adata.obs.columns:
        raise KeyError(
            f"batch_key: obs has no column {batch_key!r}; there are {list(adata.obs.columns)}"
        )
    batches = pd.Categorical(adata.obs[batch_key]).remove_unused_categories()
    codes = np.asarray(batches.codes, dtype=np.int64)  # cells without a batch have code -1
    (state,) = graph.compute(graph.fold_rows(x, moments_by_group, rows=(codes,), unlog=unlog))
    return state, len(batches.categories)


def _write(adata: AnnData, frame: pd.DataFrame, flavor: str, subset: bool) -> None:
    adata.uns["hvg"] = {"flavor": flavor}
    columns: dict[str, Any] = {"highly_variable": bool, "means": None, "dispersions": None}
    columns["dispersions_norm"] = np.float32
    for name in ("highly_variable_nbatches", "highly_variable_intersection"):
        if name in frame:
            columns[name] = None
    for name, dtype in columns.items():
        values = frame[name].to_numpy()
        adata.var[name] = values if dtype is None else values.astype(dtype)
    if subset:
        adata._inplace_subset_var(frame["highly_variable"].to_numpy())
