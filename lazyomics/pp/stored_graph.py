"""Graphs of neighbours that an object holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from lazyomics import lazy
from lazyomics.container import AnnData
from lazyomics.container.choose import check_numbers
from lazyomics.names import choices

__all__ = [
    "as_graph",
    "choose_graph",
    "neighbors_entry",
    "stored_connectivities",
    "stored_distances",
]


def neighbors_entry(adata: AnnData, key: str | None = None) -> Mapping[str, Any]:
    """Return ``adata.uns[key]``, what ``pp.neighbors`` says about its result."""
    key = "neighbors" if key is None else key
    if key not in adata.uns:
        step = "lo.pp.neighbors(adata), or name its key_added,"
        raise ValueError(f"adata.uns has no {key!r}; {choices(key, adata.uns, step=step)}")
    entry: Mapping[str, Any] = adata.uns[key]
    return entry


def stored_connectivities(adata: AnnData, key: str | None = None) -> sparse.csr_matrix:
    """Return the weights that belong to ``adata.uns[key]``, in memory.

    Old files hold them in ``uns`` itself, without naming keys.
    """
    return _stored(adata, key, "connectivities")


def stored_distances(adata: AnnData, key: str | None = None) -> sparse.csr_matrix:
    """Return the distances that belong to ``adata.uns[key]``, in memory."""
    return _stored(adata, key, "distances")


def _stored(adata: AnnData, key: str | None, what: str) -> sparse.csr_matrix:
    entry = neighbors_entry(adata, key)
    name = str(entry.get(f"{what}_key", what))
    if name in adata.obsp:
        return as_graph(adata.obsp[name], f"obsp[{name!r}]")
    if name in entry:
        return as_graph(entry[name], f"uns[{key or 'neighbors'!r}][{name!r}]")
    raise ValueError(
        f"adata.obsp has no {name!r}, which adata.uns[{key or 'neighbors'!r}] names: "
        "run lo.pp.neighbors again"
    )


def choose_graph(
    adata: AnnData, *, obsp: str | None = None, neighbors_key: str | None = None
) -> sparse.csr_matrix:
    """Return ``adata.obsp[obsp]`` or the weights of a neighbour graph, in memory."""
    if obsp is None:
        return stored_connectivities(adata, neighbors_key)
    if neighbors_key is not None:
        raise ValueError("obsp and neighbors_key both name a graph: give one of them")
    if obsp not in adata.obsp:
        raise KeyError(f"adata.obsp has no {obsp!r}; {choices(obsp, adata.obsp)}")
    return as_graph(adata.obsp[obsp], f"obsp[{obsp!r}]")


def as_graph(matrix: Any, name: str) -> sparse.csr_matrix:
    """Return the weights of a graph in memory.

    Raises
    ------
    TypeError, ValueError
        If they are no finite numbers.
    """
    if not isinstance(matrix, np.ndarray) and not sparse.issparse(matrix):
        matrix = lazy.materialize(matrix)
    check_numbers(matrix, name)
    weights = sparse.csr_matrix(matrix)
    if not np.isfinite(weights.data).all():
        raise ValueError(f"weights in {name} are NaN or infinite: run lo.pp.neighbors again")
    return weights
