"""``pp.neighbors``: neighbours of cells and the graph that they make."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.by_kind import by_kind
from lazyomics.container.choose import check_annotated, is_annotated
from lazyomics.graph.search import Knn, Metric, given_distances, reads_blocks, search, searches_here
from lazyomics.graph.weights import fuzzy, gauss
from lazyomics.names import choices
from lazyomics.pp.neighbors_of_modalities import (
    asks_for_arrays_of_the_whole,
    neighbors_of_modalities,
)
from lazyomics.pp.representation import choose_representation

__all__ = ["neighbors", "neighbors_of_cells"]

METHODS = ("umap", "gauss")


def neighbors_of_cells(
    adata: AnnData,
    n_neighbors: int = 15,
    n_pcs: int | None = None,
    *,
    distances: Any = None,
    use_rep: str | None = None,
    knn: bool = True,
    method: str = "umap",
    transformer: Any = None,
    metric: Metric | None = None,
    metric_kwds: Mapping[str, Any] | None = MappingProxyType({}),
    random_state: Any = 0,
    key_added: str | None = None,
    copy: bool = False,
    recall: float = 0.99,
) -> AnnData | None:
    """Find the nearest neighbours of each cell and weigh the graph, eagerly.

    Of a MuData, cells that are near in its modalities together are neighbours, with the parameters
    of muon: see ``help(lo.pp.neighbors.of_modalities)``. With ``use_rep`` or ``distances`` that
    belong to the whole, its cells are taken as those of an AnnData.

    The search is exact below 20,000 cells, or five times the square of ``n_neighbors``. Among more
    of them it goes by cells of k-means, as many as it takes to find ``recall`` of the true
    neighbours. The graph is the same on any number of threads. Metrics other than ``"euclidean"``,
    ``"cosine"`` and ``"correlation"``, and sparse representations, are searched by scikit-learn up
    to 8,192 cells, by pynndescent above.

    Parameters
    ----------
    adata
        Annotated matrix, ``n_obs`` × ``n_vars``; or a MuData.
    n_neighbors
        Neighbours of each cell, itself included. With ``knn=False`` the rank of the neighbour
        that sets the width of the Gaussian kernel.
    n_pcs
        Use only the first ``n_pcs`` columns of the representation; 0 means X.
    distances
        Distances between cells that are known already, dense or sparse, shape (n_obs, n_obs):
        the graph is made of these, and nothing is searched for.
    use_rep
        ``"X"`` or a key of ``adata.obsm``. By default ``X_pca`` (computed with a warning if it
        is missing), or X where ``n_vars`` ≤ 50.
    knn
        False computes weights of all pairs, dense; only with ``method="gauss"`` and few cells.
    method
        ``"umap"``: fuzzy simplicial set; ``"gauss"``: Gaussian kernels of adaptive width.
    transformer
        None, ``"sklearn"`` (exact), ``"pynndescent"`` (approximate), or an object with the
        interface of :class:`sklearn.neighbors.KNeighborsTransformer`, whose own settings then
        hold.
    metric
        Name of a distance, or a function of two vectors; by default ``"euclidean"``. With
        ``distances`` the name that is noted with the graph; by default none is.
    metric_kwds
        Options of the distance.
    random_state
        Seed of the approximate search.
    key_added
        Name of the result, ``"neighbors"`` by default.
    copy
        Return a changed copy and leave ``adata`` as it is.
    recall
        Share of the true neighbours that is to be found, from 0 to 1; 1 compares all cells with
        each other.

    Returns
    -------
    None, or the copy
        Sets ``adata.obsp["distances"]`` and ``adata.obsp["connectivities"]`` (CSR, n_obs ×
        n_obs, float; prefixed by ``key_added + "_"`` if given), and
        ``adata.uns["neighbors"]`` (or ``adata.uns[key_added]``) with ``connectivities_key``,
        ``distances_key`` and ``params``; where the search was not exact also with ``recall``, the
        share of the true neighbours that was found of 1,000 cells.

    Raises
    ------
    ValueError
        For an unknown method, transformer, representation or recall; if the representation has
        NaN or infinite values, naming the cells (NaN may be there with the metric
        ``"nan_euclidean"``).
    MemoryError
        If X is the representation and would not fit ``lazyomics.memory``, except where it is
        dense and cells of k-means are searched; or if the pairs of ``knn=False`` would not.
    MissingDependencyError
        If pynndescent is needed and not installed.

    Notes
    -----
    Passes over X: 0 with an obsm representation, 1 if X is the representation. Peak memory: the
    representation, its float32 copy (float64 below 20,000 cells), and 2 × n_obs × n_neighbors
    values for each matrix. A representation that would not fit ``lazyomics.memory`` stays on disk
    where cells of k-means are searched, and is read 4 times, and once more for each part of its
    copy that fits; the copy is a temporary file then, in dask's ``temporary-directory``.

    References
    ----------
    McInnes, Healy and Melville (2018), UMAP. doi:10.48550/arXiv.1802.03426;
    Jégou, Douze and Schmid (2011), search by cells. doi:10.1109/TPAMI.2010.57;
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
    check_annotated(adata, "pp.neighbors", or_modalities=True)
    _check_whole(adata, use_rep, distances)
    _check(n_neighbors, knn=knn, method=method, transformer=transformer, recall=recall)
    begun = logging.info("computing neighbors")
    n_neighbors = _fitting(adata.n_obs, n_neighbors, transformer)
    adata = adata.copy() if copy else adata
    if distances is None:
        metric = "euclidean" if metric is None else metric
        own = transformer is not None and not isinstance(transformer, str)
        finite = metric != "nan_euclidean" and not own
        way: dict[str, Any] = {"knn": knn, "transformer": transformer}
        way |= {"metric": metric, "metric_kwds": metric_kwds}
        on_disk = searches_here(**way) and reads_blocks(adata.n_obs, n_neighbors, recall)
        found = search(
            choose_representation(
                adata, use_rep=use_rep, n_pcs=n_pcs, finite=finite, on_disk=on_disk
            ),
            n_neighbors,
            random_state=random_state,
            recall=recall,
            **way,
        )
    else:
        _refuse_search(n_pcs, use_rep, knn, transformer, metric)
        found = given_distances(distances, adata.n_obs, n_neighbors)
    _check_lengths(found, adata.obs_names)
    params: dict[str, Any] = {
        "n_neighbors": n_neighbors,
        "method": method,
        "random_state": random_state,
    }
    given = {
        "metric": metric,
        "metric_kwds": metric_kwds or None,
        "use_rep": use_rep,
        "n_pcs": n_pcs,
    }
    params.update({name: value for name, value in given.items() if value is not None})
    weights = _weights(found, method)
    if method == "gauss" and isinstance(found.distances, sparse.csr_matrix):
        # UMAP's stay nearest first, as the search returned them; these in order of columns.
        found.distances.sort_indices()
    _store(adata, found, weights, params, key_added)
    prefix = "" if key_added is None else f"{key_added}_"
    logging.info(
        "    finished",
        time=begun,
        deep=f"added to `.uns[{key_added or 'neighbors'!r}]`\n"
        f"    `.obsp['{prefix}distances']`, distances for each pair of neighbors\n"
        f"    `.obsp['{prefix}connectivities']`, weighted adjacency matrix",
    )
    return adata if copy else None


