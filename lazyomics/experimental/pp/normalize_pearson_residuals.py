"""Normalise counts to Pearson residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import lazy
from lazyomics.container.choose import check_annotated
from lazyomics.errors import warn_user
from lazyomics.kernels.pearson import PearsonResiduals, count_totals
from lazyomics.pp.matrix_choice import assign_matrix, choose_matrix

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["check_dispersion", "normalize_pearson_residuals"]


def normalize_pearson_residuals(
    adata: AnnData,
    *,
    theta: float = 100,
    clip: float | None = None,
    check_values: bool = True,
    layer: str | None = None,
    obsm: str | None = None,
    inplace: bool = True,
    copy: bool = False,
) -> AnnData | dict[str, Any] | None:
    """Normalise counts to the Pearson residuals of a negative binomial model.

    Totals of cells and genes are computed now, the residuals when they are read.

    Parameters
    ----------
    adata
        Annotated data with counts, shape (n_obs, n_vars).
    theta
        Overdispersion, the same for all genes, above 0.
    clip
        Residuals are cut off at this size; by default the root of the number of cells.
    check_values
        Warn if values are not counts.
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
    None (sets X or the layer, dense, float64; the dtype of the matrix if that is floating and
    ``clip`` is given; and ``uns["pearson_residuals_normalization"]`` with ``"theta"``, ``"clip"``
    and ``"computed_on"``); the copy if ``copy``; or, if not ``inplace``, a dict of these and the
    lazy matrix ``"X"``.

    Raises
    ------
    ValueError
        If ``theta`` is not above 0, ``clip`` is negative, or ``copy`` is combined with
        ``inplace=False``.

    Warns
    -----
    UserWarning
        If values are not counts.

    Notes
    -----
    Passes over X: 1. Peak memory: the blocks in flight, four numbers per gene for each, and one
    per cell. When residuals are read, every block is dense: 8 bytes for each cell and gene that is
    selected. Genes and cells without counts are NaN, as by scanpy.

    References
    ----------
    Lause, J., Berens, P. & Kobak, D. (2021). Analytic Pearson residuals for normalization of
    single-cell RNA-seq UMI data. doi:10.1186/s13059-021-02451-7

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[1.0, 3.0], [3.0, 1.0]]))
    >>> lo.experimental.pp.normalize_pearson_residuals(adata)
    >>> adata.X.round(2)
    array([[-0.7,  0.7],
           [ 0.7, -0.7]])
    """
    check_annotated(adata, "experimental.pp.normalize_pearson_residuals")
    if copy and not inplace:
        raise ValueError("`copy=True` cannot be used with `inplace=False`.")
    check_dispersion(theta, clip)
    adata = adata.copy() if copy else adata
    x = choose_matrix(adata, layer=layer, obsm=obsm)
    codes = np.zeros(x.shape[0], dtype=np.int8)
    (state,) = lazy.compute(
        lazy.fold_rows(x, count_totals, rows=(codes,), check_values=check_values)
    )
    if not state.are_counts:
        warn_user(
            "`normalize_pearson_residuals()` expects raw count data, but non-integers were found."
        )
    cells, genes = np.concatenate(state.cells), state.genes.mean[0] * state.genes.n[0]
    narrow = clip is not None and np.issubdtype(x.dtype, np.floating)
    step = PearsonResiduals(
        cells,
        genes,
        float(genes.sum()),
        float(theta),
        float(np.sqrt(x.shape[0]) if clip is None else clip),
        (x.dtype if narrow else np.dtype(np.float64)).str,
    )
    residuals = lazy.map_rows(x, step)
    settings = {"theta": theta, "clip": clip, "computed_on": layer or obsm or "adata.X"}
    if not inplace:
        return {"X": residuals, **settings}
    assign_matrix(adata, residuals, layer=layer, obsm=obsm)
    adata.uns["pearson_residuals_normalization"] = settings
    return adata if copy else None


def check_dispersion(theta: float, clip: float | None) -> None:
    """Refuse parameters for which there are no residuals.

    Raises
    ------
    ValueError
        If ``theta`` is not above 0, or ``clip`` is negative.
    """
    if theta <= 0:
        raise ValueError(f"Pearson residuals require theta > 0, found {theta}")
    if clip is not None and clip < 0:
        raise ValueError(f"Pearson residuals require `clip>=0` or `clip=None`, found {clip}")
