"""Values of genes in all cells, in the order of their groups: as colours, or as tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, SubplotSpec
from matplotlib.image import AxesImage

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.get.group_stats import as_names, cell_groups
from lazyomics.pl.coloring import category_colors, color_norm
from lazyomics.pl.dendrograms import draw_tree, leaf_order, stored_dendrogram
from lazyomics.pl.dot_values import cell_frame
from lazyomics.pl.figure import Save, finish
from lazyomics.pl.group_plots import scaled_table
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.values import VarGroups, VarNames, draw_brackets, split_var_names

__all__ = ["heatmap", "tracksplot"]

MOST_GENE_LABELS = 50
BAR_WIDTH, BAR_HEIGHT = 0.2, 4.0  # inches of a colour bar; its height at most


@dataclass(frozen=True)
class _Cells:
    """Values of cells that are sorted by group.

    Attributes
    ----------
    values
        Cells × genes; the index has the groups.
    groups
        Groups in the order in which they are drawn.
    sizes
        Number of cells of each group.
    var_groups
        Groups of genes.
    tree
        Dendrogram of the groups.
    name
        What the groups are called.
    """

    values: pd.DataFrame
    groups: list[Any]
    sizes: npt.NDArray[np.int64]
    var_groups: VarGroups | None
    tree: dict[str, Any] | None
    name: str

    @classmethod
    def of(
        cls,
        adata: AnnData,
        genes: list[str],
        groups: pd.Categorical,
        groupby: str | Sequence[str],
        var_groups: VarGroups | None,
        dendrogram: bool | str,
        *,
        standard_scale: Any = None,
        **source: Any,
    ) -> _Cells:
        """Read the values of genes, in one pass.

        Parameters
        ----------
        adata, genes, groups, var_groups, dendrogram, standard_scale
            What to read, how to group and scale it.
        groupby
            Where ``groups`` come from.
        **source
            ``use_raw``, ``layer``, ``gene_symbols`` and ``log``.
        """
        groups = groups.remove_unused_categories()
        order, stored = list(groups.categories), None
        scaled_table(pd.DataFrame(), standard_scale, rows="obs")
        if dendrogram and len(order) <= 2:
            logging.warning("no dendrogram is shown for fewer than 3 groups")
        elif dendrogram:
            key = dendrogram if isinstance(dendrogram, str) else None
            stored = stored_dendrogram(adata, groupby, key)
            order = leaf_order(stored, order, groupby)
        frame = scaled_table(cell_frame(adata, genes, groups, **source), standard_scale, rows="obs")
        labels = list(map(str, order))
        if stored is not None and var_groups is not None and set(var_groups.labels) == set(labels):
            var_groups, columns = var_groups.ordered(labels)
            frame = frame.iloc[:, columns]
        index = pd.CategoricalIndex(frame.index, categories=order, ordered=True)
        sizes = np.bincount(index.codes, minlength=len(order))
        # pandas' order of the cells of a group, which is not that of the file, is scanpy's.
        frame = frame.set_axis(index, axis=0).sort_index()
        tree = None if stored is None else stored["dendrogram_info"]
        return cls(frame, order, sizes, var_groups, tree, "_".join(as_names(groupby)))

    @property
    def ends(self) -> npt.NDArray[np.int64]:
        """Number of cells up to the end of each group."""
        return np.cumsum(self.sizes)

    @property
    def ticks(self) -> npt.NDArray[np.float64]:
        """Middle of each group."""
        return np.asarray(self.ends - self.sizes / 2)

    def colors(self, adata: AnnData, groupby: str | Sequence[str]) -> list[str] | None:
        """Colours of the groups, None if they are no categories of obs."""
        if not isinstance(groupby, str) or groupby not in adata.obs.columns:
            return None
        column = adata.obs[groupby]
        if not isinstance(column.dtype, pd.CategoricalDtype):
            return None
        colors = category_colors(adata, groupby, column.cat.categories)
        return [colors[group] for group in self.groups]


@dataclass(frozen=True)
class _Blocks:
    """Colours of groups, as an image takes them."""

    cmap: Colormap
    norm: BoundaryNorm

    @classmethod
    def of(cls, colors: list[str] | None) -> _Blocks:
        cmap = mpl.colormaps["tab20"] if colors is None else ListedColormap(colors)
        return cls(cmap, BoundaryNorm(np.arange(cmap.N + 1) - 0.5, cmap.N))

    def draw(self, ax: Axes, codes: Any) -> None:
        """Draw a column of colours."""
        ax.imshow(np.array([codes]).T, aspect="auto", cmap=self.cmap, norm=self.norm)


def _draw_groups(ax: Axes, cells: _Cells, blocks: _Blocks, *, upright: bool) -> None:
    """Draw a block of colour for each group, in a column or a row, with their names."""
    codes = np.repeat(np.arange(len(cells.groups)), cells.sizes)
    ax.grid(visible=False)
    image = np.array([codes])
    ax.imshow(image.T if upright else image, aspect="auto", cmap=blocks.cmap, norm=blocks.norm)
    labels = list(map(str, cells.groups))
    if upright:
        if len(labels) > 1:
            ax.set_yticks(cells.ticks, labels)
        ax.tick_params(axis="y", left=False, labelsize="small")
        ax.tick_params(axis="x", bottom=False, labelbottom=False)
        ax.set_ylabel(cells.name)
    else:
        if len(labels) > 1:
            rotation = 0 if max(map(len, labels)) < 3 else 90
            ax.set_xticks(cells.ticks, labels, rotation=rotation)
        ax.tick_params(axis="x", bottom=False, labelsize="small")
        ax.tick_params(axis="y", left=False, labelleft=False)
        ax.set_xlabel(cells.name)
    for edge in ax.spines.values():
        edge.set_visible(False)


@checked_keywords(AxesImage, Axes.imshow)
def heatmap(
    adata: AnnData,
    var_names: VarNames | Mapping[str, VarNames],
    groupby: str | Sequence[str],
    *,
    use_raw: bool | None = None,
    log: bool = False,
    num_categories: int = 7,
    dendrogram: bool | str = False,
    gene_symbols: str | None = None,
    var_group_positions: Sequence[tuple[int, int]] | None = None,
    var_group_labels: Sequence[str] | None = None,
    var_group_rotation: float | None = None,
    layer: str | None = None,
    standard_scale: Literal["var", "obs"] | None = None,
    swap_axes: bool = False,
    show_gene_labels: bool | None = None,
    show: bool | None = None,
    save: Save = None,
    figsize: tuple[float, float] | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    vcenter: float | None = None,
    norm: Normalize | None = None,
    **kwds: Any,
) -> dict[str, Axes] | None:
    """Values of genes in all cells as colours, the cells in the order of their groups.

    Parameters
    ----------
    adata
        What to plot.
    var_names
        Genes, or numeric columns of ``obs``: a name, a list, or lists by label, which get a
        bracket each. A name of both is the gene.
    groupby
        Column of ``obs``, or several, whose values are joined. Numbers are cut into intervals.
    use_raw
        Whether genes come from ``raw``; by default if there is one and no ``layer`` is given.
    log
        Whether to take ``log1p`` of the values first.
    num_categories
        Number of intervals if ``groupby`` is numeric.
    dendrogram
        Whether to order groups by, and to show, ``uns[f"dendrogram_{groupby}"]``; or another key
        in ``uns``. It is computed if it is missing.
    gene_symbols
        Column of ``var`` in which to look for genes that are not in ``var_names``.
    var_group_positions, var_group_labels, var_group_rotation
        First and last gene of each bracket, its label, and the rotation of the labels in degrees.
    layer
        Layer that genes come from.
    standard_scale
        Scale values to reach from 0 to 1 for each gene (``"var"``) or each cell (``"obs"``).
    swap_axes
        Whether genes are rows and cells columns. Groups of genes then have colours, no brackets.
    show_gene_labels
        Whether to name the genes; by default up to 50.
    show, save
        See :mod:`lazyomics.pl`.
    figsize
        Width and height in inches; by default by the number of genes.
    vmin, vmax, vcenter, norm
        Limits and centre of the colour scale, or a matplotlib norm instead.
    **kwds
        Passed to :meth:`matplotlib.axes.Axes.imshow`, for example ``cmap``.

    Returns
    -------
    None if it was shown; else the axes: ``heatmap_ax`` and, if there are such, ``groupby_ax``,
    ``dendrogram_ax`` and ``gene_groups_ax``. Sets ``uns[f"{groupby}_colors"]`` if it is missing,
    and ``uns[f"dendrogram_{groupby}"]`` if a dendrogram is asked for and missing.

    Raises
    ------
    KeyError
        If a gene is unknown. The message names what is available.
    TypeError
        If ``adata`` is no AnnData.
    ValueError
        If ``groupby`` is not in ``obs``, parameters contradict each other, or the dendrogram has
        other groups.

    Notes
    -----
    Passes over X: 1 for all genes. Peak memory: n_obs × genes values, about three times, and what
    matplotlib needs for an image of them.

    Cells without a group are left out (scanpy fails).

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> kinds = pd.Categorical(["T", "B", "T"])
    >>> obs = pd.DataFrame({"cell_type": kinds}, index=["a", "b", "c"])
    >>> var = pd.DataFrame(index=["CD79A", "CD3E"])
    >>> adata = lo.AnnData(np.array([[0.0, 1], [2, 0], [0, 3]]), obs=obs, var=var)
    >>> axes = lo.pl.heatmap(adata, ["CD79A", "CD3E"], "cell_type", show=False)
    >>> axes["heatmap_ax"].images[0].get_array().tolist()
    [[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]]
    """
    check_annotated(adata, "pl.heatmap")
    scale = color_norm(vmin, vmax, vcenter, norm)
    genes, var_groups = split_var_names(var_names, var_group_labels, var_group_positions)
    groups = cell_groups(adata.obs, groupby, num_categories=num_categories)
    grouped = len(groups.categories) > 1
    cells = _Cells.of(
        adata,
        genes,
        groups,
        groupby,
        var_groups,
        dendrogram if grouped else False,
        standard_scale=standard_scale,
        use_raw=use_raw,
        layer=layer,
        gene_symbols=gene_symbols,
        log=log,
    )
    if show_gene_labels is None:
        show_gene_labels = len(genes) <= MOST_GENE_LABELS
        if not show_gene_labels:
            logging.warning(
                f"more than {MOST_GENE_LABELS} genes are shown without their names; "
                "show_gene_labels=True shows them"
            )
    blocks = _Blocks.of(cells.colors(adata, groupby)) if grouped else None
    look = {"aspect": "auto", "norm": scale, "interpolation": "nearest", **kwds}
    draw = _draw_genes_as_rows if swap_axes else _draw_cells_as_rows
    figure, axes = draw(cells, blocks, figsize, var_group_rotation, look, labels=show_gene_labels)
    return finish(figure, axes, name="heatmap", show=show, save=save, owned=True)


def _draw_cells_as_rows(
    cells: _Cells,
    blocks: _Blocks | None,
    figsize: tuple[float, float] | None,
    rotation: float | None,
    look: dict[str, Any],
    *,
    labels: bool,
) -> tuple[Figure, dict[str, Axes]]:
    genes = cells.values.shape[1]
    tree, side = 1.0 if cells.tree is not None else 0.0, 0.2 if blocks is not None else 0.0
    if figsize is None:
        height, main = 6.0, genes * 0.3 if labels else 8.0
        width = main + tree + side
    else:
        width, height = figsize
        main = width - tree - side
    figure = plt.figure(figsize=(width, height))
    grid = GridSpec(
        2,
        4,
        figure=figure,
        width_ratios=[side, main, tree, BAR_WIDTH],
        height_ratios=[0.15 if cells.var_groups is not None else 0.0, height],
        wspace=0.15 / width,
        hspace=0.13 / height,
    )
    ax = figure.add_subplot(grid[1, 1])
    image = ax.imshow(cells.values.to_numpy(), **look)
    ax.set(ylim=(len(cells.values) - 0.5, -0.5), xlim=(-0.5, genes - 0.5))
    ax.tick_params(axis="y", left=False, labelleft=False)
    ax.grid(visible=False)
    if labels:
        ax.tick_params(axis="x", labelsize="small")
        ax.set_xticks(np.arange(genes), list(cells.values.columns), rotation=90)
    else:
        ax.tick_params(axis="x", labelbottom=False, bottom=False)
    _draw_bar(figure, image, grid[1, 3])
    axes = {"heatmap_ax": ax}
    lines: dict[str, Any] = {"lw": 1, "color": "black", "zorder": 10, "clip_on": False}
    if blocks is not None:
        axes["groupby_ax"] = figure.add_subplot(grid[1, 0])
        _draw_groups(axes["groupby_ax"], cells, blocks, upright=True)
        ax.hlines(cells.ends[:-1] - 0.5, -0.5, genes - 0.5, **lines)
    if cells.tree is not None:
        axes["dendrogram_ax"] = figure.add_subplot(grid[1, 2], sharey=ax)
        draw_tree(axes["dendrogram_ax"], cells.tree, side="right", ticks=cells.ticks, labels=False)
    if cells.var_groups is not None:
        axes["gene_groups_ax"] = figure.add_subplot(grid[0, 1], sharex=ax)
        draw_brackets(
            axes["gene_groups_ax"],
            cells.var_groups,
            side="top",
            rotation=rotation,
            unit=main / genes,
            ends=(-0.3, 0.3),
        )
    return figure, axes


def _draw_genes_as_rows(
    cells: _Cells,
    blocks: _Blocks | None,
    figsize: tuple[float, float] | None,
    rotation: float | None,
    look: dict[str, Any],
    *,
    labels: bool,
) -> tuple[Figure, dict[str, Axes]]:
    genes = cells.values.shape[1]
    tree, side = 0.8 if cells.tree is not None else 0.0, 0.13 if blocks is not None else 0.0
    if figsize is None:
        width, main = 10.0, genes * 0.18 if labels else 4.0
        height = main + tree + side
    else:
        width, height = figsize
        main = height - tree - side
    figure = plt.figure(figsize=(width, height))
    grid = GridSpec(
        3,
        3,
        figure=figure,
        width_ratios=[width, 0.14 if cells.var_groups is not None else 0.0, BAR_WIDTH],
        height_ratios=[tree, main, side],
        wspace=0.25 / width,
        hspace=0.3 / height,
    )
    ax = figure.add_subplot(grid[1, 0])
    image = ax.imshow(cells.values.to_numpy().T, **look)
    ax.set(xlim=(-0.5, len(cells.values) - 0.5), ylim=(genes - 0.5, -0.5))
    ax.tick_params(axis="x", bottom=False, labelbottom=False)
    ax.grid(visible=False)
    if labels:
        ax.tick_params(axis="y", labelsize="small", length=1)
        ax.set_yticks(np.arange(genes), list(cells.values.columns), rotation=0)
    else:
        ax.tick_params(axis="y", labelleft=False, left=False)
    axes = {"heatmap_ax": ax}
    if blocks is not None:
        axes["groupby_ax"] = figure.add_subplot(grid[2, 0])
        _draw_groups(axes["groupby_ax"], cells, blocks, upright=False)
        lines: dict[str, Any] = {"lw": 1, "color": "black", "zorder": 10, "clip_on": False}
        ax.vlines(cells.ends[:-1] - 0.5, -0.5, genes - 0.5, **lines)
    if cells.tree is not None:
        axes["dendrogram_ax"] = figure.add_subplot(grid[0, 0], sharex=ax)
        draw_tree(axes["dendrogram_ax"], cells.tree, side="top", ticks=cells.ticks, labels=False)
    if cells.var_groups is not None:
        axes["gene_groups_ax"] = figure.add_subplot(grid[1, 1])
        _draw_gene_groups(axes["gene_groups_ax"], cells, blocks, named_alike=True)
    _draw_bar(figure, image, grid[1, 2])
    return figure, axes


def _draw_gene_groups(
    ax: Axes, cells: _Cells, blocks: _Blocks | None, *, named_alike: bool
) -> None:
    """Draw a column of the colours of groups of genes.

    Parameters
    ----------
    ax
        Where to draw.
    cells
        What is drawn beside.
    blocks
        Colours of the groups of cells.
    named_alike
        Whether groups that are named like groups of cells have the colours of these.
    """
    assert cells.var_groups is not None
    labels, places = cells.var_groups.labels, {str(g): i for i, g in enumerate(cells.groups)}
    codes: list[int] = []
    for index, (first, last) in enumerate(cells.var_groups.positions):
        alike = named_alike and set(labels) <= set(places)
        codes += [places[labels[index]] if alike else index] * (last + 1 - first)
    (_Blocks.of(None) if blocks is None else blocks).draw(ax, codes)
    ax.axis("off")


def _draw_bar(figure: Figure, image: ScalarMappable, place: SubplotSpec) -> None:
    """Draw an upright colour bar that is not higher than it is readable."""
    height = figure.get_figheight()
    if height > BAR_HEIGHT:
        place = place.subgridspec(2, 1, height_ratios=[height - BAR_HEIGHT, BAR_HEIGHT])[1]
    figure.colorbar(image, cax=figure.add_subplot(place))


GROUPS_HEIGHT, TRACK_HEIGHT, TRACKS_WIDTH, TRACKS_TREE = 0.24, 0.25, 12.0, 1.0


def tracksplot(
    adata: AnnData,
    var_names: VarNames | Mapping[str, VarNames],
    groupby: str,
    *,
    use_raw: bool | None = None,
    log: bool = False,
    dendrogram: bool | str = False,
    gene_symbols: str | None = None,
    var_group_positions: Sequence[tuple[int, int]] | None = None,
    var_group_labels: Sequence[str] | None = None,
    layer: str | None = None,
    show: bool | None = None,
    save: Save = None,
    figsize: tuple[float, float] | None = None,
    **kwds: Any,
) -> dict[str, Any] | None:
    """Values of genes in all cells as heights, a track for each gene, cells ordered by group.

    Parameters
    ----------
    adata
        What to plot.
    var_names
        Genes, or numeric columns of ``obs``: a name, a list, or lists by label, which get a
        colour each beside the tracks. A name of both is the gene.
    groupby
        Categorical column of ``obs``.
    use_raw
        Whether genes come from ``raw``; by default if there is one and no ``layer`` is given.
    log
        Whether to take ``log1p`` of the values first, and draw these on a logarithmic axis.
    dendrogram
        Whether to order groups by, and to show, ``uns[f"dendrogram_{groupby}"]``; or another key
        in ``uns``. It is computed if it is missing.
    gene_symbols
        Column of ``var`` in which to look for genes that are not in ``var_names``.
    var_group_positions, var_group_labels
        First and last gene of each group of genes, and its label.
    layer
        Layer that genes come from.
    show, save
        See :mod:`lazyomics.pl`.
    figsize
        Width and height in inches; by default by the number of genes.
    **kwds
        Without effect, as in scanpy.

    Returns
    -------
    None if it was shown; else the axes: ``track_axes`` (a list), ``groupby_ax`` and, if there are
    such, ``dendrogram_ax`` and ``gene_groups_ax``. Sets ``uns[f"{groupby}_colors"]`` if it is
    missing, and ``uns[f"dendrogram_{groupby}"]`` if a dendrogram is asked for and missing.

    Raises
    ------
    KeyError
        If a gene is unknown. The message names what is available.
    TypeError
        If ``adata`` is no AnnData.
    ValueError
        If ``groupby`` is no categorical column of ``obs``, parameters contradict each other, or
        the dendrogram has other groups.

    Notes
    -----
    Passes over X: 1 for all genes. Peak memory: n_obs × genes values, about three times, and 16
    bytes for each of them while it is drawn.

    Cells without a group are left out (scanpy fails).

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> kinds = pd.Categorical(["T", "B", "T"])
    >>> obs = pd.DataFrame({"cell_type": kinds}, index=["a", "b", "c"])
    >>> var = pd.DataFrame(index=["CD79A", "CD3E"])
    >>> adata = lo.AnnData(np.array([[0.0, 1], [2, 0], [0, 3]]), obs=obs, var=var)
    >>> axes = lo.pl.tracksplot(adata, ["CD79A", "CD3E"], "cell_type", show=False)
    >>> [ax.get_ylabel() for ax in axes["track_axes"]]
    ['CD79A', 'CD3E']
    """
    check_annotated(adata, "pl.tracksplot")
    if groupby not in adata.obs.columns or not isinstance(
        adata.obs[groupby].dtype, pd.CategoricalDtype
    ):
        known = adata.obs.select_dtypes("category").columns.tolist()
        raise ValueError(f"groupby={groupby!r} is no categorical column of obs: {known}")
    genes, var_groups = split_var_names(var_names, var_group_labels, var_group_positions)
    cells = _Cells.of(
        adata,
        genes,
        cell_groups(adata.obs, groupby),
        groupby,
        var_groups,
        dendrogram,
        use_raw=use_raw,
        layer=layer,
        gene_symbols=gene_symbols,
        log=log,
    )
    colors = cells.colors(adata, groupby)
    assert colors is not None
    figure, axes = _draw_tracks(cells, colors, figsize, log=log)
    return finish(figure, axes, name="tracksplot", show=show, save=save, owned=True)


def _draw_tracks(
    cells: _Cells, colors: list[str], figsize: tuple[float, float] | None, *, log: bool
) -> tuple[Figure, dict[str, Any]]:
    genes = cells.values.shape[1]
    tree = TRACKS_TREE if cells.tree is not None else 0.0
    width, track = TRACKS_WIDTH, TRACK_HEIGHT
    if figsize is not None:
        width = figsize[0]
        track = (figsize[1] - tree - GROUPS_HEIGHT) / genes
    ratios = [tree, *[track] * genes, GROUPS_HEIGHT]
    figure = plt.figure(figsize=(width, sum(ratios)))
    grid = GridSpec(
        genes + 2,
        2,
        figure=figure,
        wspace=1.0 / width,
        hspace=0,
        height_ratios=ratios,
        width_ratios=[width, 0.14],
    )
    tracks: list[Axes] = []
    for gene in range(genes):
        ax = figure.add_subplot(grid[gene + 1, 0], sharex=tracks[0] if tracks else None)
        tracks.append(ax)
        _draw_track(ax, cells, gene, colors, log=log)
    tracks[-1].set_xlim(0, len(cells.values))
    axes: dict[str, Any] = {"track_axes": tracks}
    blocks = _Blocks.of(colors)
    axes["groupby_ax"] = figure.add_subplot(grid[genes + 1, 0].subgridspec(2, 1)[1])
    _draw_groups(axes["groupby_ax"], cells, blocks, upright=False)
    over = figure.add_subplot(grid[1:-1, 0], sharex=tracks[0])
    over.vlines(cells.ends[:-1], 0, 1, lw=0.5, linestyle="--")
    over.axis("off")
    over.set_ylim(0, 1)
    if cells.tree is not None:
        axes["dendrogram_ax"] = figure.add_subplot(grid[0, 0], sharex=tracks[0])
        draw_tree(axes["dendrogram_ax"], cells.tree, side="top", ticks=cells.ticks, labels=False)
    if cells.var_groups is not None:
        axes["gene_groups_ax"] = figure.add_subplot(grid[1:-1, 1])
        _draw_gene_groups(axes["gene_groups_ax"], cells, blocks, named_alike=False)
    return figure, axes


def _draw_track(ax: Axes, cells: _Cells, gene: int, colors: list[str], *, log: bool) -> None:
    values = cells.values.iloc[:, gene].to_numpy()
    for color, (start, end) in zip(colors, pairwise([0, *cells.ends.tolist()]), strict=True):
        ax.fill_between(np.arange(start, end), 0, values[start:end], lw=0.1, color=color)
    if log:
        ax.set_yscale("log")
    for side in ("left", "top", "bottom"):
        ax.spines[side].set_visible(False)
    ax.spines["right"].set_position(("axes", 1.01))
    ax.grid(visible=False)
    highest = int(ax.get_ylim()[1])
    ax.set_yticks([highest], [str(highest)], ha="left", va="top")
    ax.tick_params(
        axis="y",
        labelsize="x-small",
        right=True,
        left=False,
        length=2,
        which="both",
        labelright=True,
        labelleft=False,
        direction="in",
    )
    ax.tick_params(axis="x", bottom=False, labelbottom=False)
    ax.set_ylabel(cells.values.columns[gene], rotation=0, fontsize="small", ha="right", va="bottom")
    ax.yaxis.set_label_coords(-0.005, 0.1)
