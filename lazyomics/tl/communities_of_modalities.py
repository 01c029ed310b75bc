"""``tl.leiden`` of a MuData: communities of the graphs of all modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from lazyomics.container.categories import natural_key
from lazyomics.container.mudata import MuData
from lazyomics.errors import UnsupportedError
from lazyomics.graph.communities import as_network, multiplex_communities
from lazyomics.pp.neighbors_of_modalities import rows_in_modality
from lazyomics.pp.stored_graph import choose_graph

__all__ = ["asks_for_one_graph", "leiden_of_modalities", "louvain_of_modalities"]

OF_ONE_GRAPH = ("adjacency", "obsp", "restrict_to")  # scanpy's: muon has no such parameters


def asks_for_one_graph(mdata: MuData, given: Mapping[str, Any]) -> bool:
    """Whether parameters name a graph of the whole: by itself, or by a key no modality has."""
    if any(given.get(name) is not None for name in OF_ONE_GRAPH):
        return True
    key = given.get("neighbors_key")
    if key is None or key not in mdata.uns:
        return False
    return all(key not in adata.uns for adata in mdata.mod.values())


def leiden_of_modalities(
    mdata: MuData,
    resolution: float | Sequence[float] | Mapping[str, float] | None = None,
    mod_weights: float | Sequence[float] | Mapping[str, float] | None = None,
    random_state: Any = 0,
    key_added: str = "leiden",
    neighbors_key: str | None = None,
    directed: bool = True,
    partition_type: Any = None,
    partition_kwargs: Mapping[str, Any] = MappingProxyType({}),
    *,
    copy: bool = False,
    n_iterations: int = 2,
    is_membership_fixed: Sequence[bool] | None = None,
) -> MuData | None:
    """Cluster the cells by the graphs of all modalities, by the Leiden algorithm, as muon does.

    ``lo.tl.leiden(mdata)`` calls this function, also after ``lo.pp.neighbors(mdata)``, as muon's
    ``tl.leiden`` does. The one graph of all modalities together, which is what scanpy's
    ``tl.leiden`` takes of a MuData, is clustered by ``lo.tl.leiden(mdata,
    obsp="connectivities")``, or by a ``neighbors_key`` that ``mdata.uns`` has and no modality.

    Parameters
    ----------
    mdata
        Modalities after :func:`lazyomics.pp.neighbors` of each, ``n_obs`` cells in all.
    resolution
        Higher values give more clusters: one for all modalities, one for each in their order, or
        a mapping by name. None (and 0) for the default of the partition type, 1.
    mod_weights
        How much each modality counts, by default 1; given as ``resolution``. A modality that a
        mapping leaves out has 1.
    random_state
        Seed.
    key_added
        Column of ``mdata.obs``.
    neighbors_key
        Key in the ``uns`` of each modality that ``pp.neighbors`` wrote; ``"neighbors"``.
    directed
        Treat the graphs as directed.
    partition_type
        leidenalg's partition class, by default RBConfigurationVertexPartition.
    partition_kwargs
        Its further arguments. Edges count as equal but with ``{"weights": "weight"}``.
    copy
        Return a changed copy and leave ``mdata`` as it is.
    n_iterations
        Iterations of the algorithm; -1 until nothing improves.
    is_membership_fixed
        Cells that stay alone, bool, shape (n_obs,).

    Returns
    -------
    None, or the copy
        Sets ``mdata.obs[key_added]``, categorical of ``"0"``, ``"1"``, … in natural order, and
        ``mdata.uns["leiden"]["params"]`` (resolution, random_state, partition_improvement),
        whatever ``key_added`` is, as muon.

    Raises
    ------
    ValueError
        If a modality has no graph, or the resolutions or weights are not of the modalities.
    ShapeError
        If modalities were changed since ``mdata.update()``.
    MissingDependencyError
        If igraph or leidenalg is not installed.

    Notes
    -----
    Passes over X: 0. Peak memory: the graphs in memory and as igraph's, about 100 bytes an edge.

    Labels are those of muon 0.2 for the same graphs (muon 0.1 does not seed with 0). Modalities
    may hold different cells, or the same in another order: cells that a modality lacks have no
    edges there.

    References
    ----------
    Traag, Waltman and van Eck (2019). doi:10.1038/s41598-019-41695-z

    Examples
    --------
    >>> import lazyomics as lo
    >>> x = np.repeat([[0.0], [50.0]], 10, axis=0) + np.arange(20)[:, None] % 10
    >>> mdata = lo.MuData({mod: lo.AnnData(x.copy()) for mod in ("rna", "adt")})
    >>> for adata in mdata.mod.values():
    ...     lo.pp.neighbors(adata, n_neighbors=4)
    >>> lo.tl.leiden(mdata, resolution=[0.1, 0.2])
    >>> mdata.obs["leiden"].value_counts().tolist()
    [10, 10]
    """
    if mdata.axis != 0:
        raise ValueError(f"modalities must share cells, found a MuData of axis={mdata.axis}")
    if not mdata.mod:
        raise ValueError("tl.leiden needs at least one modality, found none")
    resolutions: list[Any] = [None] * len(mdata.mod)
    if _is_set(resolution):
        resolutions = _for_each(mdata, resolution, "resolution", None)
    weights = _for_each(mdata, mod_weights, "mod_weights", 1) if _is_set(mod_weights) else None
    membership, risen = multiplex_communities(
        [_network_of(mdata, mod, neighbors_key, directed=directed) for mod in mdata.mod],
        resolutions=resolutions,
        layer_weights=weights,
        partition_type=partition_type,
        partition_kwargs=partition_kwargs,
        random_state=random_state,
        n_iterations=n_iterations,
        is_membership_fixed=is_membership_fixed,
    )
    mdata = mdata.copy() if copy else mdata
    labels = np.array(membership).astype("U")
    categories = sorted(np.unique(labels).tolist(), key=natural_key)
    mdata.obs[key_added] = pd.Categorical(labels, categories=categories)
    params = {"resolution": resolution, "random_state": random_state}
    mdata.uns["leiden"] = {"params": {**params, "partition_improvement": risen}}
    return mdata if copy else None


def louvain_of_modalities(mdata: MuData, *args: Any, **options: Any) -> None:
    """Say what to use instead of the Louvain algorithm on the graphs of all modalities.

    muon calls the package ``louvain`` for it, which is no longer maintained nor built for Python
    3.13, and advises against it since its version 0.2.

    Raises
    ------
    UnsupportedError
        Always: with :func:`lazyomics.tl.leiden`, and how to cluster the joint graph.
    """
    raise UnsupportedError(
        "tl.louvain does not cluster the graphs of several modalities, for which muon calls the "
        "package louvain, no longer maintained: use tl.leiden(mdata); for the one graph of all "
        "modalities together pass obsp='connectivities'"
    )


def _is_set(given: Any) -> bool:
    """Whether a value other than 0 is given, or several."""
    return len(given) > 0 if hasattr(given, "__len__") else bool(given)


def _for_each(mdata: MuData, given: Any, name: str, default: float | None) -> list[float]:
    """Values in the order of the modalities."""
    mods = list(mdata.mod)
    if isinstance(given, Mapping):
        unknown = [mod for mod in given if mod not in mods]
        missing = [mod for mod in mods if mod not in given and default is None]
        if unknown or missing:
            raise ValueError(f"{name} is given for {list(given)}; modalities are {mods}")
        return [given.get(mod, default) for mod in mods]
    if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str):
        if len(given) != len(mods):
            raise ValueError(f"{name} has {len(given)} values for {len(mods)} modalities: {mods}")
        return list(given)
    return [given for _ in mods]


def _network_of(mdata: MuData, mod: str, key: str | None, *, directed: bool) -> Any:
    adata = mdata.mod[mod]
    if (key or "neighbors") not in adata.uns:
        raise ValueError(
            f"mdata.mod[{mod!r}].uns has no {key or 'neighbors'!r}: run lo.pp.neighbors on each "
            "modality first; the one graph of all together is given by obsp='connectivities'"
        )
    graph = choose_graph(adata, neighbors_key=key)
    rows = rows_in_modality(mdata, mod)
    if not np.array_equal(rows, np.arange(adata.n_obs)):
        held = np.flatnonzero(rows >= 0)
        picked = sparse.csr_matrix(
            (np.ones(len(held)), (held, rows[held])), shape=(len(rows), adata.n_obs)
        )
        graph = picked @ graph @ picked.T
    network, weights = as_network(sparse.csr_matrix(graph), directed=directed)
    network.es["weight"] = weights
    return network
