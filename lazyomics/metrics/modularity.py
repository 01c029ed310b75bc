"""``metrics.modularity``: how much more edges lie inside of groups than by chance."""

from __future__ import annotations

from typing import Any

import pandas as pd
from scipy import sparse

from lazyomics.container.choose import check_annotated, is_annotated
from lazyomics.errors import ShapeError
from lazyomics.graph.communities import as_network
from lazyomics.lazy.kinds import is_dask_array, is_in_memory
from lazyomics.names import choices
from lazyomics.pp.stored_graph import as_graph, stored_connectivities

__all__ = ["modularity"]

MODES = ("calculate", "update", "retrieve")


def modularity(
    adata_or_connectivities: Any,
    /,
    labels: Any = "leiden",
    *,
    neighbors_key: str | None = None,
    is_directed: bool | None = None,
    mode: str = "calculate",
) -> float:
    """Compute the modularity of groups of cells in a graph, eagerly.

    Parameters
    ----------
    adata_or_connectivities
        Annotated matrix after :func:`lazyomics.pp.neighbors`; or weights, shape (n_obs, n_obs),
        ndarray, scipy sparse or dask array.
    labels
        Column of ``adata.obs``; or the label of each cell, shape (n_obs,).
    neighbors_key
        Key in ``uns`` that ``pp.neighbors`` wrote, by default ``"neighbors"``.
    is_directed
        Whether weights have a direction. Needed if they are given; those of an AnnData have none.
    mode
        ``"calculate"``; ``"update"``, which also sets ``adata.uns[labels]["modularity"]``; or
        ``"retrieve"``, which returns that.

    Returns
    -------
    float

    Raises
    ------
    KeyError
        If there is no such column or entry.
    TypeError
        If weights are given without ``is_directed`` or without the labels.
    ValueError
        If there is no neighbour graph, weights are not finite, labels are missing, the mode is
        unknown, or what is asked for belongs to an AnnData or to weights only.
    ShapeError
        If labels and graph are of different numbers of cells.
    MissingDependencyError
        If igraph is not installed.

    Notes
    -----
    Passes over X: 0. Peak memory: the graph in memory and as igraph's, about 100 bytes an edge.

    As of scanpy 1.12, whichever is installed.

    References
    ----------
    Newman and Girvan (2004). doi:10.1103/PhysRevE.69.026113

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> pairs = np.kron(np.eye(2), np.array([[0, 1], [1, 0]]))
    >>> lo.metrics.modularity(pairs, ["a", "a", "b", "b"], is_directed=False)
    0.5
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, found {mode!r}")
    if is_annotated(adata_or_connectivities):
        if is_directed:
            raise ValueError(
                "connectivities of an AnnData are undirected: leave out is_directed, or pass "
                "adata.obsp[key] itself"
            )
        return _of_annotated(adata_or_connectivities, labels, neighbors_key, mode)
    if not is_in_memory(adata_or_connectivities) and not is_dask_array(adata_or_connectivities):
        check_annotated(adata_or_connectivities, "metrics.modularity")
    if neighbors_key is not None or mode != "calculate":
        raise ValueError("neighbors_key and mode belong to an AnnData, found a graph")
    if isinstance(labels, str):
        raise TypeError("labels must be the label of each cell if a graph is given, found text")
    if is_directed is None:
        raise TypeError("is_directed must be True or False if a graph is given")
    graph = as_graph(adata_or_connectivities, "the graph")
    return _modularity(graph, labels, directed=is_directed)


def _of_annotated(adata: Any, labels: Any, neighbors_key: str | None, mode: str) -> float:
    if mode != "calculate":
        if not isinstance(labels, str):
            raise ValueError(f"labels must name a column of obs for mode={mode!r}")
        if labels not in adata.uns or (
            mode == "retrieve" and "modularity" not in adata.uns[labels]
        ):
            raise KeyError(
                f"adata.uns[{labels!r}] has no modularity: cluster the cells first, or pass "
                "mode='calculate'"
            )
    if mode == "retrieve":
        return float(adata.uns[labels]["modularity"])
    if isinstance(labels, str) and labels not in adata.obs:
        raise KeyError(f"adata.obs has no {labels!r}; {choices(labels, adata.obs)}")
    found = _modularity(
        stored_connectivities(adata, neighbors_key),
        adata.obs[labels] if isinstance(labels, str) else labels,
        directed=False,
    )
    if mode == "update":
        adata.uns[labels]["modularity"] = found
    return found


def _modularity(graph: sparse.csr_matrix, labels: Any, *, directed: bool) -> float:
    codes = pd.Categorical(labels).codes
    if graph.shape != (len(codes), len(codes)):
        raise ShapeError(f"the graph has shape {graph.shape}, the labels are of {len(codes)} cells")
    if (codes < 0).any():
        raise ValueError(f"{(codes < 0).sum()} labels are missing: leave these cells out")
    network, weights = as_network(graph, directed=directed)
    return float(network.modularity(codes.tolist(), weights=weights.tolist()))
