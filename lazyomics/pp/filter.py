"""Filters of cells and genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import lazy, logging
from lazyomics.container.choose import bare_matrix, is_annotated
from lazyomics.kernels.qc import gene_totals
from lazyomics.kernels.sums import row_positives
from lazyomics.pp.matrix_choice import choose_matrix, count_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData
    from lazyomics.pp.matrix_choice import RowBlocks

__all__ = [
    "filter_cells",
    "filter_genes",
    "row_cache_budget",
]


def filter_cells(
    data: AnnData | Any,
    *,
    min_counts: float | None = None,
    min_genes: int | None = None,
    max_counts: float | None = None,
    max_genes: int | None = None,
    inplace: bool = True,
    copy: bool = False,
) -> AnnData | tuple[NDArray[np.bool_], NDArray[Any]] | None:
    """Keep cells by their counts or by the number of genes they express.

    Give exactly one of the four limits.

    Parameters
    ----------
    data
        Annotated data, shape (n_obs, n_vars); or a numpy, scipy or dask matrix, for which the
        mask and the numbers are returned.
    min_counts, max_counts
        Least or largest total of a cell that is kept.
    min_genes, max_genes
        Least or largest number of genes above zero of a cell that is kept.
    inplace
        Change ``data``; if False, return the mask and the numbers instead.
    copy
        Return a changed copy and leave ``data`` as it is.

    Returns
    -------
    None or the copy: sets ``obs["n_counts"]`` (dtype of the matrix, integers int64) or
    ``obs["n_genes"]`` (int64) and selects the cells, lazily. If not ``inplace``: the boolean mask
    of the kept cells and the number of each cell, both of shape (n_obs,).

    Raises
    ------
    ValueError
        Unless exactly one limit is given.

    Notes
    -----
    Passes over X: 1. Peak memory: the blocks in flight and one number per cell.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[1.0, 3.0], [2.0, 0.0]]))
    >>> lo.pp.filter_cells(adata, min_genes=2)
    >>> adata.obs["n_genes"].tolist()
    [2]
    """
    limits = {
        "min_counts": min_counts,
        "min_genes": min_genes,
        "max_counts": max_counts,
        "max_genes": max_genes,
    }
    x = _matrix(data, "pp.filter_cells")
    name = _single_limit(limits)
    of_genes = name.endswith("genes")
    if of_genes:
        found = lazy.collect_rows(x, row_positives, dtype=np.float64)
    else:
        found = lazy.collect_row_totals(x)
    (numbers,) = lazy.compute(found)
    numbers = numbers.astype(np.int64 if of_genes else count_dtype(x.dtype))
    keep = _within(numbers, name, limits[name])
    _tell(keep, "cells that have", name.replace("genes", "genes expressed"), limits[name])
    if not inplace or not is_annotated(data):
        return keep, numbers
    adata = data.copy() if copy else data
    adata.obs["n_genes" if of_genes else "n_counts"] = numbers
    adata._inplace_subset_obs(keep)
    return adata if copy else None


def filter_genes(
    data: AnnData | Any,
    *,
    min_counts: float | None = None,
    min_cells: int | None = None,
    max_counts: float | None = None,
    max_cells: int | None = None,
    inplace: bool = True,
    copy: bool = False,
) -> AnnData | tuple[NDArray[np.bool_], NDArray[Any]] | None:
    """Keep genes by their counts or by the number of cells that express them.

    Give exactly one of the four limits.

    Parameters
    ----------
    data
        Annotated data, shape (n_obs, n_vars); or a numpy, scipy or dask matrix, for which the
        mask and the numbers are returned.
    min_counts, max_counts
        Least or largest total of a gene that is kept.
    min_cells, max_cells
        Least or largest number of cells with more than zero of a gene that is kept.
    inplace
        Change ``data``; if False, return the mask and the numbers instead.
    copy
        Return a changed copy and leave ``data`` as it is.

    Returns
    -------
    None or the copy: sets ``var["n_counts"]`` (dtype of the matrix, integers int64) or
    ``var["n_cells"]`` (int64) and selects the genes, lazily. If not ``inplace``: the boolean mask
    of the kept genes and the number of each gene, both of shape (n_vars,).

    Raises
    ------
    ValueError
        Unless exactly one limit is given.

    Notes
    -----
    Passes over X: 1. Peak memory: the blocks in flight and three numbers per gene for each of
    them.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[1.0, 3.0], [2.0, 0.0]]))
    >>> lo.pp.filter_genes(adata, min_cells=2)
    >>> adata.var["n_cells"].tolist()
    [2]
    """
    limits = {
        "min_counts": min_counts,
        "min_cells": min_cells,
        "max_counts": max_counts,
        "max_cells": max_cells,
    }
    x = _matrix(data, "pp.filter_genes")
    name = _single_limit(limits)
    (totals,) = lazy.compute(lazy.fold_rows(x, gene_totals))
    of_cells = name.endswith("cells")
    numbers = totals.positive if of_cells else totals.total.astype(count_dtype(x.dtype))
    keep = _within(numbers, name, limits[name])
    _tell(keep, "genes that are detected in", name, limits[name])
    if not inplace or not is_annotated(data):
        return keep, numbers
    adata = data.copy() if copy else data
    adata.var["n_cells" if of_cells else "n_counts"] = numbers
    adata._inplace_subset_var(keep)
    return adata if copy else None


def _tell(keep: NDArray[np.bool_], what: str, name: str, limit: Any) -> None:
    if not keep.all():
        which, counted = name.split("_", 1)
        than = "less than" if which == "min" else "more than"
        number = len(keep) - np.count_nonzero(keep)
        logging.info(f"filtered out {number} {what} {than} {limit} {counted}")


def _single_limit(limits: dict[str, float | None]) -> str:
    given = [name for name, value in limits.items() if value is not None]
    if len(given) != 1:
        raise ValueError(
            f"Only provide one of the optional parameters {', '.join(limits)} per call; "
            f"found {given or 'none'}."
        )
    return given[0]


def _within(numbers: NDArray[Any], name: str, limit: float | None) -> NDArray[np.bool_]:
    assert limit is not None
    kept = numbers >= limit if name.startswith("min") else numbers <= limit
    return np.asarray(kept)


def _matrix(data: Any, verb: str) -> Any:
    return choose_matrix(data) if is_annotated(data) else bare_matrix(data, verb)


LARGEST_ROW_NUMBER = 4  # bytes; usually 2
EACH_ROW = 64  # bytes, for what else a block holds


def row_cache_budget(x: RowBlocks, budget: int) -> tuple[NDArray[np.float64], bool]:
    """Bytes that each row may take of a budget, and whether all rows surely fit.

    Where the sizes are known, the leading rows that fit get what they need and the others nothing.
    Otherwise (columns were selected, or an ordinary dask array) every row gets its share, and a
    block is kept if it takes no more than its rows may. Nothing is kept for workers elsewhere,
    which would have to send it.
    """
    n = x.shape[0]
    if not lazy.runs_here() or budget <= 0:
        return np.zeros(n), n == 0
    sizes, exact = _row_bytes(x)
    ends = np.cumsum(sizes)
    if n == 0 or ends[-1] <= budget:
        return sizes, True
    if exact:
        return np.where(ends <= budget, sizes, 0.0), False
    return sizes * (budget / ends[-1]), False


def _row_bytes(x: RowBlocks) -> tuple[NDArray[np.float64], bool]:
    """At most this many bytes for each row, and whether it is close to that."""
    n, p = x.shape
    itemsize = max(4, x.dtype.itemsize)
    dense = np.full(n, float(p * itemsize))
    recipe = lazy.recipe_of(x)
    if recipe is None:
        return dense, False
    stored = recipe.source.stored_per_line()
    keeps_zeros = not isinstance(x._meta, np.ndarray)
    if stored is None or not keeps_zeros:
        return dense, True
    if recipe.adds_values:
        return dense, False
    if recipe.source.format == "csr":
        values = stored[recipe.rows].astype(np.float64)
        selected = p < recipe.source.shape[1]
    else:
        values = np.full(n, float(stored.sum()) / max(1, recipe.source.shape[0]))
        selected = True
    return values * (itemsize + LARGEST_ROW_NUMBER) + EACH_ROW, not selected
