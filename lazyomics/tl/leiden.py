"""``tl.leiden``: communities of the neighbour graph."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from scipy import sparse

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.by_kind import by_kind
from lazyomics.container.choose import check_annotated
from lazyomics.errors import require
from lazyomics.graph.communities import as_network, leiden_communities
from lazyomics.names import check_keywords
from lazyomics.tl.communities_of_modalities import asks_for_one_graph, leiden_of_modalities
from lazyomics.tl.grouping import task_of

__all__ = ["leiden", "leiden_of_cells"]

FLAVORS = ("leidenalg", "igraph")
GIVEN_BY_THE_VERB = {"self", "graph", "partition_type"}


def leiden_of_cells(
    adata: AnnData,
    resolution: float | None = 1,
    *,
    restrict_to: tuple[str, Sequence[str]] | None = None,
    random_state: Any = 0,
    key_added: str = "leiden",
    adjacency: Any = None,
    directed: bool | None = None,
    use_weights: bool = True,
    n_iterations: int = -1,
    partition_type: Any = None,
    neighbors_key: str | None = None,
    obsp: str | None = None,
    copy: bool = False,
    flavor: str | None = "leidenalg",
    **clustering_args: Any,
) -> AnnData | None:
    """Cluster the cells by the Leiden algorithm, eagerly.

    Of a MuData the graphs of the modalities are clustered together, with muon's parameters:
    see ``help(lo.tl.leiden.of_modalities)``. ``obsp="connectivities"``, ``adjacency``,
    ``restrict_to`` and a ``neighbors_key`` that no modality has choose its joint graph, which is
    clustered as that of an AnnData.

    Parameters
    ----------
    adata
        Annotated matrix after :func:`lazyomics.pp.neighbors`; or a MuData.
    resolution
        Higher values give more clusters; None for partition types without it.
    restrict_to
        ``(obs_key, categories)``: cluster only these cells; the others keep their label.
    random_state
        Seed.
    key_added
        Column of ``obs``. With ``restrict_to``, the default becomes ``"leiden_R"``.
    adjacency
        Scipy sparse graph, shape (n_obs, n_obs), instead of a stored one.
    directed
        Treat the graph as directed; default True for leidenalg, always False for igraph.
    use_weights
        Use the edge weights.
    n_iterations
        Iterations of the algorithm; -1 until nothing improves.
    partition_type
        leidenalg's partition class, by default RBConfigurationVertexPartition.
    neighbors_key
        Key in ``uns`` that ``pp.neighbors`` wrote, by default ``"neighbors"``.
    obsp
        Key of a graph in ``obsp`` instead.
    copy
        Return a changed copy and leave ``adata`` as it is.
    flavor
        ``"leidenalg"`` (also None), whose labels are scanpy's; or ``"igraph"``, which is much
        faster. It has each edge once (scanpy: twice) and draws other random numbers, so that
        labels of the same quality are numbered otherwise.
    **clustering_args
        Passed on to the chosen implementation.

    Returns
    -------
    None, or the copy
        Sets ``adata.obs[key_added]``, categorical of ``"0"``, ``"1"``, … in natural order, and
        ``adata.uns[key_added]`` with ``params`` (resolution, random_state, n_iterations) and
        ``modularity`` (the value the implementation reports, float).

    Raises
    ------
    ValueError
        For an unknown flavor, options that exclude each other, or a missing graph.
    MissingDependencyError
        If igraph or leidenalg is not installed.

    Notes
    -----
    Passes over X: 0. Peak memory: the graph in memory and as igraph's, about 100 bytes an edge.

    References
    ----------
    Traag, Waltman and van Eck (2019). doi:10.1038/s41598-019-41695-z

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.repeat([[0.0], [50.0]], 10, axis=0) + np.arange(20)[:, None] % 10)
    >>> lo.pp.neighbors(adata, n_neighbors=4)
    >>> lo.tl.leiden(adata, flavor="igraph", n_iterations=2, resolution=0.1)
    >>> adata.obs["leiden"].value_counts().tolist()
    [10, 10]
    """
    check_annotated(adata, "tl.leiden", or_modalities=True)
    flavor = "leidenalg" if flavor is None else flavor
    _check_flavor(flavor, directed=directed, partition_type=partition_type)
    _check_arguments(clustering_args, flavor, partition_type)
    begun = logging.info("running Leiden clustering")
    adata = adata.copy() if copy else adata
    task = task_of(adata, adjacency, restrict_to, neighbors_key, obsp)
    options = {**clustering_args, "n_iterations": n_iterations}
    if flavor == "leidenalg":
        options["partition_type"] = partition_type
        options["directed"] = True if directed is None else directed
        part = _by_leidenalg(task.adjacency, resolution, random_state, use_weights, options)
    else:
        part = leiden_communities(
            task.adjacency,
            resolution=resolution,
            use_weights=use_weights,
            random_state=random_state,
            **options,
        )
    key_added = task.store(adata, key_added, "leiden", part.membership)
    adata.uns[key_added] = {
        "params": {
            "resolution": resolution,
            "random_state": random_state,
            "n_iterations": n_iterations,
        },
        "modularity": float(part.modularity),
    }
    logging.info(
        "    finished",
        time=begun,
        deep=f"found {len(set(part.membership))} clusters and added\n"
        f"    {key_added!r}, the cluster labels (adata.obs, categorical)",
    )
    return adata if copy else None


def _check_flavor(flavor: str, *, directed: bool | None, partition_type: Any) -> None:
    if flavor not in FLAVORS:
        raise ValueError(f"flavor must be one of {FLAVORS}, found {flavor!r}")
    if flavor == "igraph" and directed:
        raise ValueError("flavor='igraph' clusters undirected graphs only: leave out directed")
    if flavor == "igraph" and partition_type is not None:
        raise ValueError("partition_type belongs to flavor='leidenalg': leave it out")


def _check_arguments(given: Mapping[str, Any], flavor: str, partition_type: Any) -> None:
    """Refuse keywords that neither this verb nor the function behind it knows."""
    if not given:
        return
    own = list(inspect.signature(leiden_of_cells).parameters)
    if flavor == "igraph":
        igraph = require("igraph", extra="cluster", purpose="tl.leiden")
        functions = [igraph.Graph.community_leiden]
    else:
        leidenalg = require("leidenalg", extra="cluster", purpose="tl.leiden(flavor='leidenalg')")
        kind = partition_type or leidenalg.RBConfigurationVertexPartition
        functions = [leidenalg.find_partition, kind.__init__]
    found = [p for function in functions for p in inspect.signature(function).parameters.values()]
    if flavor == "leidenalg" and any(p.kind == p.VAR_KEYWORD for p in found[-1:]):
        return  # this partition type says itself what it takes
    names = [p.name for p in found if p.kind != p.VAR_KEYWORD]
    names = [name for name in dict.fromkeys(names) if name not in GIVEN_BY_THE_VERB]
    names += ["resolution_parameter"] * (flavor == "igraph")  # its older name
    check_keywords("tl.leiden", given, [*own, *names], f"flavor={flavor!r} takes {names}")


def _by_leidenalg(
    adjacency: sparse.csr_matrix,
    resolution: float | None,
    random_state: Any,
    use_weights: bool,
    options: dict[str, Any],
) -> Any:
    leidenalg = require("leidenalg", extra="cluster", purpose="tl.leiden(flavor='leidenalg')")
    network, weights = as_network(adjacency, directed=options.pop("directed"))
    partition_type = options.pop("partition_type") or leidenalg.RBConfigurationVertexPartition
    if resolution is not None:
        options["resolution_parameter"] = resolution
    if use_weights:
        options["weights"] = weights
    return leidenalg.find_partition(network, partition_type, seed=random_state, **options)


leiden = by_kind("tl.leiden", leiden_of_cells, leiden_of_modalities, of_whole=asks_for_one_graph)
