"""``pl.paga``: the graph of groups, drawn with nodes and edges."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import FuncFormatter
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.graph.group_layout import TREE_LAYOUTS, lay_out_groups
from lazyomics.options import settings
from lazyomics.pl.figure import Save, figure_of, finish, short_number
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.paga_nodes import (
    NodeColors,
    abstracted,
    group_column,
    node_colors,
    one_for_each,
)

__all__ = ["paga", "paga_axes"]

THRESHOLD = 0.01
NODE_AREA = 2000
NODE_RADIUS = np.sqrt(300) / 2  # points that arrows keep away from the centre of a node
NOTHING: Mapping[str, Any] = MappingProxyType({})


@checked_keywords()
def paga(
    adata: AnnData,
    *,
    threshold: float | None = None,
    color: Any = None,
    layout: str | None = None,
    layout_kwds: Mapping[str, Any] = NOTHING,
    init_pos: npt.NDArray[Any] | None = None,
    root: int | str | Sequence[Any] | None = 0,
    labels: str | Sequence[Any] | Mapping[str, str] | None = None,
    single_component: bool = False,
    solid_edges: str = "connectivities",
    dashed_edges: str | None = None,
    transitions: str | None = None,
    fontsize: float | None = None,
    fontweight: str = "bold",
    fontoutline: float | None = None,
    text_kwds: Mapping[str, Any] = NOTHING,
    node_size_scale: float = 1.0,
    node_size_power: float = 0.5,
    edge_width_scale: float = 1.0,
    min_edge_width: float | None = None,
    max_edge_width: float | None = None,
    arrowsize: int = 30,
    title: str | Sequence[str] | None = None,
    left_margin: float = 0.01,
    random_state: Any = 0,
    pos: npt.NDArray[Any] | os.PathLike[str] | str | None = None,
    normalize_to_color: bool = False,
    cmap: str | Colormap | None = None,
    cax: Sequence[Axes] | None = None,
    colorbar: bool | None = None,
    cb_kwds: Mapping[str, Any] = NOTHING,
    frameon: bool | None = None,
    add_pos: bool = True,
    export_to_gexf: bool = False,
    use_raw: bool = True,
    colors: Any = None,
    groups: Any = None,
    plot: bool = True,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> Axes | list[Axes] | None:
    """Graph of groups that :func:`lazyomics.tl.paga` abstracted.

    Parameters
    ----------
    adata
        What to plot.
    threshold
        Weaker edges are neither drawn nor laid out. Default 0.01.
    color, colors
        What nodes are coloured by: a column of ``obs`` (categories as pies of their shares,
        numbers as means), a gene (its mean), ``"degree_solid"``, ``"degree_dashed"``, a colour, a
        colour or number for each group, or shares of colours by group,
        ``{group: {colour: share}}``. A list of these is a panel each. Default: the groups.
    layout
        ``"fr"`` (default), ``"rt"``, ``"rt_circular"``, ``"circle"`` or another layout of igraph,
        or ``"eq_tree"``. For ``"fa"``, ``"fr"`` is taken.
    layout_kwds
        Passed to igraph.
    init_pos
        Where the layout begins, shape (n_groups, 2).
    root
        Number or name of the group at the root of a tree layout, or several.
    labels, groups
        Label of each node; a list of such lists for several panels.
    single_component
        Whether only the largest connected component is drawn.
    solid_edges, dashed_edges, transitions
        Matrices in ``uns["paga"]`` that are drawn as solid and dashed edges, and as arrows instead
        of solid edges.
    fontsize, fontweight, fontoutline, text_kwds
        Font of the labels, width of a white outline, and what else ``Axes.text`` takes.
    node_size_scale, node_size_power
        Size of nodes, and the power of the number of cells that it grows with.
    edge_width_scale, min_edge_width, max_edge_width
        Width of edges, and its limits in points.
    arrowsize
        Size of the heads of arrows.
    title
        Title of each panel.
    left_margin, export_to_gexf
        Without effect; ``export_to_gexf=True`` is refused.
    random_state
        Seed of the layout.
    pos
        Places of the groups, shape (n_groups, 2), or a ``.gdf`` file of Gephi.
    normalize_to_color
        Whether pies are shares of the categories of ``color`` instead of the group.
    cmap
        Colour map of numbers.
    cax, colorbar, cb_kwds
        Axes for colour bars, one for each panel; False for none; and what else
        ``Figure.colorbar`` takes.
    frameon
        Whether to draw a frame. Default ``settings.frameon``.
    add_pos
        Whether places are kept in ``uns["paga"]["pos"]``, for ``tl.umap(init_pos="paga")``.
    use_raw
        Whether genes come from ``raw``, if there is one.
    plot
        False computes the places only.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw into, one for each panel.

    Returns
    -------
    The axes, a list for several panels; None if the figure was shown or not plotted.

    Raises
    ------
    ValueError
        If there is no abstracted graph, arguments do not fit it, or names are unknown.
    KeyError
        If a colour is unknown. The message names what is available.
    MissingDependencyError
        If igraph is needed for the layout and not installed.

    Notes
    -----
    Passes over X: 1 for each gene, else 0. Peak memory: n_obs values.

    Places are scanpy's from the same seed.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from scipy import sparse
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"g": pd.Categorical(["x", "y"])}, index=["a", "b"])
    >>> edge = sparse.csr_matrix([[0, 0.5], [0.5, 0]])
    >>> uns = {"paga": {"groups": "g", "connectivities": edge}}
    >>> adata = lo.AnnData(np.eye(2), obs=obs, uns=uns)
    >>> ax = lo.pl.paga(adata, pos=[[0, 0], [1, 1]], show=False)
    >>> [text.get_text() for text in ax.texts]
    ['x', 'y']
    """
    check_annotated(adata, "pl.paga")
    if export_to_gexf:
        raise ValueError("export_to_gexf=True: files of Gephi are not written, leave it out")
    name, groups_of_cells = group_column(adata)
    categories = groups_of_cells.categories
    panels = color if colors is None else colors
    panels = [panels] if one_for_each(panels, len(categories)) else panels
    panels = [panels] if isinstance(panels, Mapping) else list(panels)
    labels = groups if labels is None else labels
    each = [_labels(one, name, categories) for one in _for_panels(labels, panels, len(categories))]
    cut = THRESHOLD if threshold is None else threshold
    solid = _thresholded(abstracted(adata, solid_edges), cut)
    dashed = None if dashed_edges is None else _thresholded(abstracted(adata, dashed_edges), cut)
    arrows = None if transitions is None else _thresholded(abstracted(adata, transitions), cut)
    for key, matrix in ((solid_edges, solid), (dashed_edges, dashed), (transitions, arrows)):
        if matrix is not None and matrix.shape != (len(categories),) * 2:
            raise ValueError(
                f"uns['paga'][{key!r}] has shape {matrix.shape}, but obs[{name!r}] has "
                f"{len(categories)} categories: run lo.tl.paga again"
            )
    if pos is not None:
        places = _given_places(pos, len(categories))
    else:
        layout = _known_layout(layout)
        tree = abstracted(adata, "connectivities_tree") if layout in TREE_LAYOUTS else None
        places = lay_out_groups(
            solid,
            layout=layout,
            tree=tree,
            root=_roots(root, each[0], categories),
            start=init_pos,
            random_state=random_state,
            options=layout_kwds,
        )
    found = (
        [
            node_colors(
                adata,
                one,
                solid=solid,
                dashed=dashed,
                use_raw=use_raw,
                normalize_to_color=normalize_to_color,
            )
            for one in panels
        ]
        if plot
        else []
    )
    if add_pos:
        adata.uns["paga"] = {**adata.uns["paga"], "pos": places}
    if not plot:
        return None
    kept = _largest(solid) if single_component else np.ones(len(categories), dtype=bool)
    drawing = _Drawing(
        places=places[kept],
        areas=_areas(adata, name, kept, node_size_scale, node_size_power),
        solid=solid[kept][:, kept] if arrows is None else None,
        dashed=None if dashed is None else dashed[kept][:, kept],
        arrows=None if arrows is None else arrows[kept][:, kept],
        width=edge_width_scale * 5 * mpl.rcParams["lines.linewidth"],
        widths=(min_edge_width, max_edge_width),
        arrowsize=arrowsize,
        cmap=cmap,
        text=_text_style(fontsize, fontweight, fontoutline, text_kwds),
        frameon=settings.frameon if frameon is None else frameon,
    )
    bars = [one.measured and colorbar is not False for one in found]
    owned = ax is None
    figure, axes = paga_axes(len(panels), ax, bars=any(bars) and cax is None)
    for k, one in enumerate(found):
        drawn = drawing.draw(axes[k], one.take(kept), each[k][kept])
        heading = _title(title, k, panels)
        if heading is not None:
            axes[k].set_title(heading)
        if bars[k]:
            _add_bar(figure, axes[k], drawn, None if cax is None else cax[k], owned, cb_kwds)
    result: Axes | list[Axes] = axes if len(panels) > 1 else axes[0]
    return finish(figure, result, name="paga", show=show, save=save, owned=owned)


def paga_axes(
    count: int, ax: Axes | Sequence[Axes] | None, *, bars: bool, right_margin: float | None = None
) -> tuple[Figure, list[Axes]]:
    """Make panels in a row without room for ticks, or take the caller's.

    Parameters
    ----------
    count
        Number of panels.
    ax
        Axes of the caller, one for each panel.
    bars
        Whether there is room for colour bars.
    right_margin
        Space on the right of each panel as a share of its width.
    """
    if ax is not None:
        axes = [ax] if isinstance(ax, Axes) else list(ax)
        if len(axes) != count:
            raise ValueError(f"ax has {len(axes)} axes for {count} panels")
        return figure_of(axes[0]), axes
    rc = mpl.rcParams
    width, height = rc["figure.figsize"]
    if right_margin is None:
        right_margin = 1 - rc["figure.subplot.right"] + (0.21 if bars else 0.06)
    top = rc["figure.subplot.top"]
    left, bottom = 0.3, 0.08
    panel = width - left - (1 - top) - 0.5
    total = count * (1 + right_margin) * panel + left + (count - 1) * left
    figure = plt.figure(figsize=(total, height))
    axes = [
        figure.add_axes(
            ((left + k * (1 + right_margin) * panel) / total, bottom, panel / total, top - bottom)
        )
        for k in range(count)
    ]
    return figure, axes


@dataclass(frozen=True)
class _Drawing:
    """What all panels have in common."""

    places: npt.NDArray[np.float64]
    areas: npt.NDArray[np.float64]
    solid: sparse.csr_matrix | None
    dashed: sparse.csr_matrix | None
    arrows: sparse.csr_matrix | None
    width: float
    widths: tuple[float | None, float | None]
    arrowsize: int
    cmap: str | Colormap | None
    text: dict[str, Any]
    frameon: bool

    def draw(self, ax: Axes, colors: NodeColors, labels: npt.NDArray[Any]) -> PathCollection:
        """Draw edges, nodes and labels; return the nodes that were drawn last."""
        if self.dashed is not None:
            widest = (None, self.widths[1])
            style = {"colors": "grey", "linestyles": "dashed", "alpha": 0.5}
            self._lines(ax, self.dashed, widest, style)
        if self.solid is not None:
            self._lines(ax, self.solid, self.widths, {"colors": "black"})
        if self.arrows is not None:
            self._arrows(ax, self.arrows)
        ax.set_frame_on(self.frameon)
        ax.set(xticks=[], yticks=[])
        x, y = self.places.T
        if colors.pies is None:
            drawn = ax.scatter(
                x, y, c=colors.values, edgecolors="face", s=self.areas, cmap=self.cmap
            )
        else:
            for place, area, pie in zip(self.places, self.areas, colors.pies, strict=True):
                drawn = _pie(ax, place, area, pie)
        for (across, up), label in zip(self.places, labels, strict=True):
            ax.text(across, up, label, **self.text)
        return drawn

    def _lines(
        self,
        ax: Axes,
        edges: sparse.csr_matrix,
        limits: tuple[float | None, float | None],
        style: dict[str, Any],
    ) -> None:
        pairs = sparse.triu(edges.maximum(edges.T), k=1, format="coo")
        if pairs.nnz == 0:
            return
        lines = list(self.places[np.column_stack([pairs.row, pairs.col])])
        widths = self._widths(pairs.data, limits)
        ax.add_collection(LineCollection(lines, linewidths=widths, zorder=1, **style))
        self._make_room(ax)

    def _arrows(self, ax: Axes, edges: sparse.csr_matrix) -> None:
        pairs = sparse.csr_matrix(edges).tocoo()  # row i of column j: from j to i
        if pairs.nnz == 0:
            return
        widths = self._widths(pairs.data, self.widths)
        for target, source, width in zip(pairs.row, pairs.col, widths, strict=True):
            ax.add_patch(
                FancyArrowPatch(
                    tuple(self.places[source]),
                    tuple(self.places[target]),
                    arrowstyle="-|>",
                    shrinkA=NODE_RADIUS,
                    shrinkB=NODE_RADIUS,
                    mutation_scale=self.arrowsize,
                    color="black",
                    linewidth=width,
                    zorder=1,
                )
            )
        self._make_room(ax)

    def _make_room(self, ax: Axes) -> None:
        low, high = self.places.min(axis=0), self.places.max(axis=0)
        room = 0.05 * (high - low)
        ax.update_datalim([tuple(low - room), tuple(high + room)])
        ax.autoscale_view()

    def _widths(
        self, weights: npt.NDArray[Any], limits: tuple[float | None, float | None]
    ) -> npt.NDArray[np.float64]:
        widths = self.width * np.asarray(weights, dtype=np.float64)
        return widths if limits == (None, None) else np.clip(widths, *limits)


def _pie(
    ax: Axes, place: npt.NDArray[np.float64], area: float, pie: list[tuple[Any, float]]
) -> PathCollection:
    ends = np.cumsum([0.0, *(share for _, share in pie)])
    ends /= ends[-1]
    for (color, _), begin, end in zip(pie, ends, ends[1:], strict=False):
        angles = np.linspace(2 * np.pi * begin, 2 * np.pi * end, 20)
        outline = np.column_stack([np.append(0, np.cos(angles)), np.append(0, np.sin(angles))])
        size = np.abs(outline).max() ** 2 * area
        marker: Any = outline
        drawn = ax.scatter(place[0], place[1], s=size, marker=marker, color=color)
    return drawn


def _for_panels(labels: Any, panels: list[Any], n_groups: int) -> list[Any]:
    if one_for_each(labels, n_groups):
        return [labels] * len(panels)
    if len(labels) != len(panels):
        raise ValueError(f"labels has {len(labels)} entries for {n_groups} groups")
    return list(labels)


def _labels(given: Any, name: str, categories: pd.Index[Any]) -> npt.NDArray[Any]:
    if given is None or (isinstance(given, str) and given == name):
        return np.array([str(category) for category in categories], dtype=object)
    if isinstance(given, Mapping):
        return np.array([given.get(c, str(c)) for c in categories], dtype=object)
    if isinstance(given, str) or len(given) != len(categories):
        raise ValueError(f"labels must be one for each of {list(categories)}, found {given!r}")
    return np.array(list(given), dtype=object)


def _roots(root: Any, labels: npt.NDArray[Any], categories: pd.Index[Any]) -> Any:
    """Numbers of the groups at the root, of names and labels too."""
    if root is None:
        return None
    several = list(root) if not isinstance(root, str | int | np.integer) else [root]
    numbers = {str(c): k for k, c in enumerate(categories)}
    numbers |= {str(label): k for k, label in enumerate(labels)}
    unknown = [
        one
        for one in several
        if (one not in numbers if isinstance(one, str) else not 0 <= one < len(categories))
    ]
    if unknown:
        raise ValueError(f"root {unknown} is no group: expected a number or one of {list(numbers)}")
    found = [numbers[one] if isinstance(one, str) else int(one) for one in several]
    return found[0] if isinstance(root, str | int | np.integer) else found


def _thresholded(edges: sparse.csr_matrix, threshold: float) -> sparse.csr_matrix:
    edges = edges.copy()
    if threshold > 0:
        edges.data[edges.data < threshold] = 0
        edges.eliminate_zeros()
    return edges


def _known_layout(layout: str | None) -> str:
    if layout == "fa":
        logging.warning("layout 'fa' (ForceAtlas2) is not there, taking 'fr'")
    return "fr" if layout in (None, "fa") else str(layout)


def _given_places(pos: Any, n_groups: int) -> npt.NDArray[np.float64]:
    if isinstance(pos, str | os.PathLike):
        path = Path(pos)
        if path.suffix != ".gdf":
            raise ValueError(f"pos={path.name!r}: expected a .gdf file, or places")
        nodes = path.read_text().partition("\n")[2].partition("edgedef>")[0]
        pos = pd.read_csv(io.StringIO(nodes), header=None)[[4, 5]]
    places = np.asarray(pos, dtype=np.float64)
    if places.shape != (n_groups, 2) or not np.isfinite(places).all():
        raise ValueError(
            f"pos has shape {places.shape}, expected finite places of shape {(n_groups, 2)}"
        )
    return places


def _largest(edges: sparse.csr_matrix) -> npt.NDArray[np.bool_]:
    _, part_of = connected_components(edges)
    largest: npt.NDArray[np.bool_] = part_of == np.bincount(part_of).argmax()
    return largest


def _areas(
    adata: AnnData, name: str, kept: npt.NDArray[np.bool_], scale: float, power: float
) -> npt.NDArray[np.float64]:
    sizes = np.asarray(adata.uns.get(f"{name}_sizes", np.ones(len(kept))), dtype=np.float64)
    if sizes.shape != kept.shape:
        raise ValueError(
            f"uns['{name}_sizes'] has shape {sizes.shape} for {len(kept)} groups: "
            "run lo.tl.paga again"
        )
    base = NODE_AREA / (np.sqrt(kept.sum()) + 10) * scale
    areas: npt.NDArray[np.float64] = base * (sizes / np.median(sizes)) ** power
    return areas[kept]


def _text_style(
    fontsize: float | None, weight: str, outline: float | None, more: Mapping[str, Any]
) -> dict[str, Any]:
    size = mpl.rcParams["legend.fontsize"] if fontsize is None else fontsize
    style = {"va": "center", "ha": "center", "size": size, "fontweight": weight, **more}
    if outline is not None:
        style["path_effects"] = [patheffects.withStroke(linewidth=outline, foreground="w")]
    return style


def _title(title: str | Sequence[str] | None, k: int, panels: list[Any]) -> str | None:
    if title is None:
        return str(panels[k]) if len(panels) > 1 else None
    if isinstance(title, str):
        return title
    if len(title) != len(panels):
        raise ValueError(f"title has {len(title)} entries for {len(panels)} panels")
    return title[k]


def _add_bar(
    figure: Figure,
    ax: Axes,
    drawn: PathCollection,
    place: Axes | None,
    owned: bool,
    options: Mapping[str, Any],
) -> None:
    where: dict[str, Any] = {"ax": ax}
    if place is not None:
        where = {"cax": place}
    elif owned:
        box = ax.get_position()
        width = 0.04 * box.width
        where = {"cax": figure.add_axes((box.x1 + 0.2 * width, box.y0, width, box.height))}
    figure.colorbar(drawn, **where, **{"format": FuncFormatter(short_number), **options})
