"""``pl.paga_compare``: an embedding of the cells beside the graph of their groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.pl.embeddings import embedding, panel_dimensions
from lazyomics.pl.figure import Save, finish
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.paga_graph import paga, paga_axes
from lazyomics.pl.paga_nodes import abstracted, group_column
from lazyomics.pl.values import coordinates

__all__ = ["paga_compare"]

BASES = ("draw_graph_fa", "umap", "tsne", "draw_graph_fr")


@checked_keywords(paga)
def paga_compare(
    adata: AnnData,
    basis: str | None = None,
    *,
    edges: bool = False,
    color: str | None = None,
    alpha: float | None = None,
    groups: Any = None,
    components: str | None = None,
    projection: str = "2d",
    legend_loc: str | None = "on data",
    legend_fontsize: float | str | None = None,
    legend_fontweight: int | str = "bold",
    legend_fontoutline: float | None = None,
    color_map: Colormap | str | None = None,
    palette: Any = None,
    frameon: bool | None = False,
    size: float | None = None,
    title: str | None = None,
    right_margin: float | None = None,
    left_margin: float = 0.05,
    show: bool | None = None,
    save: Save = None,
    title_graph: str | None = None,
    groups_graph: Any = None,
    pos: npt.NDArray[Any] | None = None,
    **paga_graph_params: Any,
) -> list[Axes] | None:
    """Embedding of the cells, and the graph of groups beside it, by default in the same places.

    Parameters
    ----------
    adata
        What to plot.
    basis
        Embedding; by default the first there is of ``"draw_graph_fa"``, ``"umap"``, ``"tsne"``
        and ``"draw_graph_fr"``.
    color
        What cells and nodes are coloured by; by default the groups of the graph.
    edges, alpha, groups, components, palette, size
        As :func:`lazyomics.pl.embedding` takes them.
    legend_loc, legend_fontsize, legend_fontweight, legend_fontoutline, color_map
        As :func:`lazyomics.pl.embedding` takes them; fonts also of the graph.
    projection
        Only ``"2d"``.
    frameon
        Whether both have a frame.
    title, title_graph
        Titles of the embedding and of the graph; without the latter, ``title`` (or ``color``) is
        that of the figure.
    right_margin
        Space on the right of each panel as a share of its width.
    left_margin
        Without effect.
    show, save
        See :mod:`lazyomics.pl`.
    groups_graph
        Labels of the nodes.
    pos
        Places of the groups, shape (n_groups, 2). By default the median of their cells, or
        ``uns["paga"]["pos"]`` if they are coloured by something else.
    **paga_graph_params
        Passed to :func:`lazyomics.pl.paga`.

    Returns
    -------
    Two axes, or None if the figure was shown. Sets ``uns["paga"]["pos"]``.

    Raises
    ------
    KeyError
        If the embedding or the colour is unknown.
    ValueError
        If there is no abstracted graph, or it has no places.

    Notes
    -----
    Passes over X: 2 for a gene, else 0. Peak memory: O(n_obs).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from scipy import sparse
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"g": pd.Categorical(["x", "y"])}, index=["a", "b"])
    >>> edge = sparse.csr_matrix([[0, 0.5], [0.5, 0]])
    >>> uns = {"paga": {"groups": "g", "connectivities": edge}}
    >>> adata = lo.AnnData(np.eye(2), obs=obs, uns=uns, obsm={"X_umap": np.eye(2) * 3})
    >>> axes = lo.pl.paga_compare(adata, show=False)
    >>> adata.uns["paga"]["pos"].tolist()
    [[3.0, 0.0], [0.0, 3.0]]
    """
    check_annotated(adata, "pl.paga_compare")
    if projection != "2d":
        raise ValueError(f"projection={projection!r}: only '2d' is drawn")
    name, categories = group_column(adata)
    color = name if color is None else color
    if basis is None:
        basis = next((one for one in BASES if f"X_{one}" in adata.obsm), "umap")
    points = coordinates(adata, basis)
    ((_, dims, _),) = panel_dimensions(color, components, None, ".", points.shape[1])
    if pos is None and color == name:
        pos = _medians(points[:, dims], categories)
    elif pos is None:
        pos = abstracted(adata).get("pos")
        if pos is None:
            raise ValueError(
                "adata.uns['paga'] has no 'pos': call pl.paga(adata) first, or give pos"
            )
    heading = None
    if title_graph is None:
        heading = color if title is None else title
        title, title_graph = "", ""
    figure, axes = paga_axes(2, None, bars=False, right_margin=right_margin)
    opacity: dict[str, Any] = {} if alpha is None else {"alpha": alpha}
    embedding(
        adata,
        basis,
        ax=axes[0],
        color=color,
        edges=edges,
        groups=groups,
        components=components,
        legend_loc=legend_loc,
        legend_fontsize=legend_fontsize,
        legend_fontweight=legend_fontweight,
        legend_fontoutline=legend_fontoutline,
        color_map=color_map,
        palette=palette,
        frameon=frameon,
        size=size,
        title=title,
        show=False,
        **opacity,
    )
    axes[1].set(xlim=axes[0].get_xlim(), ylim=axes[0].get_ylim())
    labels = paga_graph_params.pop("labels", groups_graph)
    fonts = {"fontsize": legend_fontsize, "fontweight": legend_fontweight}
    fonts["fontoutline"] = legend_fontoutline
    given = {key: value for key, value in fonts.items() if value is not None}
    options = {**paga_graph_params, **given}
    paga(
        adata,
        ax=axes[1],
        show=False,
        title=title_graph,
        labels=labels,
        color=color,
        frameon=frameon,
        pos=pos,
        **options,
    )
    if heading is not None:
        figure.suptitle(heading)
    return finish(figure, axes, name="paga_compare", show=show, save=save, owned=True)


def _medians(points: npt.NDArray[Any], groups: pd.Categorical) -> npt.NDArray[np.float64]:
    """Median of the points of each group; groups without points are at the median of all."""
    medians = pd.DataFrame(points).groupby(groups.codes).median()
    medians = medians.reindex(range(len(groups.categories)))
    found: npt.NDArray[np.float64] = medians.fillna(pd.Series(np.median(points, axis=0))).to_numpy()
    return found
