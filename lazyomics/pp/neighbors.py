"""``pp.neighbors``: the neighbour graph of the cells."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from scipy import sparse

from lazyomics.container import AnnData
from lazyomics.pp import connectivities
from lazyomics.pp.knn import Knn, Metric, search
from lazyomics.pp.representation import choose_representation

__all__ = ["neighbors"]

METHODS = ("umap", "gauss")


def neighbors(
    adata: AnnData,
    *,
    n_neighbors: int = 15,
    n_pcs: int | None = None,
    use_rep: str | None = None,
    knn: bool = True,
    method: str = "umap",
    transformer: Any = None,
    metric: Metric = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    random_state: Any = 0,
    key_added: str | None = None,
) -> None:
    """Find the nearest neighbours of each cell and weigh the graph, eagerly.

    The search is exact (scikit-learn, brute force) below 8,192 cells for the euclidean metric
    and below 4,096 for others, and approximate (pynndescent, one thread, so that the result is
    the same on every machine) above.

    Parameters
    ----------
    adata
        Annotated matrix, ``n_obs`` × ``n_vars``.
    n_neighbors
        Neighbours of each cell, itself included. With ``knn=False`` the rank of the neighbour
        that sets the width of the Gaussian kernel.
    n_pcs
        Use only the first ``n_pcs`` columns of the representation; 0 means X.
    use_rep
        ``"X"`` or a key of ``adata.obsm``. By default ``X_pca`` (computed with a warning if it
        is missing), or X where ``n_vars`` ≤ 50.
    knn
        False computes weights of all pairs, dense; only with ``method="gauss"`` and few cells.
    method
        ``"umap"``: fuzzy simplicial set; ``"gauss"``: Gaussian kernels of adaptive width.
    transformer
        None, ``"sklearn"`` (exact), ``"pynndescent"``, or an object with the interface of
        :class:`sklearn.neighbors.KNeighborsTransformer`, whose own settings then hold.
    metric
        Name of a distance, or a function of two vectors.
    metric_kwds
        Options of the distance.
    random_state
        Seed of the approximate search.
    key_added
        Name of the result, ``"neighbors"`` by default.

    Returns
    -------
    None
        Sets ``adata.obsp["distances"]`` and ``adata.obsp["connectivities"]`` (CSR, n_obs ×
        n_obs, float; prefixed by ``key_added + "_"`` if given), and
        ``adata.uns["neighbors"]`` (or ``adata.uns[key_added]``) with ``connectivities_key``,
        ``distances_key`` and ``params``.

    Raises
    ------
    ValueError
        For an unknown method, transformer or representation.
    MemoryError
        If X is on disk and would not fit ``lazyomics.memory``, or ``knn=False`` would not.
    MissingDependencyError
        If scikit-learn, umap-learn or pynndescent is needed and not installed.

    Notes
    -----
    Passes over X: 0 with an obsm representation, 1 if X is the representation. Peak memory: the
    representation, its float32 copy, and 2 × n_obs × n_neighbors values for each matrix.

    References
    ----------
    McInnes, Healy and Melville (2018), UMAP. doi:10.48550/arXiv.1802.03426;
    Dong, Moses and Li (2011), NN-descent. doi:10.1145/1963405.1963487;
    Haghverdi et al. (2016), Gaussian kernels. doi:10.1038/nmeth.3971

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[0.0, 0], [0, 1], [1, 0], [9, 9], [9, 8]]))
    >>> lo.pp.neighbors(adata, n_neighbors=3, use_rep="X")
    >>> adata.obsp["distances"].shape, adata.obsp["distances"].nnz
    ((5, 5), 10)
    """
    _check(n_neighbors, knn=knn, method=method, transformer=transformer)
    n_neighbors = _fitting(adata.n_obs, n_neighbors, transformer)
    found = search(
        choose_representation(adata, use_rep=use_rep, n_pcs=n_pcs),
        n_neighbors,
        knn=knn,
        transformer=transformer,
        metric=metric,
        metric_kwds=metric_kwds,
        random_state=random_state,
    )
    params: dict[str, Any] = {
        "n_neighbors": n_neighbors,
        "method": method,
        "random_state": random_state,
        "metric": metric,
    }
    given = {"metric_kwds": metric_kwds or None, "use_rep": use_rep, "n_pcs": n_pcs}
    params.update({name: value for name, value in given.items() if value is not None})
    weights = _weights(found, method)
    if method == "gauss" and isinstance(found.distances, sparse.csr_matrix):
        # UMAP's stay nearest first, as the search returned them; these in order of columns.
        found.distances.sort_indices()
    _store(adata, found, weights, params, key_added)


def _check(n_neighbors: int, *, knn: bool, method: str, transformer: Any) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, found {method!r}")
    if n_neighbors < 2:
        raise ValueError(f"n_neighbors counts the cell itself and must be ≥ 2, found {n_neighbors}")
    if not knn and (method != "gauss" or transformer is not None):
        raise ValueError("knn=False needs method='gauss' and transformer=None")


def _fitting(n_obs: int, n_neighbors: int, transformer: Any) -> int:
    """Return the number of neighbours that the data or the given transformer allows."""
    if transformer is not None and not isinstance(transformer, str):
        return int(transformer.get_params()["n_neighbors"])
    if n_obs < 2:
        raise ValueError(f"pp.neighbors needs at least 2 cells, found {n_obs}")
    if n_neighbors <= n_obs:
        return n_neighbors
    fewer = 1 + n_obs // 2
    warnings.warn(
        f"n_neighbors={n_neighbors} is more than the {n_obs} cells; using {fewer}",
        UserWarning,
        stacklevel=3,
    )
    return fewer


def _weights(found: Knn, method: str) -> Any:
    if method == "umap":
        return connectivities.umap(found.indices, found.lengths)
    return connectivities.gauss(found.distances, found.indices, found.lengths)


def _store(
    adata: AnnData, found: Knn, weights: Any, params: dict[str, Any], key_added: str | None
) -> None:
    prefix = "" if key_added is None else f"{key_added}_"
    adata.uns["neighbors" if key_added is None else key_added] = {
        "connectivities_key": f"{prefix}connectivities",
        "distances_key": f"{prefix}distances",
        "params": params,
    }
    adata.obsp[f"{prefix}distances"] = found.distances
    adata.obsp[f"{prefix}connectivities"] = weights
