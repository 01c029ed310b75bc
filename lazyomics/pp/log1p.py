"""Logarithm of the data."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from lazyomics import lazy
from lazyomics.container.choose import bare_matrix, is_annotated
from lazyomics.kernels.steps import AsType, Log1p
from lazyomics.pp.matrix_choice import assign_matrix, choose_matrix, floating_type, put_into

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["log1p"]


def log1p(
    data: AnnData | Any,
    *,
    base: float | None = None,
    copy: bool = False,
    chunked: bool | None = None,
    chunk_size: int | None = None,
    layer: str | None = None,
    obsm: str | None = None,
) -> AnnData | Any | None:
    """Replace X by ``log(X + 1)``, lazily.

    Parameters
    ----------
    data
        Annotated data, shape (n_obs, n_vars); or a numpy, scipy or dask matrix, for which the
        logarithms are returned.
    base
        Base of the logarithm; natural by default.
    copy
        Return a changed copy and leave ``data`` as it is.
    chunked, chunk_size
        Accepted for compatibility: a lazy matrix is always computed in blocks.
    layer
        Layer to transform instead of X.
    obsm
        Array of ``obsm`` to transform instead of X.

    Returns
    -------
    None, or the copy. Sets X (or the layer; float32 for integers, otherwise its own dtype) and
    ``uns["log1p"] = {"base": base}``. For a matrix: the logarithms (float64 for integers), which
    are written into the matrix itself if it is one of floats in memory and not ``copy``.

    Raises
    ------
    TypeError
        If ``data`` is neither, or holds no numbers.

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
    if not is_annotated(data):
        x = bare_matrix(data, "pp.log1p", layer=layer, obsm=obsm)
        floats = lazy.map_rows(x, AsType(floating_type(data).str))
        return put_into(data, lazy.map_rows(floats, Log1p(base)), copy=copy)
    if "log1p" in data.uns:
        warnings.warn("adata.X seems to be already log-transformed.", UserWarning, stacklevel=2)
    adata = data.copy() if copy else data
    x = choose_matrix(adata, layer=layer, obsm=obsm)
    assign_matrix(adata, lazy.map_rows(x, Log1p(base)), layer=layer, obsm=obsm)
    adata.uns["log1p"] = {"base": base}
    return adata if copy else None
