"""``tl.paga``: the graph of groups that is abstracted from the neighbour graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from lazyomics.container import AnnData
from lazyomics.container.categories import strings_to_categoricals
from lazyomics.container.choose import check_annotated
from lazyomics.errors import ShapeError
from lazyomics.graph.abstraction import (
    confident_transitions,
    connectivities_v1_0,
    connectivities_v1_2,
    edges_between,
)
from lazyomics.names import choices
from lazyomics.pp.stored_graph import (
    as_graph,
    neighbors_entry,
    stored_connectivities,
    stored_distances,
)

__all__ = ["paga"]

MODELS = ("v1.2", "v1.0")
VELOCITY = "velocity_graph"
OLD_VELOCITY = "velocyto_transitions"


def paga(
    adata: AnnData,
    groups: str | None = None,
    *,
    use_rna_velocity: bool = False,
    model: str = "v1.2",
    neighbors_key: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Measure how strongly groups of cells are connected in the neighbour graph, eagerly.

    Parameters
    ----------
    adata
        Annotated matrix after :func:`lazyomics.pp.neighbors`.
    groups
        Categorical column of obs, or one of text; by default ``"leiden"`` or ``"louvain"``,
        whichever there is.
    use_rna_velocity
        Count the directed edges of ``adata.uns["velocity_graph"]``, sparse, shape (n_obs, n_obs),
        instead of those of the neighbour graph.
    model
        ``"v1.2"``: edges to the nearest neighbours are compared with those of random neighbours.
        ``"v1.0"``: weighted edges are compared with the geometric mean of the groups' sizes.
    neighbors_key
        Key in ``uns`` that ``pp.neighbors`` wrote, by default ``"neighbors"``.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy
        Sets in ``adata.uns["paga"]``, whose other entries stay: ``connectivities`` and
        ``connectivities_tree``, CSR matrices of float64, shape (n_groups, n_groups), and
        ``groups``, the name of the column; and ``adata.uns[groups + "_sizes"]``, int64, shape
        (n_groups,). With ``use_rna_velocity``, ``transitions_confidence`` instead of the matrices,
        a CSC matrix with the transition from group j to group i in row i and column j.

    Raises
    ------
    ValueError
        If there is no neighbour graph or velocity graph, no column to take, for an unknown model,
        and if the column is not categorical or cells belong to no group.
    KeyError
        If obs has no such column.
    ShapeError
        If the velocity graph is of another number of cells.

    Notes
    -----
    Passes over X: 0. Peak memory: the graph, and 24 bytes for each edge of 262,144 cells.

    All categories have a row, those without cells, too; scanpy leaves these out at the end. Cells
    without a group are refused. igraph is not needed.

    References
    ----------
    Wolf et al. (2019). doi:10.1186/s13059-019-1663-x

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"part": pd.Categorical(np.arange(30) // 10)}, index=map(str, range(30)))
    >>> adata = lo.AnnData(np.arange(30.0)[:, None], obs=obs)
    >>> lo.pp.neighbors(adata, n_neighbors=4)
    >>> lo.tl.paga(adata, groups="part")
    >>> (adata.uns["paga"]["connectivities"].toarray() > 0).astype(int)
    array([[0, 1, 0],
           [1, 0, 1],
           [0, 1, 0]])
    """
    check_annotated(adata, "tl.paga")
    if model not in MODELS:
        raise ValueError(f"model must be one of {MODELS}, found {model!r}")
    entry = neighbors_entry(adata, neighbors_key)
    groups = _column(adata.obs, groups)
    labels = _labels(adata.obs, groups)
    codes = labels.codes.astype(np.int64)
    n_groups = len(labels.categories)
    sizes = np.bincount(codes, minlength=n_groups)
    found: dict[str, Any] = {}
    velocity = None
    if use_rna_velocity:
        velocity = _velocity(adata)
        counts = edges_between(_without_zeros(velocity), codes, n_groups)
        n_neighbors = _n_neighbors(entry, stored_connectivities(adata, neighbors_key))
        found["transitions_confidence"] = confident_transitions(counts, sizes, n_neighbors)
    else:
        if model == "v1.2":
            graph = stored_distances(adata, neighbors_key)
            both = connectivities_v1_2(edges_between(graph, codes, n_groups), sizes)
        else:
            graph = stored_connectivities(adata, neighbors_key)
            counts = edges_between(graph, codes, n_groups)
            both = connectivities_v1_0(counts, sizes, _n_neighbors(entry, graph))
        found["connectivities"], found["connectivities_tree"] = both
    adata = adata.copy() if copy else adata
    if not isinstance(adata.obs[groups].dtype, pd.CategoricalDtype):
        adata.obs[groups] = labels
    if velocity is not None and VELOCITY not in adata.uns:
        adata.uns[VELOCITY] = adata.uns[OLD_VELOCITY]
    adata.uns["paga"] = {**adata.uns.get("paga", {}), **found, "groups": groups}
    if not use_rna_velocity:
        adata.uns[f"{groups}_sizes"] = sizes
    return adata if copy else None


def _column(obs: pd.DataFrame, groups: str | None) -> str:
    if groups is None:
        groups = next((name for name in ("leiden", "louvain") if name in obs), None)
    if groups is None:
        raise ValueError("run lo.tl.leiden or tl.louvain first, or name a column of obs as groups=")
    if groups not in obs:
        raise KeyError(f"adata.obs has no {groups!r}; {choices(groups, obs.columns)}")
    return groups


def _labels(obs: pd.DataFrame, groups: str) -> pd.Categorical:
    """Groups of the cells; columns of text become categorical."""
    column = obs[groups]
    if not isinstance(column.dtype, pd.CategoricalDtype):
        column = strings_to_categoricals(obs[[groups]])[groups]
    if not isinstance(column.dtype, pd.CategoricalDtype):
        raise ValueError(f"adata.obs[{groups!r}] must be categorical, found {column.dtype}")
    labels: pd.Categorical = column.array
    without = int((labels.codes < 0).sum())
    if without:
        raise ValueError(
            f"{without} cells have no group in adata.obs[{groups!r}]: select the others first"
        )
    return labels


def _velocity(adata: AnnData) -> sparse.csr_matrix:
    name = next((name for name in (VELOCITY, OLD_VELOCITY) if name in adata.uns), None)
    if name is None:
        raise ValueError(
            f"use_rna_velocity=True needs adata.uns[{VELOCITY!r}], a sparse matrix of cells by "
            "cells from RNA velocity"
        )
    graph = as_graph(adata.uns[name], f"uns[{name!r}]")
    if graph.shape != (adata.n_obs, adata.n_obs):
        raise ShapeError(
            f"uns[{name!r}] has shape {graph.shape}, expected {(adata.n_obs, adata.n_obs)}"
        )
    return graph


def _without_zeros(graph: sparse.csr_matrix) -> sparse.csr_matrix:
    if graph.data.all():
        return graph
    graph = graph.copy()
    graph.eliminate_zeros()
    return graph


def _n_neighbors(entry: Mapping[str, Any], weights: sparse.csr_matrix) -> int:
    """Neighbours of a cell, as they are recorded or else as there are on average."""
    if "params" in entry:
        return int(entry["params"]["n_neighbors"])
    return int(weights.count_nonzero() / weights.shape[0] / 2)
