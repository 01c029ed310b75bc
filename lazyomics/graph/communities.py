"""Communities of a graph by igraph: Leiden and Louvain."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lazyomics.errors import require
from lazyomics.graph.seeds import seed_of

__all__ = [
    "as_network",
    "igraph_random",
    "joined_network",
    "leiden_communities",
    "louvain_communities",
    "multiplex_communities",
]


def as_network(adjacency: sparse.csr_matrix, *, directed: bool) -> tuple[Any, NDArray[np.float64]]:
    """Make a graph of igraph with an edge for each stored value other than 0.

    Returns
    -------
    The graph, and the weight of each edge, float64.
    """
    pairs = adjacency.tocoo()
    kept = pairs.data != 0
    return _network(
        adjacency.shape[0], pairs.row[kept], pairs.col[kept], directed=directed
    ), pairs.data[kept].astype(np.float64)


def joined_network(
    adjacency: sparse.csr_matrix, *, use_weights: bool
) -> tuple[Any, NDArray[np.float64]]:
    """Make an undirected graph of igraph in which i → j and j → i are one edge.

    Its weight is the sum of theirs (without weights their number), so that communities are worth
    what they are worth in a graph with both, which has twice the edges.

    Returns
    -------
    The graph, and the weight of each edge, float64.
    """
    weights = sparse.csr_matrix(adjacency, dtype=np.float64, copy=True)
    weights.eliminate_zeros()
    if not use_weights:
        weights.data[:] = 1
    # of symmetric graphs, both halves have the same pattern
    halves = sparse.triu(weights, k=0, format="csr") + sparse.tril(weights, k=-1, format="csr").T
    pairs = halves.tocoo()
    return _network(adjacency.shape[0], pairs.row, pairs.col, directed=False), pairs.data


def _network(n: int, ends: NDArray[Any], others: NDArray[Any], *, directed: bool) -> Any:
    igraph = require("igraph", extra="cluster", purpose="clustering or layout of a graph")
    # igraph reads an array as it lies in memory, without making a tuple of each edge
    edges = np.empty((len(ends), 2), dtype=np.int64)
    edges[:, 0], edges[:, 1] = ends, others
    return igraph.Graph(n=n, edges=edges, directed=directed)


def leiden_communities(
    adjacency: sparse.csr_matrix,
    *,
    resolution: float | None,
    use_weights: bool,
    random_state: Any,
    **options: Any,
) -> Any:
    """Find communities by igraph's Leiden algorithm.

    Parameters
    ----------
    adjacency
        Weights, shape (n_obs, n_obs).
    resolution
        None for igraph's default.
    use_weights
        False takes all edges for equal.
    random_state
        Seed, RandomState or Generator.
    options
        Of ``igraph.Graph.community_leiden``; the objective is modularity by default.

    Returns
    -------
    igraph.VertexClustering
    """
    network, weights = joined_network(adjacency, use_weights=use_weights)
    if resolution is not None:
        options["resolution"] = resolution
    options = {"objective_function": "modularity", "weights": weights.tolist(), **options}
    with igraph_random(seed_of(random_state)):
        return network.community_leiden(**options)


def louvain_communities(
    adjacency: sparse.csr_matrix, *, resolution: float, use_weights: bool, random_state: Any
) -> Any:
    """Find communities by igraph's multilevel algorithm; parameters as of `leiden_communities`."""
    network, weights = joined_network(adjacency, use_weights=use_weights)
    with igraph_random(seed_of(random_state)):
        return network.community_multilevel(weights=weights.tolist(), resolution=resolution)


_generator = threading.Lock()


@contextmanager
def igraph_random(seed: int | bytes) -> Iterator[None]:
    """Give igraph, which has one for the process, a generator that leaves all others alone."""
    igraph = require("igraph", extra="cluster", purpose="clustering or layout of a graph")
    with _generator:
        igraph.set_random_number_generator(random.Random(seed))
        try:
            yield
        finally:
            igraph.set_random_number_generator(random)


def multiplex_communities(
    networks: Sequence[Any],
    *,
    resolutions: Sequence[float | None],
    layer_weights: Sequence[float] | None,
    partition_type: Any,
    partition_kwargs: Mapping[str, Any],
    random_state: Any,
    **options: Any,
) -> tuple[list[int], float]:
    """Find communities of several graphs of the same cells by leidenalg.

    Parameters
    ----------
    networks
        Graphs of igraph, with the same number of vertices.
    resolutions
        Of each graph; None for the default of the partition type.
    layer_weights
        Of each graph, None for equal ones.
    partition_type
        leidenalg's class, None for RBConfigurationVertexPartition.
    partition_kwargs
        Its further arguments.
    random_state
        Seed, RandomState or Generator.
    options
        Of ``leidenalg.Optimiser.optimise_partition_multiplex``.

    Returns
    -------
    The community of each cell, and by how much the quality rose.
    """
    leidenalg = require("leidenalg", extra="cluster", purpose="clustering of several graphs")
    kind = leidenalg.RBConfigurationVertexPartition if partition_type is None else partition_type
    parts = [
        kind(
            network,
            **({} if resolution is None else {"resolution_parameter": resolution}),
            **partition_kwargs,
        )
        for network, resolution in zip(networks, resolutions, strict=True)
    ]
    optimiser = leidenalg.Optimiser()
    optimiser.set_rng_seed(seed_of(random_state) % 2**31)
    risen = optimiser.optimise_partition_multiplex(parts, layer_weights=layer_weights, **options)
    return parts[0].membership, float(risen)
