"""Colours of the nodes of an abstracted graph: numbers, colours, or shares of colours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import is_color_like
from scipy import sparse

from lazyomics.container import AnnData
from lazyomics.graph.abstraction import neighbor_lists
from lazyomics.names import choices
from lazyomics.pl.coloring import category_colors
from lazyomics.pl.values import as_categories, plot_values

__all__ = ["NodeColors", "abstracted", "group_column", "node_colors", "one_for_each"]

IGNORED = ("N/A", "dontknow", "no_gate", "?")  # categories that scanpy draws in grey

Shares = list[tuple[Any, float]]


@dataclass(frozen=True)
class NodeColors:
    """What the nodes of a panel are coloured by.

    Attributes
    ----------
    values
        Numbers or colours, one for each group; empty for pies.
    pies
        Colours and their shares for each group, or None.
    measured
        Whether the values are numbers of the cells, which a colour bar explains.
    """

    values: Sequence[Any]
    pies: list[Shares] | None = None
    measured: bool = False

    def take(self, kept: npt.NDArray[np.bool_]) -> NodeColors:
        """Colours of some groups."""
        places = np.flatnonzero(kept).tolist()
        if self.pies is not None:
            return NodeColors([], [self.pies[k] for k in places])
        return NodeColors([self.values[k] for k in places], None, self.measured)


def abstracted(adata: AnnData, key: str | None = None) -> Any:
    """Return ``uns["paga"]``, or a matrix in it.

    Raises
    ------
    ValueError
        If there is none.
    """
    if "paga" not in adata.uns or "groups" not in adata.uns["paga"]:
        raise ValueError("adata.uns has no 'paga' with 'groups': run lo.tl.paga first")
    entry = adata.uns["paga"]
    if key is None:
        return entry
    if key not in entry:
        raise ValueError(f"adata.uns['paga'] has no {key!r}; {choices(key, entry)}")
    matrix = entry[key]
    return sparse.csr_matrix(matrix.compute() if hasattr(matrix, "compute") else matrix)


def group_column(adata: AnnData, name: str | None = None) -> tuple[str, pd.Categorical]:
    """Name and values of the column that the graph was abstracted from."""
    name = str(abstracted(adata)["groups"]) if name is None else name
    groups = None if name not in adata.obs else as_categories(adata.obs[name])
    if groups is None:
        raise ValueError(f"adata.obs has no categorical column {name!r}: run lo.tl.paga again")
    return name, groups


def one_for_each(given: Any, n_groups: int) -> bool:
    """Whether an argument is for one panel: a name, None, or a value for each group."""
    return (
        given is None
        or isinstance(given, str)
        or (isinstance(given, Collection) and len(given) == n_groups)
    )


def node_colors(
    adata: AnnData,
    color: Any,
    *,
    solid: sparse.csr_matrix,
    dashed: sparse.csr_matrix | None,
    use_raw: bool,
    normalize_to_color: bool,
) -> NodeColors:
    """Colours of all groups by what :func:`lazyomics.pl.paga` takes as ``color``.

    Raises
    ------
    KeyError
        If a name is no colour, no column of obs and no gene.
    ValueError
        If there are not as many colours as groups, or shares of a group are more than 1.
    """
    name, groups = group_column(adata)
    if color is None or (isinstance(color, str) and color == name):
        palette = category_colors(adata, name, groups.categories)
        grey = [str(category) in IGNORED for category in groups.categories]
        return NodeColors(np.where(grey, "grey", list(palette.values())).tolist())
    if isinstance(color, str):
        return _by_name(adata, color, groups, solid, dashed, use_raw, normalize_to_color)
    if isinstance(color, Mapping):
        return NodeColors([], _given_pies(color, groups.categories))
    if len(color) != len(groups.categories):
        raise ValueError(f"{len(color)} colours for {len(groups.categories)} groups of {name!r}")
    return NodeColors(list(color))


def _by_name(
    adata: AnnData,
    color: str,
    groups: pd.Categorical,
    solid: sparse.csr_matrix,
    dashed: sparse.csr_matrix | None,
    use_raw: bool,
    normalize_to_color: bool,
) -> NodeColors:
    if is_color_like(color):
        return NodeColors([color] * len(groups.categories))
    if color in ("degree_solid", "degree_dashed"):
        edges = solid if color == "degree_solid" else dashed
        if edges is None:
            raise ValueError("color='degree_dashed' needs dashed_edges")
        degrees = np.array([sum(near.values()) for near in neighbor_lists(edges)])
        extent = np.ptp(degrees)
        return NodeColors(((degrees - degrees.min()) / (extent if extent > 0 else 1)).tolist())
    values = plot_values(adata, [color], layer=None, use_raw=use_raw and adata.raw is not None)[
        color
    ]
    if isinstance(values, pd.Categorical):
        palette = category_colors(adata, color, values.categories)
        shares = _overlaps(groups, values, of_color=normalize_to_color)
        pies = [list(zip(palette.values(), row, strict=True)) for row in shares.tolist()]
        return NodeColors([], [_whole(pie, k) for k, pie in enumerate(pies)])
    grouped = pd.Series(np.asarray(values)).groupby(groups.codes)
    means = grouped.mean().reindex(range(len(groups.categories)))
    return NodeColors(means.tolist(), measured=True)


def _overlaps(
    groups: pd.Categorical, others: pd.Categorical, *, of_color: bool
) -> npt.NDArray[np.float64]:
    """Share of each group, or of each other category, that they have in common."""
    known = (groups.codes >= 0) & (others.codes >= 0)
    table = np.zeros((len(groups.categories), len(others.categories)))
    np.add.at(table, (groups.codes[known], others.codes[known]), 1)
    if of_color:
        sizes = np.bincount(others.codes[others.codes >= 0], minlength=table.shape[1])
        return table / np.maximum(sizes, 1)
    sizes = np.bincount(groups.codes[groups.codes >= 0], minlength=table.shape[0])
    return table / np.maximum(sizes, 1)[:, None]


def _given_pies(color: Mapping[Any, Any], categories: pd.Index[Any]) -> list[Shares]:
    pies = []
    for k, category in enumerate(categories):
        given = color.get(category, color.get(k))
        if not isinstance(given, Mapping):
            raise ValueError(
                f"color as a mapping needs a mapping from colours to shares for each group, found "
                f"{given!r} for {category!r}"
            )
        pies.append(_whole(list(given.items()), category))
    return pies


def _whole(pie: Shares, group: Any) -> Shares:
    """Fill what is missing with grey."""
    total = sum(share for _, share in pie)
    if np.isclose(total, 1):
        return pie
    if total > 1:
        raise ValueError(f"the shares of group {group!r} add up to {total:g}, more than 1")
    return [*pie, ("grey", 1 - total)]
