"""Quality-control metrics of cells and genes, in one pass."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics import lazy
from lazyomics.blocks.block import SparseBlock
from lazyomics.container.choose import check_annotated
from lazyomics.kernels.qc import GeneTotals, qc_state
from lazyomics.names import choices
from lazyomics.pp.matrix_choice import choose_matrix, count_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = ["calculate_qc_metrics"]


def calculate_qc_metrics(
    adata: AnnData,
    *,
    expr_type: str = "counts",
    var_type: str = "genes",
    qc_vars: Collection[str] | str = (),
    percent_top: Collection[int] | None = (50, 100, 200, 500),
    layer: str | None = None,
    use_raw: bool = False,
    inplace: bool = False,
    log1p: bool = True,
    parallel: bool | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Calculate quality-control metrics of cells and genes, eagerly.

    Parameters
    ----------
    adata
        Annotated data with counts, shape (n_obs, n_vars).
    expr_type, var_type
        Names used in the columns, ``{expr_type}`` and ``{var_type}`` below.
    qc_vars
        Boolean columns of ``var``, each a set of genes to total, e.g. mitochondrial ones.
    percent_top
        Numbers of top genes of each cell to give the share of; None for none.
    layer
        Layer to use instead of X.
    use_raw
        Use ``raw.X`` instead of X.
    inplace
        Add the columns to ``obs`` and ``var``; by default they are returned.
    log1p
        Also give the logarithms.
    parallel
        Has no effect, as in scanpy.

    Returns
    -------
    None if ``inplace``, otherwise two data frames.

    Of cells (n_obs): ``n_{var_type}_by_{expr_type}``, ``total_{expr_type}``,
    ``pct_{expr_type}_in_top_{n}_{var_type}`` (percent), and for each of ``qc_vars``
    ``total_{expr_type}_{qc_var}`` and ``pct_{expr_type}_{qc_var}`` (percent).
    Of genes (n_vars): ``n_cells_by_{expr_type}``, ``mean_{expr_type}``,
    ``pct_dropout_by_{expr_type}`` (percent), ``total_{expr_type}``.
    With ``log1p`` also ``log1p_`` of the numbers, totals and means.

    Raises
    ------
    IndexError
        If ``percent_top`` holds a number below 1 or above n_vars.
    KeyError, ValueError
        If a column of ``qc_vars`` does not exist or is not boolean.

    Notes
    -----
    Passes over X: 1. Peak memory: the blocks in flight, and three numbers per gene for each of
    them.

    References
    ----------
    McCarthy, D. J., Campbell, K. R., Lun, A. T. L. & Wills, Q. F. (2017). Scater: pre-processing,
    quality control, normalization and visualization of single-cell RNA-seq data in R.
    doi:10.1093/bioinformatics/btw777

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[1, 3], [2, 0]]))
    >>> cells, genes = lo.pp.calculate_qc_metrics(adata, percent_top=(1,), log1p=False)
    >>> cells["pct_counts_in_top_1_genes"].tolist()
    [75.0, 100.0]
    >>> genes["n_cells_by_counts"].tolist()
    [2, 1]
    """
    check_annotated(adata, "pp.calculate_qc_metrics")
    if parallel is not None:
        warnings.warn(
            "Argument `parallel` is deprecated, and currently has no effect.",
            FutureWarning,
            stacklevel=2,
        )
    sets = [qc_vars] if isinstance(qc_vars, str) else list(qc_vars)
    x = choose_matrix(adata, layer=layer, use_raw=use_raw)
    var = adata.raw.var if use_raw and adata.raw is not None else adata.var
    tops = _checked_tops(percent_top, x.shape[1])
    masks = _masks(var, sets)
    (state,) = lazy.compute(lazy.fold_rows(x, qc_state, masks=masks, tops=tops))
    numbers, totals = np.concatenate(state.cells), state.genes
    names = _Names(expr_type, var_type, log1p, np.dtype(x.dtype), isinstance(x._meta, SparseBlock))
    cells = _cell_frame(numbers, adata.obs_names, names, tops, sets)
    genes = _gene_frame(totals, var.index, names)
    if not inplace:
        return cells, genes
    adata.obs[cells.columns] = cells
    if use_raw:
        genes = genes.reindex(adata.var_names)
    adata.var[genes.columns] = genes
    return None


@dataclass(frozen=True)
class _Names:
    """How columns are called and typed."""

    expr: str
    var: str
    log1p: bool
    dtype: np.dtype[Any]
    sparse: bool

    def add(self, frame: dict[str, Any], name: str, values: Any, *, log: bool = True) -> None:
        frame[name] = values
        if log and self.log1p:
            frame[f"log1p_{name}"] = np.log1p(values)


def _checked_tops(percent_top: Collection[int] | None, n_vars: int) -> tuple[int, ...]:
    tops = tuple(sorted(int(n) for n in percent_top or ()))
    if tops and not (tops[0] >= 1 and tops[-1] <= n_vars):
        raise IndexError(
            f"Positions outside range of features: percent_top is {tops}, but there are "
            f"{n_vars} genes. Give smaller numbers, or percent_top=None."
        )
    return tops


def _masks(var: pd.DataFrame, sets: list[str]) -> NDArray[np.bool_]:
    masks = np.zeros((len(sets), len(var)), dtype=np.bool_)
    for k, name in enumerate(sets):
        if name not in var.columns:
            raise KeyError(f"qc_vars: var has no column {name!r}; {choices(name, var.columns)}")
        values = var[name].to_numpy()
        if values.dtype != bool:
            raise ValueError(f"qc_vars: var[{name!r}] must be boolean, found {var[name].dtype}")
        masks[k] = values
    return masks


def _cell_frame(
    numbers: NDArray[np.float64],
    index: pd.Index[Any],
    names: _Names,
    tops: tuple[int, ...],
    sets: list[str],
) -> pd.DataFrame:
    dtype = count_dtype(names.dtype)
    columns: dict[str, Any] = {}
    # scipy counts stored values in 32 bits, numpy in 64: take scanpy's dtypes as they are
    counted = numbers[:, 0].astype(np.int32 if names.sparse else np.int64)
    names.add(columns, f"n_{names.var}_by_{names.expr}", counted)
    total = numbers[:, 1].astype(dtype)
    names.add(columns, f"total_{names.expr}", total)
    with np.errstate(invalid="ignore", divide="ignore"):  # cells without counts: NaN
        for k, n in enumerate(tops):
            share = numbers[:, 2 + k] / total * 100
            columns[f"pct_{names.expr}_in_top_{n}_{names.var}"] = share
        for k, name in enumerate(sets):
            inside = numbers[:, 2 + len(tops) + k].astype(dtype)
            names.add(columns, f"total_{names.expr}_{name}", inside)
            columns[f"pct_{names.expr}_{name}"] = inside / total * 100
    return pd.DataFrame(columns, index=index)


def _gene_frame(totals: GeneTotals, index: pd.Index[Any], names: _Names) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    with np.errstate(invalid="ignore", divide="ignore"):  # no cells: NaN
        names.add(columns, f"n_cells_by_{names.expr}", totals.nonzero, log=False)
        names.add(columns, f"mean_{names.expr}", totals.total / np.float64(totals.n))
        dropout = (1 - totals.nonzero / np.float64(totals.n)) * 100
        columns[f"pct_dropout_by_{names.expr}"] = dropout
        total = totals.total.astype(count_dtype(names.dtype))
        names.add(columns, f"total_{names.expr}", total)
    return pd.DataFrame(columns, index=index)
