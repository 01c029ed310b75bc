"""Centred log ratio of protein counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lazyomics import lazy
from lazyomics.container.choose import choose_modality
from lazyomics.kernels.ratio_steps import Flavor, LogRatioCols, LogRatioRows
from lazyomics.kernels.steps import Step
from lazyomics.kernels.sums import column_log_totals
from lazyomics.pp.matrix_choice import RowBlocks, assign_matrix, choose_matrix

if TYPE_CHECKING:
    from lazyomics.container import AnnData
    from lazyomics.container.mudata import MuData

__all__ = ["clr"]

FLAVORS = ("seurat", "stoeckius", "standard")


def clr(
    data: AnnData | MuData, *, inplace: bool = True, axis: int = 0, flavor: Flavor = "seurat"
) -> AnnData | None:
    """Normalise counts by the centred log ratio, lazily, as muon does.

    Parameters
    ----------
    data
        Protein counts, shape (n_obs, n_vars), or a MuData with the modality ``"prot"``.
    inplace
        False returns a changed copy.
    axis
        0: relative to the geometric mean of each protein over the cells; 1: of each cell over
        the proteins.
    flavor
        ``"seurat"``: ``log(1 + x / exp(mean(log(1 + x))))``, which keeps zeros;
        ``"stoeckius"``: the log ratio of ``x + 1``; ``"standard"``: of ``x`` itself, infinite
        where there are zeros. The last two make every block dense.

    Returns
    -------
    None, or the copy. Sets X (float64 for integer counts, else the type of the counts).

    Raises
    ------
    ValueError
        For another axis or flavor.

    Notes
    -----
    Passes over X: 1 with ``axis=0``, for the means, else 0; the rest is lazy. Peak memory: the
    blocks in flight.

    References
    ----------
    Stoeckius, M. et al. (2017). Simultaneous epitope and transcriptome measurement in single
    cells. doi:10.1038/nmeth.4380

    Examples
    --------
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[0.0, 3.0], [3.0, 3.0]]))
    >>> lo.pp.clr(adata)
    >>> adata.X.round(2)
    array([[0.  , 0.56],
           [0.92, 0.56]])
    """
    if axis not in (0, 1):
        raise ValueError(f"axis is 0 or 1, found {axis!r}")
    if flavor not in FLAVORS:
        raise ValueError(f"flavor is one of {FLAVORS}, found {flavor!r}")
    adata = choose_modality(data, "prot")
    adata = adata if inplace else adata.copy()
    x = choose_matrix(adata)
    step: Step = LogRatioRows(flavor) if axis == 1 else _relative_to_columns(x, flavor)
    assign_matrix(adata, lazy.map_rows(x, step))
    return None if inplace else adata


def _relative_to_columns(x: RowBlocks, flavor: Flavor) -> LogRatioCols:
    fold = lazy.fold_rows(x, column_log_totals, pseudocount=flavor != "standard")
    (totals,) = lazy.compute(fold)
    return LogRatioCols(np.exp(totals / max(1, x.shape[0])), flavor)
