"""``metrics.gearys_c``: Geary's C of genes or other values on the neighbour graph."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from lazyomics.metrics.autocorrelation import edge_sums

__all__ = ["gearys_c"]


def gearys_c(
    adata_or_graph: Any,
    /,
    vals: Any = None,
    *,
    use_graph: str | None = None,
    neighbors_key: str | None = None,
    layer: str | None = None,
    obsm: str | None = None,
    obsp: str | None = None,
    use_raw: bool = False,
) -> NDArray[Any] | float:
    r"""Compute Geary's C, eagerly: how much the values of neighbouring cells differ.

    .. math::

        C = \frac{N - 1}{2W} \frac{\sum_{ij} w_{ij} (x_i - x_j)^2}{\sum_i (x_i - \bar{x})^2}

    for N cells with weights :math:`w_{ij}` that sum to W. 0 means that neighbours are alike, 1 that
    they are as any two cells are.

    Parameters
    ----------
    adata_or_graph
        Annotated matrix, ``n_obs`` × ``n_vars``, after :func:`lazyomics.pp.neighbors`; or a graph,
        scipy sparse or dask array, shape (n_obs, n_obs).
    vals
        Values instead of those of ``adata``, shape (n_features, n_obs) or (n_obs,): ndarray, scipy
        sparse, DataFrame, Series or dask array.
    use_graph
        Key of a graph in ``obsp``.
    neighbors_key
        Key in ``uns`` that ``pp.neighbors`` wrote, by default ``"neighbors"``.
    layer, obsm, obsp
        Key of the values that are used instead of X, one of these.
    use_raw
        Use ``adata.raw.X``.

    Returns
    -------
    ndarray of float64, shape (n_features,)
        NaN for features of which all cells have the same value. A number for ``vals`` of one
        dimension.

    Raises
    ------
    KeyError
        If there is no such graph, layer or entry.
    TypeError
        If values are given twice or are no numbers, or keys are given together with a graph.
    ValueError
        If there is no neighbour graph, its weights are not finite or sum to 0, or more than one
        matrix is named.
    ShapeError
        If graph and values are of different numbers of cells.

    Warns
    -----
    UserWarning
        If all cells have the same value of some features.

    Notes
    -----
    Passes over X, peak memory and sums: as of :func:`lazyomics.metrics.morans_i`.

    References
    ----------
    Geary (1954). doi:10.2307/2986645;
    DeTomaso et al. (2019), VISION. doi:10.1038/s41467-019-12235-0

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> import lazyomics as lo
    >>> ring = sp.csr_matrix(np.roll(np.eye(6), 1, axis=1) + np.roll(np.eye(6), -1, axis=1))
    >>> lo.metrics.gearys_c(ring, np.array([[1.0, 1, 1, 0, 0, 0], [1, 0, 1, 0, 1, 0]]))
    array([0.55555556, 1.66666667])
    """
    sums = edge_sums(
        "metrics.gearys_c",
        adata_or_graph,
        vals,
        differences=True,
        use_graph=use_graph,
        neighbors_key=neighbors_key,
        layer=layer,
        obsm=obsm,
        obsp=obsp,
        use_raw=use_raw,
    )
    spread = 2 * sums.total_weight * sums.squares
    found: NDArray[Any] | float = (sums.n_cells - 1) * sums.edges / spread
    return found
