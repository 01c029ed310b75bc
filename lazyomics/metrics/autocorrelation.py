"""Graph, values and passes of Moran's I and Geary's C."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container.choose import check_annotated, check_numbers, get_matrix, is_annotated
from lazyomics.container.values import is_ragged, normal_form
from lazyomics.errors import ShapeError, warn_user
from lazyomics.kernels.autocorrelation import (
    CellWeights,
    autocorrelation_sums,
    autocorrelation_sums_of_rows,
)
from lazyomics.lazy.gene_values import GenePart, by_gene
from lazyomics.lazy.kinds import is_dask_array
from lazyomics.names import choices
from lazyomics.pp.stored_graph import as_graph, choose_graph

__all__ = ["EdgeSums", "edge_sums"]


class EdgeSums(NamedTuple):
    """Sums of each feature over the graph.

    Attributes
    ----------
    edges
        Sum over the edges, float64, shape (p,); of values of one dimension, a number.
    squares
        Sum of squared deviations from the mean, likewise; NaN where all cells are alike.
    n_cells
        Number of cells.
    total_weight
        Sum of all weights.
    """

    edges: Any
    squares: Any
    n_cells: int
    total_weight: float


def edge_sums(
    verb: str,
    adata_or_graph: Any,
    vals: Any,
    *,
    differences: bool,
    use_graph: str | None,
    neighbors_key: str | None,
    **place: Any,
) -> EdgeSums:
    """Choose graph and values, and sum over the edges.

    Parameters
    ----------
    verb
        For messages.
    adata_or_graph, vals, use_graph, neighbors_key
        As of ``metrics.morans_i``.
    differences
        Sum squared differences of neighbours; else products of deviations from the mean.
    place
        ``layer``, ``obsm``, ``obsp`` and ``use_raw``.

    Raises
    ------
    KeyError, TypeError, ValueError
        If there is no such graph or matrix, or it is of no use.
    ShapeError
        If graph and values are of different numbers of cells.
    """
    given = [name for name, value in place.items() if value not in (None, False)]
    if not isinstance(place["use_raw"], bool):
        raise TypeError(f"use_raw must be True or False, found {place['use_raw']!r}")
    if is_annotated(adata_or_graph):
        if vals is not None and given:
            raise TypeError(f"{verb}: vals and {', '.join(given)} both name values: give one")
        graph = _stored_graph(adata_or_graph, use_graph, neighbors_key)
        weights = _weights(graph, verb)
        if vals is None:
            return _sums_by_gene(_chosen(adata_or_graph, given, **place), weights, differences)
        return _sums_of_rows(vals, weights, differences)
    if not sp.issparse(adata_or_graph) and not is_dask_array(adata_or_graph):
        check_annotated(adata_or_graph, verb)
    given += [n for n, v in (("use_graph", use_graph), ("neighbors_key", neighbors_key)) if v]
    if given:
        raise TypeError(f"{verb}: {', '.join(given)} belong to an AnnData, found a graph")
    if vals is None:
        raise TypeError(f"{verb}: a graph is given without vals, the values of its cells")
    return _sums_of_rows(vals, _weights(as_graph(adata_or_graph, "the graph"), verb), differences)


def _stored_graph(adata: Any, use_graph: str | None, neighbors_key: str | None) -> sp.csr_matrix:
    if use_graph is not None and neighbors_key is not None:
        raise TypeError("use_graph and neighbors_key both name a graph: give one of them")
    by_name = use_graph is None and neighbors_key is None and "neighbors" not in adata.uns
    if by_name and "connectivities" in adata.obsp:
        use_graph = "connectivities"
    return choose_graph(adata, obsp=use_graph, neighbors_key=neighbors_key)


def _weights(graph: sp.csr_matrix, verb: str) -> CellWeights:
    if graph.shape[0] != graph.shape[1]:
        raise ShapeError(f"{verb}: the graph has shape {graph.shape}, expected as many columns")
    weights = CellWeights.of(graph)
    if weights.total == 0:
        raise ValueError(f"{verb}: the weights of the graph sum to 0, so that nothing is measured")
    return weights


def _chosen(adata: Any, given: list[str], **place: Any) -> Any:
    """Values of cells × features."""
    if len(given) > 1:
        raise ValueError(f"{', '.join(given)} each name values: give one of them")
    if not given or given[0] in ("layer", "use_raw"):
        return get_matrix(adata, layer=place["layer"], use_raw=place["use_raw"])
    (name,) = given
    mapping = getattr(adata, name)
    if place[name] not in mapping:
        raise KeyError(f"adata.{name} has no {place[name]!r}; {choices(place[name], mapping)}")
    values, where = mapping[place[name]], f"{name}[{place[name]!r}]"
    if is_ragged(values) or values.ndim != 2:
        raise TypeError(f"{where} is a {type(values).__name__}, expected a matrix of the cells")
    values = values.to_numpy() if isinstance(values, pd.DataFrame) else values
    check_numbers(values, where)
    return values


def _sums_by_gene(x: Any, weights: CellWeights, differences: bool) -> EdgeSums:
    """Sums of the columns of a matrix of cells."""
    if x.shape[0] != weights.n:
        raise ShapeError(f"the graph is of {weights.n} cells, the values are of {x.shape[0]}")
    if isinstance(x, np.ndarray):
        return _sums_of_rows(x.T, weights, differences)

    def work(part: GenePart) -> NDArray[np.float64]:
        values = part.values, part.groups, part.start
        return autocorrelation_sums(*values, weights, differences=differences)

    cells = np.arange(weights.n)
    found = by_gene(lazy.as_lazy(x), cells, work, n_codes=weights.n)
    return _told(np.concatenate([np.empty((0, 2)), *found]), weights)


def _sums_of_rows(vals: Any, weights: CellWeights, differences: bool) -> EdgeSums:
    """Sums of features × cells, or of one value for each cell."""
    values = _as_matrix(vals)
    if values.shape[-1] != weights.n:
        raise ShapeError(
            f"vals has shape {values.shape}, expected (n_features, {weights.n}) or ({weights.n},): "
            f"the graph is of {weights.n} cells"
        )
    rows = lazy.as_lazy(values.reshape(1, -1) if values.ndim == 1 else values)
    collected = lazy.collect_rows(
        rows,
        autocorrelation_sums_of_rows,
        dtype=np.float64,
        columns=2,
        weights=weights,
        differences=differences,
    )
    (sums,) = lazy.compute(collected)
    told = _told(sums, weights)
    if values.ndim == 1:
        return told._replace(edges=told.edges[0], squares=told.squares[0])
    return told


def _as_matrix(vals: Any) -> Any:
    known = isinstance(vals, np.ndarray | pd.DataFrame | pd.Series) or is_dask_array(vals)
    if not known and not sp.issparse(vals):
        raise TypeError(
            f"vals is a {type(vals).__name__}, expected an array of numpy, scipy.sparse or dask, "
            "a DataFrame or a Series"
        )
    if isinstance(vals, pd.DataFrame | pd.Series):
        vals = vals.to_numpy()
    check_numbers(vals, "vals")
    if vals.ndim not in (1, 2) or (vals.ndim == 1 and sp.issparse(vals)):
        raise ShapeError(f"vals has shape {vals.shape}, expected one or two dimensions")
    if sp.issparse(vals):
        vals = vals.tocsr()
    elif is_dask_array(vals) and vals.ndim == 1:
        (vals,) = lazy.compute(vals)
    return vals if vals.ndim == 1 else normal_form(vals, "vals")


def _told(sums: NDArray[np.float64], weights: CellWeights) -> EdgeSums:
    edges, squares = sums.T
    constant = squares == 0
    if constant.any():
        warn_user(f"{constant.sum()} variables were constant, will return nan for these.")
    return EdgeSums(edges, np.where(constant, np.nan, squares), weights.n, weights.total)
