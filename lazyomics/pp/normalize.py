"""Scale every cell to the same total."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import lazy, logging
from lazyomics.container.choose import check_annotated
from lazyomics.kernels.qc import highly_expressed
from lazyomics.kernels.steps import NormalizeRows
from lazyomics.pp.matrix_choice import RowBlocks, assign_matrix, choose_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = ["normalize_total"]


def normalize_total(
    adata: AnnData,
    *,
    target_sum: float | None = None,
    exclude_highly_expressed: bool = False,
    max_fraction: float = 0.05,
    key_added: str | None = None,
    layer: str | None = None,
    obsm: str | None = None,
    inplace: bool = True,
    copy: bool = False,
) -> AnnData | dict[str, Any] | None:
    """Normalise counts per cell, lazily.

    Each cell is divided by its total over all genes and multiplied by ``target_sum``. Each total
    is taken from its row when the row is read, also if some genes only are selected later.

    Parameters
    ----------
    adata
        Annotated data with counts, shape (n_obs, n_vars).
    target_sum
        Total of each cell afterwards. ``None``: the median of the totals of all cells that have
        counts. (Cells without any do not take part, as in scanpy since 1.12 and as its earlier
        versions do for all but in-memory CSR matrices.)
    exclude_highly_expressed
        Leave out of the totals each gene that has more than ``max_fraction`` of the counts of at
        least one cell; the other genes then sum to ``target_sum``.
    max_fraction
        See ``exclude_highly_expressed``; between 0 and 1.
    key_added
        Column of ``obs`` for what each cell was divided by (total / target_sum).
    layer
        Layer to normalise instead of X.
    obsm
        Array of ``obsm`` to normalise instead of X.
    inplace
        Change ``adata``; if False, return the results instead.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None (sets X or the layer, and ``obs[key_added]`` as float of the matrix's precision); the
    copy if ``copy``; or, if not ``inplace``, a dict with the lazy matrix ``"X"`` (float32 for
    integer counts) and the ``"norm_factor"`` of each cell, shape (n_obs,).

    Raises
    ------
    ValueError
        If ``copy`` is combined with ``inplace=False`` or ``max_fraction`` is out of range.

    Warns
    -----
    UserWarning
        If cells have no counts, where the totals are known. They stay as they are.

    Notes
    -----
    Passes over X: 0 with ``target_sum``; 1 for the totals if they are needed (``target_sum=None``,
    ``key_added`` or ``inplace=False``); 1 more with ``exclude_highly_expressed``. Peak memory: the
    blocks in flight and one number per cell. A matrix that was in memory stays in memory.

    References
    ----------
    Weinreb, C., Wolock, S. & Klein, A. M. (2018). SPRING: a kinetic interface for visualizing
    high dimensional single-cell expression data. doi:10.1093/bioinformatics/btx792

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[1.0, 3.0], [2.0, 0.0]], dtype="float32"))
    >>> lo.pp.normalize_total(adata, target_sum=8)
    >>> adata.X
    array([[2., 6.],
           [8., 0.]], dtype=float32)
    """
    check_annotated(adata, "pp.normalize_total")
    if copy and not inplace:
        raise ValueError("`copy=True` cannot be used with `inplace=False`.")
    if not 0 <= max_fraction <= 1:
        raise ValueError(f"Choose max_fraction between 0 and 1, found {max_fraction}.")
    begun = logging.info("normalizing counts per cell")
    adata = adata.copy() if copy else adata
    x = choose_matrix(adata, layer=layer, obsm=obsm)
    exclude = None
    if exclude_highly_expressed:
        exclude = _find_highly_expressed(x, max_fraction)
    factors = None
    if target_sum is None or key_added is not None or not inplace:
        totals = _cell_totals(x, exclude)
        target_sum = _median_of_positive(totals) if target_sum is None else target_sum
        factors = totals / totals.dtype.type(target_sum)
        if not np.all(totals > 0):
            warnings.warn("Some cells have zero counts", UserWarning, stacklevel=2)
    assert target_sum is not None
    logging.info("    finished ({time_passed})", time=begun)
    normalized = lazy.map_rows(x, NormalizeRows(float(target_sum), exclude))
    if not inplace:
        return {"X": normalized, "norm_factor": factors}
    assign_matrix(adata, normalized, layer=layer, obsm=obsm)
    if key_added is not None:
        adata.obs[key_added] = factors
    return adata if copy else None


def _find_highly_expressed(x: RowBlocks, max_fraction: float) -> NDArray[np.bool_]:
    (found,) = lazy.compute(lazy.fold_rows(x, highly_expressed, max_fraction=max_fraction))
    return np.asarray(found.genes)


def _cell_totals(x: RowBlocks, exclude: NDArray[np.bool_] | None) -> NDArray[np.floating[Any]]:
    """Totals in the precision of the matrix."""
    (totals,) = lazy.compute(lazy.collect_row_totals(x, exclude=exclude))
    dtype = x.dtype if np.issubdtype(x.dtype, np.floating) else np.dtype(np.float32)
    return np.asarray(totals, dtype=dtype)


def _median_of_positive(totals: NDArray[np.floating[Any]]) -> float:
    positive = totals[totals > 0]
    return float(np.median(positive)) if len(positive) else float("nan")
