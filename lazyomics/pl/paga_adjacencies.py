"""Connectivities of the groups of ``tl.paga`` as a matrix or as points."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.pl.figure import Save, finish

__all__ = ["paga_adjacency"]


def paga_adjacency(
    adata: AnnData,
    *,
    adjacency: str = "connectivities",
    adjacency_tree: str = "connectivities_tree",
    as_heatmap: bool = True,
    color_map: str | Colormap | None = None,
    show: bool | None = None,
    save: Save = None,
) -> Axes | None:
    """Connectivities of the groups of ``tl.paga``; points are those of its tree.

    Parameters
    ----------
    adata
        :func:`lazyomics.tl.paga` has been run on it.
    adjacency, adjacency_tree
        Matrices in ``uns["paga"]``, or else in ``uns``: all connectivities, and the tree.
    as_heatmap
        Whether connectivities are colours; otherwise they are heights.
    color_map
        Colour map.
    show, save
        See :mod:`lazyomics.pl`.

    Returns
    -------
    The axes, or None if the figure was shown. (scanpy returns None.)

    Raises
    ------
    KeyError
        If there is no such matrix.
    TypeError
        If ``adata`` is no AnnData.

    Notes
    -----
    Passes over X: 0. Peak memory: O(groups²).

    scanpy looks in ``uns`` alone, where ``tl.paga`` does not put them any more.
    """
    check_annotated(adata, "pl.paga_adjacency")
    full, tree = (_matrix(adata, key) for key in (adjacency, adjacency_tree))
    figure, ax = plt.subplots()
    table, (rows, columns) = full.toarray(), tree.nonzero()
    if as_heatmap:
        image = ax.imshow(table, cmap=color_map)
        ax.grid(visible=False)
        figure.colorbar(image, shrink=0.5, ax=ax)
        ax.scatter(rows, columns, color="black", s=1)
    else:
        others = ~np.eye(len(table), dtype=bool)
        ax.scatter(np.nonzero(others)[0], table[others], color="gray", s=1)
        ax.scatter(rows, table[rows, columns], color="black", s=1)
    return finish(figure, ax, name="paga_connectivity", show=show, save=save, owned=True)


def _matrix(adata: AnnData, key: str) -> scipy.sparse.csr_array:
    for place in (adata.uns.get("paga", {}), adata.uns):
        if key in place:
            found = place[key]
            found = found.compute() if hasattr(found, "compute") else found
            return scipy.sparse.csr_array(found)
    raise KeyError(f"neither uns['paga'] nor uns has {key!r}: run lo.tl.paga first")
