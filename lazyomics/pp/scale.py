"""Scale every gene to unit variance."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.blocks.block import SparseBlock
from lazyomics.container.choose import bare_matrix, is_annotated
from lazyomics.kernels.moments import moments, moments_by_group
from lazyomics.kernels.steps import AsType, ScaleCols
from lazyomics.pp.matrix_choice import (
    RowBlocks,
    assign_matrix,
    boolean_mask,
    checked_mask,
    choose_matrix,
    floating_type,
    put_into,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = ["scale"]

# A standard deviation below this share of the mean is what rounding leaves of a constant gene.
ROUNDING = 1e-14


def scale(
    data: AnnData | Any,
    *,
    zero_center: bool = True,
    max_value: float | None = None,
    copy: bool = False,
    layer: str | None = None,
    obsm: str | None = None,
    mask_obs: NDArray[np.bool_] | str | None = None,
) -> AnnData | Any | None:
    """Scale genes to unit variance and, by default, zero mean.

    Means and standard deviations (n - 1 in the denominator) are computed now, the matrix is
    scaled lazily. Genes that do not vary are divided by 1.

    Parameters
    ----------
    data
        Annotated data, shape (n_obs, n_vars); or a numpy, scipy or dask matrix, for which the
        scaled one is returned.
    zero_center
        Subtract the mean. Every block of a sparse matrix then becomes dense when it is read;
        with False it stays sparse.
    max_value
        Clip to this value after scaling (and to its negative, if ``zero_center``).
    copy
        Return a changed copy and leave ``data`` as it is.
    layer
        Layer to scale instead of X.
    obsm
        Array of ``obsm`` to scale instead of X (``var`` is then not changed).
    mask_obs
        Cells to take the moments from and to scale, shape (n_obs,), or a boolean column of
        ``obs``; other cells stay as they are.

    Returns
    -------
    None, or the copy. Sets X (or the layer; float64 for integers, otherwise its own dtype),
    ``var["mean"]`` and ``var["std"]`` (float64; with a mask ``"mean of {mask_obs}"`` and so on,
    or ``"mean with mask"``). For a matrix: the scaled one, in scanpy's types (float64 for
    integers, for sparse ones that become dense, and for CSC; CSR for CSC with a mask). It is
    written into the matrix itself if that is dense or CSR, in memory, of the type of the result,
    and not ``copy``.

    Raises
    ------
    TypeError
        If ``data`` is neither, or holds no numbers.

    Warns
    -----
    UserWarning
        If a sparse matrix is centred.

    Notes
    -----
    Passes over X: 1. Peak memory: the blocks in flight and four numbers per gene for each of
    them. Later reads of a centred sparse matrix hold its blocks densely.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[1.0], [3.0], [5.0]]))
    >>> lo.pp.scale(adata)
    >>> adata.X.ravel()
    array([-1.,  0.,  1.])
    """
    if not is_annotated(data):
        x = bare_matrix(data, "pp.scale", layer=layer, obsm=obsm)
        data = _as_scaled_by_scanpy(data, masked=mask_obs is not None, zero_center=zero_center)
        x = lazy.map_rows(x, AsType(floating_type(data).str))
        mask = None if mask_obs is None else checked_mask(mask_obs, x.shape[0], "the matrix")
        scaled, _ = _scaled(x, mask, max_value, zero_center=zero_center)
        return put_into(data, scaled, copy=copy)
    adata = data.copy() if copy else data
    x = choose_matrix(adata, layer=layer, obsm=obsm)
    mask = None if mask_obs is None else boolean_mask(adata, mask_obs, "obs")
    scaled, (mean, std) = _scaled(x, mask, max_value, zero_center=zero_center)
    assign_matrix(adata, scaled, layer=layer, obsm=obsm)
    if obsm is None:
        mean_key, std_key = _keys(mask_obs)
        adata.var[mean_key], adata.var[std_key] = mean, std
    return adata if copy else None


def _as_scaled_by_scanpy(data: Any, *, masked: bool, zero_center: bool) -> Any:
    """Return a bare matrix in the type and storage in which scanpy returns the scaled one."""
    if not sp.issparse(data):
        return data
    if zero_center:
        return data.astype(np.float64)
    if data.format != "csc":
        return data
    return data.tocsr() if masked else data.astype(np.float64)


def _scaled(
    x: RowBlocks, mask: NDArray[np.bool_] | None, max_value: float | None, *, zero_center: bool
) -> tuple[RowBlocks, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the scaled matrix, lazily, and the means and standard deviations."""
    if zero_center and isinstance(x._meta, SparseBlock):
        warnings.warn(
            "zero-centering a sparse array/matrix densifies it.", UserWarning, stacklevel=3
        )
    mean, std = _mean_std(x, mask)
    step = ScaleCols(std, mean if zero_center else None, max_value, mask)
    return lazy.map_rows(x, step), (mean, std)


def _mean_std(
    x: RowBlocks, mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if mask is None:
        fold = lazy.fold_rows(x, moments)
    else:
        fold = lazy.fold_rows(x, moments_by_group, rows=(np.where(mask, 0, -1),))
    (found,) = lazy.compute(fold)
    state = found.at(0)
    mean, std = state.mean[0], np.sqrt(state.variance()[0])
    std[std <= ROUNDING * np.abs(mean)] = 1
    return mean, std


def _keys(mask_obs: Any) -> tuple[str, str]:
    if mask_obs is None:
        return "mean", "std"
    if isinstance(mask_obs, str):
        return f"mean of {mask_obs}", f"std of {mask_obs}"
    return "mean with mask", "std with mask"
