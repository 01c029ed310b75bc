"""Counts as present or absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazyomics import lazy
from lazyomics.container.choose import choose_modality
from lazyomics.kernels.ratio_steps import Binarize
from lazyomics.pp.matrix_choice import assign_matrix, choose_matrix

if TYPE_CHECKING:
    from lazyomics.container import AnnData
    from lazyomics.container.mudata import MuData

__all__ = ["binarize"]


def binarize(data: AnnData | MuData, *, layer: str | None = None) -> None:
    """Set every value that is not zero to one, lazily, as muon does for peak counts.

    Parameters
    ----------
    data
        Peak counts, shape (n_obs, n_vars), or a MuData with the modality ``"atac"``.
    layer
        Layer to change instead of X.

    Returns
    -------
    None. Sets X (or the layer), in its type.

    Notes
    -----
    Passes over X: 0. Peak memory: nothing beyond the graph; a matrix in memory stays there.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[0.0, 3.0]]))
    >>> lo.pp.binarize(adata)
    >>> adata.X
    array([[0., 1.]])
    """
    adata = choose_modality(data, "atac")
    x = choose_matrix(adata, layer=layer)
    assign_matrix(adata, lazy.map_rows(x, Binarize()), layer=layer)
