"""Term frequency × inverse document frequency of peak counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import lazy
from lazyomics.container.choose import choose_modality
from lazyomics.errors import warn_user
from lazyomics.kernels.ratio_steps import TfIdf
from lazyomics.kernels.sums import column_totals
from lazyomics.pp.matrix_choice import assign_matrix, choose_matrix

if TYPE_CHECKING:
    from lazyomics.container import AnnData
    from lazyomics.container.mudata import MuData

__all__ = ["tfidf"]


def tfidf(
    data: AnnData | MuData,
    *,
    log_tf: bool = True,
    log_idf: bool = True,
    log_tfidf: bool = False,
    scale_factor: float | None = 1e4,
    inplace: bool = True,
    copy: bool = False,
    from_layer: str | None = None,
    to_layer: str | None = None,
) -> Any:
    """Weigh counts by how few cells have them: TF-IDF as muon does it, lazily.

    TF is a count divided by the total of its cell, IDF the number of cells divided by the total
    of the peak.

    Parameters
    ----------
    data
        Peak counts, shape (n_obs, n_vars), or a MuData with the modality ``"atac"``.
    log_tf, log_idf
        Use ``log(1 + scale_factor · TF)`` and ``log(1 + IDF)``.
    log_tfidf
        Use ``log(1 + TF · IDF)``; only with both others False.
    scale_factor
        What TF is multiplied by; None, 0 and 1 leave it.
    inplace
        False returns the matrix and leaves the object as it is.
    copy
        Return a changed copy.
    from_layer, to_layer
        Layer of the counts, and of the result, instead of X.

    Returns
    -------
    None, the copy, or the matrix. Sets X or ``layers[to_layer]`` (float64 for integer counts,
    else the type of the counts).

    Raises
    ------
    ValueError
        For options that exclude each other.

    Warns
    -----
    UserWarning
        If ``to_layer`` exists.

    Notes
    -----
    Passes over X: 1, for the totals of the peaks; the weighing itself is lazy. Peak memory: the
    blocks in flight and one number for each peak.

    References
    ----------
    Cusanovich, D. A. et al. (2015). Multiplex single-cell profiling of chromatin accessibility by
    combinatorial cellular indexing. doi:10.1126/science.aab1601

    Examples
    --------
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[1.0, 1.0], [0.0, 2.0]]))
    >>> lo.pp.tfidf(adata, log_tf=False, log_idf=False, scale_factor=None)
    >>> adata.X.round(2)
    array([[1.  , 0.33],
           [0.  , 0.67]])
    """
    if log_tfidf and (log_tf or log_idf):
        raise ValueError("log_tfidf=True needs log_tf=False and log_idf=False")
    if not inplace and (copy or to_layer is not None):
        raise ValueError("inplace=False returns the matrix: copy and to_layer exclude it")
    adata = choose_modality(data, "atac")
    adata = adata.copy() if copy else adata
    if to_layer is not None and to_layer in adata.layers:
        warn_user(f"layer {to_layer!r} is overwritten")
    x = choose_matrix(adata, layer=from_layer)
    (totals,) = lazy.compute(lazy.fold_rows(x, column_totals))
    with np.errstate(divide="ignore"):
        idf = adata.n_obs / totals
    step = TfIdf(np.log1p(idf) if log_idf else idf, scale_factor or 1.0, log_tf, log_tfidf)
    weighed = lazy.map_rows(x, step)
    if not inplace:
        return weighed if not _in_memory(adata, from_layer) else lazy.materialize(weighed)
    if to_layer is None:
        assign_matrix(adata, weighed)
    else:
        in_memory = _in_memory(adata, from_layer)
        adata.layers[to_layer] = lazy.materialize(weighed) if in_memory else weighed
    return adata if copy else None


def _in_memory(adata: AnnData, layer: str | None) -> bool:
    return lazy.is_in_memory(adata.X if layer is None else adata.layers[layer])
