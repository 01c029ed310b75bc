"""Highly variable genes by Pearson residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics import lazy
from lazyomics.container.choose import check_annotated
from lazyomics.errors import warn_user
from lazyomics.experimental.pp.normalize_pearson_residuals import check_dispersion
from lazyomics.kernels.pearson import count_totals, residual_sums
from lazyomics.names import choices
from lazyomics.pp.hvg import rank_genes
from lazyomics.pp.matrix_choice import choose_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData
    from lazyomics.kernels.moments import Moments
    from lazyomics.pp.matrix_choice import RowBlocks

__all__ = ["highly_variable_genes"]

OF_BATCHES = ("highly_variable_nbatches", "highly_variable_intersection")


def highly_variable_genes(
    adata: AnnData,
    *,
    theta: float = 100,
    clip: float | None = None,
    n_top_genes: int | None = None,
    batch_key: str | None = None,
    chunksize: int = 1000,
    flavor: str = "pearson_residuals",
    check_values: bool = True,
    layer: str | None = None,
    subset: bool = False,
    inplace: bool = True,
) -> pd.DataFrame | None:
    """Annotate the genes whose Pearson residuals vary most, eagerly.

    Parameters
    ----------
    adata
        Annotated data with counts, shape (n_obs, n_vars).
    theta
        Overdispersion, the same for all genes, above 0.
    clip
        Residuals are cut off at this size; by default the root of the number of cells; with
        batches, of those of the first one, for all of them, as by scanpy.
    n_top_genes
        How many genes to keep; has to be given.
    batch_key
        Column of ``obs``: find genes in each batch and prefer those that vary in most of them.
    chunksize
        Accepted for compatibility: no matrix of residuals is held.
    flavor
        Only ``"pearson_residuals"``.
    check_values
        Warn if values are not counts.
    layer
        Layer to use instead of X.
    subset
        Keep only the highly variable genes in ``adata``.
    inplace
        Write to ``var``; if False, return the table.

    Returns
    -------
    None: sets ``var["means"]``, ``var["variances"]``, ``var["residual_variances"]`` (float64),
    ``var["highly_variable_rank"]`` (float, NaN for genes that are not among the first), with
    ``batch_key`` ``var["highly_variable_nbatches"]`` (int64) and
    ``var["highly_variable_intersection"]`` (bool), ``var["highly_variable"]`` (bool), and
    ``uns["hvg"]``. If not ``inplace``, a data frame of these columns.

    Raises
    ------
    ValueError
        For another flavour, without ``n_top_genes``, if ``theta`` is not above 0, ``clip`` is
        negative, or cells have no batch.
    KeyError
        If ``obs`` has no such column.

    Warns
    -----
    UserWarning
        If values are not counts.

    Notes
    -----
    Passes over X: 2, one for the totals, one for the residuals, of which there is one for each cell
    and gene: 256 cells at a time are held densely. Peak memory: the blocks in flight and for each
    six numbers per gene and batch; one per cell. Empty cells count as cells without residuals.

    References
    ----------
    Lause, J., Berens, P. & Kobak, D. (2021). Analytic Pearson residuals for normalization of
    single-cell RNA-seq UMI data. doi:10.1186/s13059-021-02451-7

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> counts = np.random.default_rng(0).poisson(2, size=(50, 30))
    >>> counts[::2, 4] = 20
    >>> adata = lo.AnnData(counts.astype("float32"))
    >>> lo.experimental.pp.highly_variable_genes(adata, n_top_genes=1)
    >>> np.flatnonzero(adata.var["highly_variable"]).tolist()
    [4]
    """
    check_annotated(adata, "experimental.pp.highly_variable_genes")
    if flavor != "pearson_residuals":
        raise ValueError(
            "This is an experimental API and only `flavor=pearson_residuals` is available."
        )
    if n_top_genes is None:
        raise ValueError(
            "`pp.highly_variable_genes` requires the argument `n_top_genes`"
            " for `flavor='pearson_residuals'`"
        )
    check_dispersion(theta, clip)
    x, codes = choose_matrix(adata, layer=layer), _batches(adata, batch_key)
    frame = _found(x, codes, theta, clip, n_top_genes, check_values=check_values)
    frame.index = adata.var_names
    if batch_key is None:
        frame = frame.drop(columns=list(OF_BATCHES))
    if not inplace:
        return frame.loc[frame["highly_variable"]] if subset else frame
    adata.uns["hvg"] = {"flavor": "pearson_residuals", "computed_on": layer or "adata.X"}
    for name in frame:
        adata.var[name] = frame[name].to_numpy()
    if subset:
        adata._inplace_subset_var(frame["highly_variable"].to_numpy())
    return None


def _batches(adata: AnnData, batch_key: str | None) -> NDArray[np.int32]:
    if batch_key is None:
        return np.zeros(adata.n_obs, dtype=np.int32)
    if batch_key not in adata.obs.columns:
        raise KeyError(
            f"batch_key: obs has no column {batch_key!r}; {choices(batch_key, adata.obs.columns)}"
        )
    column = adata.obs[batch_key]
    if column.isna().any():
        raise ValueError(f"obs[{batch_key!r}] has missing values; leave these cells out")
    return np.unique(np.asarray(column), return_inverse=True)[1].astype(np.int32)


def _found(
    x: RowBlocks,
    codes: NDArray[np.int32],
    theta: float,
    clip: float | None,
    n_top_genes: int,
    *,
    check_values: bool,
) -> pd.DataFrame:
    fold = lazy.fold_rows(x, count_totals, rows=(codes,), check_values=check_values)
    (state,) = lazy.compute(fold)
    if not state.are_counts:
        warn_user(
            "`flavor='pearson_residuals'` expects raw count data, but non-integers were found."
        )
    moments: Moments = state.genes
    n = moments.n[:, None]
    # scanpy goes on with the bound of the first batch.
    bound = float(np.sqrt(n[0, 0]) if clip is None else clip)
    fold = lazy.fold_rows(
        x,
        residual_sums,
        rows=(codes, np.concatenate(state.cells)),
        genes=moments.mean * n,
        theta=float(theta),
        clip=bound,
    )
    (residuals,) = lazy.compute(fold)
    about = residuals.sums[:, :, 0] / n
    variances = residuals.sums[:, :, 1] / n - about**2
    ranked = rank_genes(variances, n_top_genes, batches_first=True)
    mean = (n * moments.mean).sum(axis=0) / n.sum()
    squares = (moments.m2 + n * (moments.mean - mean) ** 2).sum(axis=0)
    in_batches = ranked["highly_variable_nbatches"].to_numpy().astype(np.int64)
    columns: dict[str, Any] = {
        "means": mean,
        "variances": squares / max(int(n.sum()) - 1, 1),
        "residual_variances": variances.mean(axis=0),
        "highly_variable_rank": ranked["highly_variable_rank"].to_numpy(),
        "highly_variable_nbatches": in_batches,
        "highly_variable_intersection": in_batches == len(n),
        "highly_variable": ranked["highly_variable"].to_numpy(),
    }
    return pd.DataFrame(columns)
