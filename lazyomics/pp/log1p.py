"""Logarithm of the data."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from lazyomics import graph
from lazyomics.kernels.steps import Log1p
from lazyomics.pp.matrix_choice import assign_matrix, choose_matrix

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["log1p"]


def log1p(
    adata: AnnData,
    *,
    base: float | None = None,
    copy: bool = False,
    layer: str | None = None,
    obsm: str | None = None,
) -> AnnData | None:
    """Replace X by ``log(X + 1)``, lazily.

    Parameters
    ----------
    adata
        Annotated data, shape (n_obs, n_vars).
    base
        Base of the logarithm; natural by default.
    copy
        Return a changed copy and leave ``adata`` as it is.
    layer
        Layer to transform instead of X.
    obsm
        Array of ``obsm`` to transform instead of X.

    Returns
    -------
    None, or the copy. Sets X (or the layer; float32 for integers, otherwise its own dtype) and
    ``uns["log1p"] = {"base": base}``.

    Warns
    -----
    UserWarning
        If ``uns`` says that the data is logarithmised already.

    Notes
    -----
    Passes over X: 0. Peak memory: nothing beyond the graph; a matrix that was in memory stays in
    memory.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[0.0, 1.0, 3.0]]))
    >>> lo.pp.log1p(adata, base=2)
    >>> adata.X
    array([[0., 1., 2.]])
    """
    if "log1p" in adata.uns:
        warnings.warn("adata.X seems to be already log-transformed.", UserWarning, stacklevel=2)
    adata = adata.copy() if copy else adata
    x = choose_matrix(adata, layer=layer, obsm=obsm)
    assign_matrix(adata, graph.map_rows(x, Log1p(base)), layer=layer, obsm=obsm)
    adata.uns["log1p"] = {"base": base}
    return adata if copy else None
