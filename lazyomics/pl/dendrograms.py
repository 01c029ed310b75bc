"""Trees of groups, alone or beside another plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.pl.figure import Save, figure_of, finish
from lazyomics.pl.keywords import checked_keywords

__all__ = ["dendrogram", "draw_tree", "leaf_order", "stored_dendrogram"]

Side = Literal["top", "bottom", "left", "right"]


@checked_keywords()
def dendrogram(
    adata: AnnData,
    groupby: str | Sequence[str],
    *,
    dendrogram_key: str | None = None,
    orientation: Side = "top",
    remove_labels: bool = False,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
) -> Axes | None:
    """Tree of the groups of observations, as :func:`lazyomics.tl.dendrogram` computed it.

    Parameters
    ----------
    adata
        What to plot.
    groupby
        Column of ``obs``, or several.
    dendrogram_key
        Key in ``uns``; by default ``f"dendrogram_{groupby}"``. It is computed if it is missing.
    orientation
        Side of the root.
    remove_labels
        Whether to leave out the names of the groups.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw into.

    Returns
    -------
    The axes, or None if the figure was shown.

    Raises
    ------
    ValueError
        If what is stored is not a dendrogram of ``groupby``.

    Notes
    -----
    Passes over X: 0 (1 if the dendrogram is missing and there is no PCA). Peak memory: O(groups).
    """
    check_annotated(adata, "pl.dendrogram")
    tree = stored_dendrogram(adata, groupby, dendrogram_key)["dendrogram_info"]
    owned = ax is None
    ax = plt.figure().add_subplot() if ax is None else ax
    draw_tree(ax, tree, side=orientation, ticks=None, labels=not remove_labels)
    return finish(figure_of(ax), ax, name="dendrogram", show=show, save=save, owned=owned)


def stored_dendrogram(
    adata: AnnData, groupby: str | Sequence[str], key: str | None
) -> dict[str, Any]:
    """Dendrogram in ``uns``, computed if it is missing.

    Raises
    ------
    ValueError
        If what is stored is not a dendrogram of ``groupby``.
    """
    columns = [groupby] if isinstance(groupby, str) else list(groupby)
    key = f"dendrogram_{'_'.join(columns)}" if key is None else key
    if key not in adata.uns:
        # Only here do plots compute something that belongs to lazyomics.tl.
        from lazyomics.tl.dendrogram import dendrogram as compute

        logging.warning(
            f"dendrogram data not found (using key={key}). Running `tl.dendrogram` with default "
            "parameters. For fine tuning run `tl.dendrogram` first."
        )
        compute(adata, groupby, key_added=key)
    stored: dict[str, Any] = adata.uns[key]
    if "dendrogram_info" not in stored:
        raise ValueError(f"uns[{key!r}] is not a dendrogram: it has no 'dendrogram_info'")
    found = stored["groupby"]
    found = [found] if isinstance(found, str) else [str(column) for column in found]
    if found != columns:
        raise ValueError(
            f"uns[{key!r}] is a dendrogram of {found}, not of {columns}; run lo.tl.dendrogram"
        )
    return stored


def leaf_order(
    stored: dict[str, Any], groups: Sequence[Any], groupby: str | Sequence[str]
) -> list[Any]:
    """Groups in the order of a dendrogram.

    Parameters
    ----------
    stored
        What :func:`stored_dendrogram` found.
    groups
        Groups that are plotted.
    groupby
        Where they come from, for the message.

    Raises
    ------
    ValueError
        If the dendrogram has other groups.
    """
    leaves = [str(leaf) for leaf in stored["categories_ordered"]]
    by_label = {str(group): group for group in groups}
    if set(leaves) != set(by_label):
        columns = [groupby] if isinstance(groupby, str) else list(groupby)
        shown = columns[0] if len(columns) == 1 else columns
        raise ValueError(
            f"the dendrogram has the groups {leaves}, but {shown!r} has {list(by_label)}; "
            "run lo.tl.dendrogram again"
        )
    return [by_label[leaf] for leaf in leaves]


def draw_tree(
    ax: Axes,
    tree: dict[str, Any],
    *,
    side: Side,
    ticks: npt.NDArray[np.float64] | None,
    labels: bool,
) -> None:
    """Draw the branches of a tree.

    Parameters
    ----------
    ax
        Where to draw.
    tree
        What :func:`scipy.cluster.hierarchy.dendrogram` returned.
    side
        Side of the root.
    ticks
        Where to put the leaves, increasing, shape (leaves,); by default at 5, 15, 25, …
    labels
        Whether to name the leaves.
    """
    leaves = list(tree["ivl"])
    scipys = np.arange(5, 10 * len(leaves), 10, dtype=np.float64)
    places = scipys if ticks is None else ticks
    upright = side in ("top", "bottom")
    for along, height in zip(np.asarray(tree["icoord"]), np.asarray(tree["dcoord"]), strict=True):
        moved = np.interp(along, scipys, places)
        ax.plot(*((moved, height) if upright else (height, moved)), color="#555555")
    for edge in ax.spines.values():
        edge.set_visible(False)
    ax.grid(visible=False)
    ax.tick_params(left=False, right=False, top=False, bottom=False)
    ax.tick_params(labelleft=False, labelright=False, labeltop=False, labelbottom=False)
    if upright:
        ax.set_xticks(places, leaves, rotation=90, fontsize="small")
    else:
        ax.set_yticks(places, leaves, fontsize="small")
    if side == "bottom":
        ax.invert_yaxis()
    if side == "left":
        ax.invert_xaxis()
    if labels:
        # Beside the leaves, opposite to the root.
        opposite = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}[side]
        ax.tick_params(**{f"label{opposite}": True})  # type: ignore[arg-type]
