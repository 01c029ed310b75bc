"""``tl.louvain``: communities of the neighbour graph, by the older algorithm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.by_kind import by_kind
from lazyomics.container.choose import check_annotated
from lazyomics.graph.communities import louvain_communities
from lazyomics.tl.communities_of_modalities import asks_for_one_graph, louvain_of_modalities
from lazyomics.tl.grouping import task_of

__all__ = ["louvain", "louvain_of_cells"]

FLAVORS = ("vtraag", "igraph")


def louvain_of_cells(
    adata: AnnData,
    resolution: float | None = None,
    *,
    random_state: Any = 0,
    restrict_to: tuple[str, Sequence[str]] | None = None,
    key_added: str = "louvain",
    adjacency: Any = None,
    flavor: str = "vtraag",
    directed: bool = True,
    use_weights: bool = False,
    partition_type: Any = None,
    partition_kwargs: Mapping[str, Any] = MappingProxyType({}),
    neighbors_key: str | None = None,
    obsp: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Cluster the cells by the Louvain algorithm, eagerly.

    igraph computes it, whatever the flavor: the package ``louvain``, which scanpy calls by
    default, is no longer maintained. :func:`lazyomics.tl.leiden` is the better algorithm.

    Of a MuData its joint graph is clustered, where ``obsp="connectivities"``, ``adjacency``,
    ``restrict_to`` or a ``neighbors_key`` that no modality has chooses it. For the graphs of its
    modalities together see :func:`lazyomics.tl.leiden`.

    Parameters
    ----------
    adata
        Annotated matrix after :func:`lazyomics.pp.neighbors`; or a MuData.
    resolution
        Higher values give more clusters; by default 1.
    random_state
        Seed. (With ``flavor="igraph"`` scanpy has none.)
    restrict_to
        ``(obs_key, categories)``: cluster only these cells; the others keep their label.
    key_added
        Column of ``obs``. With ``restrict_to``, the default becomes ``"louvain_R"``.
    adjacency
        Scipy sparse graph, shape (n_obs, n_obs), instead of a stored one.
    flavor
        ``"vtraag"`` or ``"igraph"``: scanpy's names, which mean the same here.
    directed
        Without a meaning: edges count in both directions, which in a symmetric graph is the same.
    use_weights
        Use the edge weights.
    partition_type, partition_kwargs
        Only None and empty: these belong to the package ``louvain``.
    neighbors_key
        Key in ``uns`` that ``pp.neighbors`` wrote, by default ``"neighbors"``.
    obsp
        Key of a graph in ``obsp`` instead.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy
        Sets ``adata.obs[key_added]``, categorical of ``"0"``, ``"1"``, … in natural order, and
        ``adata.uns[key_added]["params"]`` (resolution, random_state).

    Raises
    ------
    ValueError
        For an unknown flavor, options of the package ``louvain``, or a missing graph.
    MissingDependencyError
        If igraph is not installed.

    Notes
    -----
    Passes over X: 0. Peak memory: the graph in memory and as igraph's, about 100 bytes an edge.

    References
    ----------
    Blondel, Guillaume, Lambiotte and Lefebvre (2008). doi:10.1088/1742-5468/2008/10/P10008

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.repeat([[0.0], [50.0]], 10, axis=0) + np.arange(20)[:, None] % 10)
    >>> lo.pp.neighbors(adata, n_neighbors=4)
    >>> lo.tl.louvain(adata, 0.1)
    >>> adata.obs["louvain"].value_counts().tolist()
    [10, 10]
    """
    check_annotated(adata, "tl.louvain", or_modalities=True)
    if flavor not in FLAVORS:
        raise ValueError(f"flavor must be one of {FLAVORS}, found {flavor!r}")
    if partition_type is not None or partition_kwargs:
        raise ValueError(
            "partition_type and partition_kwargs belong to the package louvain, which is not "
            "used: leave them out, or see tl.leiden(flavor='leidenalg')"
        )
    begun = logging.info("running Louvain clustering")
    adata = adata.copy() if copy else adata
    task = task_of(adata, adjacency, restrict_to, neighbors_key, obsp)
    part = louvain_communities(
        task.adjacency,
        resolution=1.0 if resolution is None else resolution,
        use_weights=use_weights,
        random_state=random_state,
    )
    key_added = task.store(adata, key_added, "louvain", part.membership)
    params = {"resolution": resolution, "random_state": random_state}
    adata.uns[key_added] = {"params": params}
    logging.info(
        "    finished",
        time=begun,
        deep=f"found {len(set(part.membership))} clusters and added\n"
        f"    {key_added!r}, the cluster labels (adata.obs, categorical)",
    )
    return adata if copy else None


louvain = by_kind(
    "tl.louvain", louvain_of_cells, louvain_of_modalities, of_whole=asks_for_one_graph
)
