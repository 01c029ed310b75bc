"""Scale every cell to the same total, as older scripts do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lazyomics import lazy, logging
from lazyomics.container.choose import bare_matrix, is_annotated
from lazyomics.errors import ShapeError
from lazyomics.kernels.steps import NormalizeRows, ScaleRows
from lazyomics.pp.filter import filter_cells
from lazyomics.pp.matrix_choice import assign_matrix, choose_matrix, put_into

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = ["normalize_per_cell"]


def normalize_per_cell(
    data: AnnData | Any,
    *,
    counts_per_cell_after: float | None = None,
    counts_per_cell: NDArray[Any] | None = None,
    key_n_counts: str = "n_counts",
    copy: bool = False,
    layers: Literal["all"] | Iterable[str] = (),
    use_rep: Literal["after", "X"] | None = None,
    min_counts: int = 1,
) -> AnnData | Any | None:
    """Scale cells to the same total and drop those with few counts.

    Totals are computed now, the matrix is scaled lazily. ``pp.normalize_total`` is the successor.

    Parameters
    ----------
    data
        Annotated data with counts, shape (n_obs, n_vars); or a numpy, scipy or dask matrix.
    counts_per_cell_after
        Total of each cell afterwards; by default the median of the totals of the cells that stay.
    counts_per_cell
        What to take for the totals, shape (n_obs,); no cell is dropped then, and X not read.
    key_n_counts
        Column of ``obs`` for the totals.
    copy
        Return a changed copy and leave ``data`` as it is.
    layers
        Layers to scale as well, each by its own totals, or ``"all"``.
    use_rep
        Total of the cells in the layers: ``"after"`` is ``counts_per_cell_after``, ``"X"`` the
        median of the totals of X over that (which is 1 by default, as by scanpy); by default the
        median of each layer.
    min_counts
        Cells with a smaller total are dropped.

    Returns
    -------
    None, or the copy. Sets X (float32 for integers, otherwise its own dtype) and
    ``obs[key_n_counts]`` (dtype of the matrix, integers int64), and selects cells. For a matrix:
    the scaled one, without the cells that are dropped, or None if it was changed in place.

    Raises
    ------
    ValueError
        For a matrix without ``counts_per_cell`` if not ``copy``; for another ``use_rep``.
    ShapeError
        If ``counts_per_cell`` has another length than there are cells.

    Notes
    -----
    Passes over X: 1 for the totals, 0 with ``counts_per_cell``; 1 over each layer. Peak memory: the
    blocks in flight and one number per cell.

    References
    ----------
    Zheng, G. X. Y. et al. (2017). Massively parallel digital transcriptional profiling of single
    cells. doi:10.1038/ncomms14049

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 6.0], [0.0, 0.0]]))
    >>> lo.pp.normalize_per_cell(adata)
    >>> adata.X.sum(axis=1)
    array([3., 3., 3.])
    """
    if not is_annotated(data):
        return _normalized_matrix(data, counts_per_cell_after, counts_per_cell, min_counts, copy)
    if use_rep not in (None, "after", "X"):
        raise ValueError(f'use_rep should be "after", "X" or None, found {use_rep!r}')
    begun = logging.info("normalizing by total count per cell")
    adata = data.copy() if copy else data
    if counts_per_cell is None:
        kept, counts = _filtered(adata, min_counts)
        adata.obs[key_n_counts] = counts
        adata._inplace_subset_obs(kept)
        counts = counts[kept]
        step: Any = NormalizeRows(_after(counts_per_cell_after, counts))
    else:
        counts = _given(counts_per_cell, adata.n_obs)
        step = _by_counts(counts, counts_per_cell_after)
    assign_matrix(adata, lazy.map_rows(choose_matrix(adata), step))
    after = counts_per_cell_after if use_rep == "after" else None
    if use_rep == "X":
        # scanpy has divided the totals by then.
        after = float(np.median(counts)) / _after(counts_per_cell_after, counts)
    for name in list(adata.layers) if layers == "all" else layers:
        x = choose_matrix(adata, layer=name)
        target = after
        if target is None:
            (totals,) = lazy.compute(lazy.collect_row_totals(x))
            target = float(np.median(totals))
        assign_matrix(adata, lazy.map_rows(x, NormalizeRows(float(target))), layer=name)
    logging.info(
        "    finished ({time_passed}): normalized adata.X and added\n"
        f"    {key_n_counts!r}, counts per cell before normalization (adata.obs)",
        time=begun,
    )
    return adata if copy else None


def _filtered(data: Any, min_counts: int) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    found = filter_cells(data, min_counts=min_counts, inplace=False)
    assert isinstance(found, tuple)
    return found


def _after(given: float | None, counts: NDArray[Any]) -> float:
    return float(np.median(counts)) if given is None else float(given)


def _given(counts: Any, n_obs: int) -> NDArray[np.float64]:
    totals = np.asarray(counts, dtype=np.float64)
    if totals.shape != (n_obs,):
        raise ShapeError(f"counts_per_cell has shape {totals.shape}, but there are {n_obs} cells")
    return totals


def _by_counts(counts: NDArray[np.float64], after: float | None) -> ScaleRows:
    # A cell without counts is divided as if it had one.
    return ScaleRows(_after(after, counts) / np.where(counts == 0, 1.0, counts))


def _normalized_matrix(
    data: Any, after: float | None, counts: Any, min_counts: int, copy: bool
) -> Any:
    x = bare_matrix(data, "pp.normalize_per_cell")
    if counts is not None:
        step = _by_counts(_given(counts, x.shape[0]), after)
        scaled = put_into(data, lazy.map_rows(x, step), copy=copy)
        return None if scaled is data and not copy else scaled
    if not copy:
        raise ValueError("Can only be run with copy=True")
    kept, totals = _filtered(data, min_counts)
    chosen = data[np.flatnonzero(kept)]
    step_ = NormalizeRows(_after(after, totals[kept]))
    return put_into(chosen, lazy.map_rows(bare_matrix(chosen, ""), step_), copy=True)