def _check_whole(adata: Any, use_rep: str | None, distances: Any) -> None:
    if distances is None and not is_annotated(adata) and use_rep not in adata.obsm:
        raise ValueError(
            f"use_rep={use_rep!r} is not in mdata.obsm: leave it out for neighbours by all "
            f"modalities together; {choices(use_rep, adata.obsm)}"
        )


def _refuse_search(n_pcs: Any, use_rep: Any, knn: bool, transformer: Any, metric: Any) -> None:
    options = {"n_pcs": n_pcs, "use_rep": use_rep, "transformer": transformer}
    given = [name for name, value in options.items() if value is not None]
    given += [] if knn else ["knn"]
    if given:
        raise ValueError(f"distances are given: nothing is searched for by {', '.join(given)}")
    if callable(metric):
        raise TypeError("with distances, metric is only the name that is noted with the graph")


def _check_lengths(found: Knn, names: pd.Index) -> None:
    bad = np.flatnonzero(~np.isfinite(found.lengths).all(axis=1))
    if len(bad):
        raise ValueError(
            f"distances of {len(bad)} cells are NaN or infinite, first of {names[bad[0]]!r}: "
            "such cells have no neighbours; leave them out"
        )


def _check(n_neighbors: int, *, knn: bool, method: str, transformer: Any, recall: float) -> None:
    if not 0 < recall <= 1:
        raise ValueError(f"recall is a share of neighbours above 0 and up to 1, found {recall}")
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
        stacklevel=4,
    )
    return fewer


def _weights(found: Knn, method: str) -> Any:
    if method == "umap":
        return fuzzy(found.indices, found.lengths)
    return gauss(found.distances, found.indices, found.lengths)


def _store(
    adata: AnnData, found: Knn, weights: Any, params: dict[str, Any], key_added: str | None
) -> None:
    prefix = "" if key_added is None else f"{key_added}_"
    adata.uns["neighbors" if key_added is None else key_added] = {
        "connectivities_key": f"{prefix}connectivities",
        "distances_key": f"{prefix}distances",
        "params": params,
        **({} if found.recall is None else {"recall": found.recall}),
    }
    adata.obsp[f"{prefix}distances"] = found.distances
    adata.obsp[f"{prefix}connectivities"] = weights


neighbors = by_kind(
    "pp.neighbors",
    neighbors_of_cells,
    neighbors_of_modalities,
    of_whole=asks_for_arrays_of_the_whole,
)
