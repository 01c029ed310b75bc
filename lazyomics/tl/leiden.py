"""``tl.leiden``: communities of the neighbour graph."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.errors import ShapeError, require
from lazyomics.pp.stored_graph import as_graph, choose_graph

__all__ = ["leiden"]

FLAVORS = ("leidenalg", "igraph")


def leiden(
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

    Parameters
    ----------
    adata
        Annotated matrix after :func:`lazyomics.pp.neighbors`.
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
        ``"leidenalg"`` (also None), or ``"igraph"``, which is much faster.
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
    Passes over X: 0. Peak memory: the graph in memory and as an igraph edge list, about 100
    bytes an edge.

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
    check_annotated(adata, "tl.leiden")
    flavor = "leidenalg" if flavor is None else flavor
    _check_flavor(flavor, directed=directed, partition_type=partition_type)
    adata = adata.copy() if copy else adata
    if adjacency is None:
        adjacency = choose_graph(adata, obsp=obsp, neighbors_key=neighbors_key)
    else:
        adjacency = as_graph(adjacency, "adjacency")
    if adjacency.shape != (adata.n_obs, adata.n_obs):
        raise ShapeError(
            f"the graph has shape {adjacency.shape}, expected {(adata.n_obs, adata.n_obs)}"
        )
    restricted = None if restrict_to is None else _restriction(adata.obs, *restrict_to)
    if restricted is not None:
        adjacency = adjacency[restricted, :][:, restricted]
    cluster = _cluster_leidenalg if flavor == "leidenalg" else _cluster_igraph
    options = {**clustering_args, "n_iterations": n_iterations}
    if flavor == "leidenalg":
        options["partition_type"] = partition_type
        options["directed"] = True if directed is None else directed
    part = cluster(sparse.csr_matrix(adjacency), resolution, random_state, use_weights, options)
    labels = np.array(part.membership).astype("U")
    if restrict_to is not None and restricted is not None:
        key_added = "leiden_R" if key_added == "leiden" else key_added
        labels = _relabel(adata.obs, restrict_to, restricted, labels)
    adata.obs[key_added] = pd.Categorical(
        labels, categories=sorted(np.unique(labels).tolist(), key=_natural)
    )
    adata.uns[key_added] = {
        "params": {
            "resolution": resolution,
            "random_state": random_state,
            "n_iterations": n_iterations,
        },
        "modularity": float(part.modularity),
    }
    return adata if copy else None


def _check_flavor(flavor: str, *, directed: bool | None, partition_type: Any) -> None:
    if flavor not in FLAVORS:
        raise ValueError(f"flavor must be one of {FLAVORS}, found {flavor!r}")
    if flavor == "igraph" and directed:
        raise ValueError("flavor='igraph' clusters undirected graphs only: leave out directed")
    if flavor == "igraph" and partition_type is not None:
        raise ValueError("partition_type belongs to flavor='leidenalg': leave it out")


def _cluster_leidenalg(
    adjacency: sparse.csr_matrix,
    resolution: float | None,
    random_state: Any,
    use_weights: bool,
    options: dict[str, Any],
) -> Any:
    leidenalg = require("leidenalg", extra="cluster", purpose="tl.leiden(flavor='leidenalg')")
    network = _as_igraph(adjacency, directed=options.pop("directed"))
    partition_type = options.pop("partition_type") or leidenalg.RBConfigurationVertexPartition
    if resolution is not None:
        options["resolution_parameter"] = resolution
    if use_weights:
        options["weights"] = np.array(network.es["weight"]).astype(np.float64)
    return leidenalg.find_partition(network, partition_type, seed=random_state, **options)


def _cluster_igraph(
    adjacency: sparse.csr_matrix,
    resolution: float | None,
    random_state: Any,
    use_weights: bool,
    options: dict[str, Any],
) -> Any:
    network = _as_igraph(adjacency, directed=False)
    if resolution is not None:
        options["resolution"] = resolution
    if use_weights:
        options["weights"] = "weight"
    options.setdefault("objective_function", "modularity")
    with _igraph_seed(random_state):
        return network.community_leiden(**options)


def _as_igraph(adjacency: sparse.csr_matrix, *, directed: bool) -> Any:
    igraph = require("igraph", extra="cluster", purpose="tl.leiden")
    edges = adjacency.tocoo()
    kept = edges.data != 0
    network = igraph.Graph(directed=directed)
    network.add_vertices(adjacency.shape[0])
    network.add_edges(np.column_stack([edges.row[kept], edges.col[kept]]))
    network.es["weight"] = edges.data[kept]
    return network


class _NumpyNumbers:
    """Random numbers for igraph that leave Python's and NumPy's global state alone."""

    def __init__(self, seed: Any) -> None:
        self.source = seed if isinstance(seed, np.random.RandomState) else _seeded(seed)

    def getrandbits(self, k: int) -> int:
        return int(self.source.tomaxint()) & ((1 << k) - 1)

    def randint(self, a: int, b: int) -> int:
        return int(self.source.randint(a, b + 1))

    def random(self) -> float:
        return float(self.source.random())

    def gauss(self, mu: float, sigma: float) -> float:
        return float(self.source.normal(mu, sigma))


def _seeded(seed: int | None) -> np.random.RandomState:
    return np.random.RandomState(seed)


@contextmanager
def _igraph_seed(seed: Any) -> Iterator[None]:
    igraph = require("igraph", extra="cluster", purpose="tl.leiden")
    igraph.set_random_number_generator(_NumpyNumbers(seed))
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)


def _restriction(obs: pd.DataFrame, key: str, categories: Sequence[str]) -> NDArray[np.bool_]:
    if isinstance(categories, str) or not all(isinstance(c, str) for c in categories):
        raise ValueError(
            f"restrict_to needs (obs_key, list of labels as text), found {categories!r}"
        )
    if key not in obs:
        raise KeyError(f"adata.obs has no {key!r}, which restrict_to names")
    if not isinstance(obs[key].dtype, pd.CategoricalDtype):
        raise ValueError(f"adata.obs[{key!r}] must be categorical, found {obs[key].dtype}")
    known = obs[key].cat.categories
    unknown = [c for c in categories if c not in known]
    if unknown:
        raise ValueError(f"{unknown} are no categories of adata.obs[{key!r}]: {list(known)}")
    return obs[key].isin(list(categories)).to_numpy()


def _relabel(
    obs: pd.DataFrame,
    restrict_to: tuple[str, Sequence[str]],
    restricted: NDArray[np.bool_],
    labels: NDArray[np.str_],
) -> NDArray[Any]:
    key, categories = restrict_to
    everyone = np.array([str(label) for label in obs[key]], dtype=object)
    everyone[restricted] = [f"{'-'.join(categories)},{label}" for label in labels]
    return everyone


def _natural(label: str) -> tuple[Any, ...]:
    """Sort key under which "10" comes after "2"."""
    parts = re.split(r"(\d+)", label)
    return tuple(int(part) if i % 2 else part for i, part in enumerate(parts))
