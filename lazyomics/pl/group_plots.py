"""What dot plots, matrix plots and stacked violins have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.errors import warn_user
from lazyomics.get.group_stats import as_names, cell_groups
from lazyomics.pl.coloring import color_norm, colormap
from lazyomics.pl.dendrograms import draw_tree, leaf_order, stored_dendrogram
from lazyomics.pl.figure import Save, finish
from lazyomics.pl.group_layout import CATEGORY_WIDTH, GroupAxes, GroupLayout
from lazyomics.pl.values import VarNames, draw_brackets, split_var_names

__all__ = ["UNSET", "GroupPlot", "draw_colorbar", "name_ticks", "scaled_table"]


class _Unset:
    def __repr__(self) -> str:
        return "unset"


# Default of style parameters: what is not given stays as it is, and None is a value.
UNSET: Any = _Unset()

Scale = Literal["var", "group"] | None


@dataclass(frozen=True)
class _Totals:
    """Bars of the number of observations of each group."""

    counts: pd.Series[int]
    color: ColorType | Sequence[ColorType] | None


class GroupPlot:
    """A table of groups × genes that can be changed before it is drawn.

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
    categories_order
        Groups in the order in which to show them.
    title
        Title of the plot.
    figsize
        Width and height in inches; by default by the number of genes and groups.
    gene_symbols
        Column of ``var`` in which to look for genes that are not in ``var_names``.
    var_group_labels, var_group_positions, var_group_rotation
        Label of each bracket, its first and last gene, and the rotation of labels in degrees.
    layer
        Layer that genes come from.
    ax
        Axes to draw in place of.
    vmin, vmax, vcenter, norm
        Limits and centre of the colour scale, or a matplotlib norm instead.
    **kwds
        Passed to matplotlib.

    Raises
    ------
    ValueError
        If ``groupby`` is not in ``obs``, or parameters contradict each other.
    """

    DEFAULT_SAVE_PREFIX: ClassVar[str] = "baseplot_"
    DEFAULT_COLORMAP: ClassVar[str] = "winter"
    DEFAULT_LEGENDS_WIDTH: ClassVar[float] = 1.5
    DEFAULT_COLOR_LEGEND_TITLE: ClassVar[str] = "Expression\nlevel in group"
    MAX_NUM_CATEGORIES: ClassVar[int] = 500

    def __init__(
        self,
        adata: AnnData,
        var_names: VarNames | Mapping[str, VarNames],
        groupby: str | Sequence[str],
        *,
        use_raw: bool | None = None,
        log: bool = False,
        num_categories: int = 7,
        categories_order: Sequence[str] | None = None,
        title: str | None = None,
        figsize: tuple[float, float] | None = None,
        gene_symbols: str | None = None,
        var_group_labels: Sequence[str] | None = None,
        var_group_positions: Sequence[tuple[int, int]] | None = None,
        var_group_rotation: float | None = None,
        layer: str | None = None,
        ax: Axes | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        vcenter: float | None = None,
        norm: Normalize | None = None,
        **kwds: Any,
    ) -> None:
        check_annotated(adata, f"pl.{self.DEFAULT_SAVE_PREFIX.removesuffix('_')}")
        names, groups = split_var_names(var_names, var_group_labels, var_group_positions)
        self.adata, self.groupby = adata, as_names(groupby)
        self.var_names, self.var_groups = names, groups
        self.var_group_rotation = var_group_rotation
        self.log, self.kwds, self.ax = log, dict(kwds), ax
        self.fig_title, self.figsize = title, figsize
        self.limits = (vmin, vmax, vcenter, norm)
        color_norm(*self.limits)
        self.groups = cell_groups(adata.obs, groupby, num_categories=num_categories)
        self.groups = self.groups.remove_unused_categories()
        self.categories = list(self.groups.categories)
        self.categories_order = self._checked(categories_order)
        if len(self.categories) > self.MAX_NUM_CATEGORIES:
            warn_user(f"{len(self.categories)} groups are shown: the plot will be very large")
        self.var_names_idx_order: list[int] | None = None
        self.cmap: Colormap | str | None = self.DEFAULT_COLORMAP
        self.color_legend_title: str | None = self.DEFAULT_COLOR_LEGEND_TITLE
        self.legends_width = self.DEFAULT_LEGENDS_WIDTH
        self.are_axes_swapped = False
        self.wspace = 0.0
        self.group_extra_size = 0.0
        self.fig: Figure | None = None
        self.ax_dict: dict[str, Axes] | None = None
        self._extra: dict[str, Any] | _Totals | None = None

    def _checked(self, order: Sequence[str] | None) -> list[Any] | None:
        if order is not None and set(order) != set(self.categories):
            raise ValueError(f"categories_order={list(order)} are not the groups {self.categories}")
        return None if order is None else list(order)

    def swap_axes(self, *, swap_axes: bool | None = True) -> Self:
        """Make genes rows and groups columns.

        Parameters
        ----------
        swap_axes
            Whether to do so, or to undo it.

        Returns
        -------
        The object itself.
        """
        self.are_axes_swapped = bool(swap_axes)
        return self

    def add_dendrogram(
        self,
        *,
        show: bool | None = True,
        dendrogram_key: str | None = None,
        size: float | None = 0.8,
    ) -> Self:
        """Order groups by their dendrogram, and show it on the right, or on top of swapped axes.

        Brackets that are named like the groups are ordered likewise.

        Parameters
        ----------
        show
            Whether to show a dendrogram.
        dendrogram_key
            Key in ``uns``, by default ``f"dendrogram_{groupby}"``. It is computed if it is
            missing.
        size
            Width (or height on top) in inches.

        Returns
        -------
        The object itself.

        Raises
        ------
        ValueError
            If the dendrogram is of other groups.
        """
        if not show:
            self._extra, self.group_extra_size = None, 0.0
            return self
        if len(self.categories) <= 2:
            logging.warning("no dendrogram is shown for fewer than 3 groups")
            return self
        stored = stored_dendrogram(self.adata, self.groupby, dendrogram_key)
        self.categories_order = leaf_order(stored, self.categories, self.groupby)
        leaves = list(map(str, self.categories_order))
        if self.var_groups is not None and set(self.var_groups.labels) == set(leaves):
            self.var_groups, order = self.var_groups.ordered(leaves)
            before = self.var_names_idx_order
            self.var_names_idx_order = order if before is None else [before[i] for i in order]
        self._extra, self.group_extra_size = stored["dendrogram_info"], float(size or 0.0)
        return self

    def add_totals(
        self,
        *,
        show: bool | None = True,
        sort: Literal["ascending", "descending"] | None = None,
        size: float | None = 0.8,
        color: ColorType | Sequence[ColorType] | None = None,
    ) -> Self:
        """Show bars of the number of observations of each group, in place of a dendrogram.

        Parameters
        ----------
        show
            Whether to show them.
        sort
            Order groups by these numbers.
        size
            Width (or height on top) in inches.
        color
            Colour of the bars, or one for each; by default ``"salmon"``.

        Returns
        -------
        The object itself.

        Raises
        ------
        ValueError
            If ``sort`` is neither of the two.
        """
        if not show:
            self._extra, self.group_extra_size = None, 0.0
            return self
        if sort not in (None, "ascending", "descending"):
            raise ValueError(f"sort={sort!r}: expected 'ascending', 'descending' or None")
        index = pd.CategoricalIndex(self.groups[self.groups.codes >= 0])
        counts = index.value_counts(sort=sort is not None, ascending=sort == "ascending")
        if sort is not None:
            self.categories_order = list(counts.index)
        self._extra, self.group_extra_size = _Totals(counts, color), float(size or 0.0)
        return self

    def style(self, *, cmap: Colormap | str | None = UNSET) -> Self:
        """Change how the plot looks; what is not given stays.

        Parameters
        ----------
        cmap
            Colour map; None is the default of ``rcParams``.

        Returns
        -------
        The object itself.
        """
        self.cmap = self.cmap if cmap is UNSET else cmap
        return self

    def legend(
        self,
        *,
        show: bool | None = True,
        title: str | None = DEFAULT_COLOR_LEGEND_TITLE,
        width: float | None = DEFAULT_LEGENDS_WIDTH,
    ) -> Self:
        """Change the legend.

        Parameters
        ----------
        show
            Whether there is one; the plot is wider without it.
        title
            Title of the colour bar.
        width
            Width in inches.

        Returns
        -------
        The object itself.
        """
        self.legends_width = float(width or 0.0) if show else 0.0
        self.color_legend_title = title if show else self.color_legend_title
        return self

    def get_axes(self) -> dict[str, Axes]:
        """Axes by scanpy's names; the figure is drawn if it was not yet.

        Returns
        -------
        ``mainplot_ax`` and, where there are such, ``color_legend_ax``, ``size_legend_ax``,
        ``group_extra_ax`` (dendrogram or totals) and ``gene_group_ax`` (brackets).
        """
        if self.ax_dict is None:
            self.make_figure()
        assert self.ax_dict is not None
        return self.ax_dict

    def make_figure(self) -> None:
        """Draw the figure, and show it not yet.

        The result is in the attributes ``fig`` and ``ax_dict``.
        """
        layout = GroupLayout.plan(
            len(self.categories),
            len(self.var_names),
            figsize=self.figsize,
            swapped=self.are_axes_swapped,
            extra=self.group_extra_size,
            var_groups=self.var_groups,
            rotation=self.var_group_rotation,
            legends_width=self.legends_width,
            gap=self.wspace,
        )
        sizes, colors = self._shown_legends()
        axes = layout.draw(self.ax, self.fig_title, sizes=sizes, colors=colors)
        self._draw_margins(axes, layout)
        self._draw(axes)
        axes.main.set_zorder(100)
        self.fig, self.ax_dict = axes.figure, axes.by_name()

    def show(self, *, return_axes: bool | None = None) -> dict[str, Axes] | None:
        """Draw the figure and show it.

        Parameters
        ----------
        return_axes
            Whether to return the axes and to show nothing.

        Returns
        -------
        The axes, see :meth:`get_axes`, or None.
        """
        self.make_figure()
        if return_axes:
            return self.ax_dict
        plt.show()
        return None

    def savefig(
        self, filename: str | PathLike[str], bbox_inches: str | None = "tight", **kwargs: Any
    ) -> None:
        """Draw the figure and write it.

        Parameters
        ----------
        filename
            Its ending is the format.
        bbox_inches
            ``"tight"`` keeps all of the legends.
        **kwargs
            Passed to :meth:`matplotlib.figure.Figure.savefig`.
        """
        self.make_figure()
        assert self.fig is not None
        self.fig.savefig(filename, bbox_inches=bbox_inches, **kwargs)

    def _end(
        self,
        dendrogram: bool | str,
        swap_axes: bool | None,
        return_fig: bool | None,
        show: bool | None,
        save: Save,
    ) -> Any:
        """What the verbs do with a plot of which all else is set."""
        if dendrogram:
            self.add_dendrogram(dendrogram_key=dendrogram if isinstance(dendrogram, str) else None)
        self.swap_axes(swap_axes=swap_axes)
        return self if return_fig else self._finish(show, save)

    def _finish(self, show: bool | None, save: Save) -> dict[str, Axes] | None:
        axes = self.get_axes()
        assert self.fig is not None
        name, owned = self.DEFAULT_SAVE_PREFIX, self.ax is None
        return finish(self.fig, axes, name=name, show=show, save=save, owned=owned)

    def _shown_legends(self) -> tuple[bool, bool]:
        """Whether there is a legend of sizes, and one of colours."""
        return False, True

    def _draw(self, axes: GroupAxes) -> None:
        """Draw the main part and the legends."""
        raise NotImplementedError

    def _norm(self) -> Normalize:
        return color_norm(*self.limits)

    def _arranged(self, table: pd.DataFrame) -> pd.DataFrame:
        """Groups × genes, or genes × groups, in the order in which they are drawn."""
        if self.categories_order is not None:
            table = table.loc[self.categories_order]
        if self.var_names_idx_order is not None:
            table = table.iloc[:, self.var_names_idx_order]
        return table.T if self.are_axes_swapped else table

    def _draw_margins(self, axes: GroupAxes, layout: GroupLayout) -> None:
        extra = self._extra
        if axes.extra is not None and isinstance(extra, _Totals):
            order = self.categories if self.categories_order is None else self.categories_order
            counts = extra.counts.reindex(order, fill_value=0)
            color = "salmon" if extra.color is None else extra.color
            _draw_totals(axes.extra, counts.to_numpy(), color, on_top=layout.swapped)
        elif axes.extra is not None and isinstance(extra, dict):
            ticks = np.arange(len(self.categories), dtype=np.float64) + 0.5
            side: Literal["top", "right"] = "top" if layout.swapped else "right"
            draw_tree(axes.extra, extra, side=side, ticks=ticks, labels=False)
        if axes.brackets is not None and self.var_groups is not None:
            draw_brackets(
                axes.brackets,
                self.var_groups,
                side="right" if layout.swapped else "top",
                rotation=self.var_group_rotation,
                unit=layout.main_height / len(self.var_names),
                depth=layout.bracket / CATEGORY_WIDTH if layout.swapped else 1.0,
            )


BAR = 0.65  # thickness of bars of totals, where groups are 1 apart


def _draw_totals(ax: Axes, counts: Any, color: Any, *, on_top: bool) -> None:
    """Draw a bar for each group, with its number at the end."""
    places = np.arange(len(counts)) + (0.175 if on_top else 0.195)
    look: dict[str, Any] = {"align": "edge", "color": color, "edgecolor": "black"}
    if on_top:
        ax.bar(places, counts, width=BAR, **look)
    else:
        ax.barh(places, counts, height=BAR, **look)
    longest = counts.max()
    for place, count in zip(places, counts, strict=True):
        label = f"{np.round(count / 1000, decimals=1)}k" if count >= 1000 else str(count)
        where = (place + BAR / 2, count + longest * 0.05) if on_top else (count, place + BAR)
        ax.annotate(
            label,
            where,
            ha="center",
            va="top",
            xytext=(0, 10) if on_top else (10, 10),
            fontsize="x-small",
            textcoords="offset points",
        )
    (ax.set_ylim if on_top else ax.set_xlim)(0, longest * 1.4)
    ax.grid(visible=False)
    ax.axis("off")


def draw_colorbar(
    ax: Axes, norm: Normalize, cmap: Colormap | str | None, title: str | None
) -> None:
    """Draw a horizontal colour bar into axes."""
    mappable = ScalarMappable(norm=norm, cmap=colormap(cmap))
    Colorbar(ax, mappable=mappable, orientation="horizontal")
    ax.set_title(title or "", fontsize="small")
    ax.xaxis.set_tick_params(labelsize="small")


def name_ticks(ax: Axes, table: pd.DataFrame) -> None:
    """Name rows and columns of a table, in the middle of unit squares."""
    rows, columns = table.shape
    ax.set_yticks(np.arange(rows) + 0.5, [str(label) for label in table.index])
    labels = [str(label) for label in table.columns]
    ax.set_xticks(np.arange(columns) + 0.5, labels, rotation=90, ha="center")
    ax.tick_params(axis="both", labelsize="small")
    ax.grid(visible=False)


def scaled_table(table: pd.DataFrame, standard_scale: Any, *, rows: str = "group") -> pd.DataFrame:
    """Values moved and scaled to reach from 0 to 1 in each column (``"var"``) or row.

    Parameters
    ----------
    table
        Groups or observations × genes.
    standard_scale
        ``"var"``, the name of the rows, or None for no change.
    rows
        Name of the rows.
    """
    if standard_scale is None:
        return table
    if standard_scale not in ("var", rows):
        raise ValueError(f"standard_scale={standard_scale!r}: expected 'var', {rows!r} or None")
    if table.empty:
        return table
    axis = 0 if standard_scale == "var" else 1
    values = table.to_numpy(dtype=np.float64)
    values = values - np.fmin.reduce(values, axis=axis, keepdims=True)
    highest = np.fmax.reduce(values, axis=axis, keepdims=True)
    # A gene with the same value everywhere stays at 0, and so does a mean of nothing.
    values = np.divide(values, highest, out=np.zeros_like(values), where=highest > 0)
    return pd.DataFrame(np.nan_to_num(values), table.index, table.columns)
