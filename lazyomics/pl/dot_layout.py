"""Where the parts of a dot plot are."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, GridSpecBase

from lazyomics.pl.panels import figure_of
from lazyomics.pl.textsize import font_points
from lazyomics.pl.var_groups import VarGroups, label_room

__all__ = ["DotAxes", "DotLayout"]

CATEGORY_HEIGHT = 0.35  # inches
CATEGORY_WIDTH = 0.37
LEAST_HEIGHT = 2.5  # what the legends need
LEGENDS_WIDTH = 1.5
TREE_SIZE = 0.8
LABELS_HEIGHT = 1.0
TITLE_SPACE = 0.75  # between the legends, for the title of the lower one
SMALL_FONT = 8.33  # points of a "small" font that the sizes above are made for


@dataclass
class DotAxes:
    """Axes of a dot plot; None where there is no such part."""

    figure: Figure
    main: Axes
    size_legend: Axes
    color_legend: Axes
    tree: Axes | None
    brackets: Axes | None

    def by_name(self) -> dict[str, Axes]:
        """Axes under scanpy's names."""
        named = {
            "mainplot_ax": self.main,
            "group_extra_ax": self.tree,
            "gene_group_ax": self.brackets,
            "size_legend_ax": self.size_legend,
            "color_legend_ax": self.color_legend,
        }
        return {name: ax for name, ax in named.items() if ax is not None}


@dataclass(frozen=True)
class DotLayout:
    """Sizes in inches, before the margins of the figure are taken off.

    Attributes
    ----------
    width, height
        Of the figure.
    main_width, main_height
        Of the dots.
    tree
        Size of the dendrogram, 0 without one.
    bracket
        Size of the brackets with labels that are beside the dots, 0 without.
    legend_height
        What the heights of the legends are measured by.
    text_scale
        How much larger text is than the sizes are made for, at least 1.
    swapped
        Whether genes are rows.
    """

    width: float
    height: float
    main_width: float
    main_height: float
    tree: float
    bracket: float
    legend_height: float
    text_scale: float
    swapped: bool

    @classmethod
    def plan(
        cls,
        groups: int,
        genes: int,
        *,
        figsize: tuple[float, float] | None,
        swapped: bool,
        tree: bool,
        var_groups: VarGroups | None,
        rotation: float | None,
    ) -> DotLayout:
        """Sizes for a number of groups and genes, or within ``figsize``."""
        bracket = 0.0
        if var_groups is not None:
            bracket = CATEGORY_WIDTH if swapped else CATEGORY_HEIGHT / 2
            if swapped:
                # Margins are taken off all widths here, but text does not shrink.
                kept = mpl.rcParams["figure.subplot.right"] - mpl.rcParams["figure.subplot.left"]
                bracket += label_room(var_groups, unit=CATEGORY_HEIGHT, rotation=rotation) / kept
        tree_size = TREE_SIZE if tree else 0.0
        beside, above = (bracket, tree_size) if swapped else (tree_size, bracket)
        scale = max(1.0, font_points("small") / SMALL_FONT)
        if figsize is not None:
            width, height = figsize
            main_width = max(width - LEGENDS_WIDTH * scale - beside, 0.2 * width)
            main_height = max(height - above, 0.2 * height)
            legend_height = height
        else:
            columns, rows = (groups, genes) if swapped else (genes, groups)
            main_width, main_height = columns * CATEGORY_WIDTH, rows * CATEGORY_HEIGHT
            legend_height = LEAST_HEIGHT * scale
            height = max(legend_height, main_height + (above if swapped else 0) + LABELS_HEIGHT)
            width = main_width + beside + LEGENDS_WIDTH * scale
        sizes = (width, height, main_width, main_height, tree_size, bracket, legend_height)
        return cls(*sizes, text_scale=scale, swapped=swapped)

    def draw(self, ax: Axes | None, title: str | None) -> DotAxes:
        """Make the axes, in a new figure or in place of ``ax``."""
        ratios = [self.main_width + self._beside, LEGENDS_WIDTH * self.text_scale]
        figure, outer = _grid(ax, self.width, self.height, ratios)
        if title:
            # Over dots and dendrogram together, so that it is centred on them.
            above = figure.add_subplot(outer[0, 0])
            above.axis("off")
            above.set_title(title)
        spacer = max(self.height - self.main_height - self._above, 0.0)
        inner = outer[0, 0].subgridspec(
            3,
            2,
            wspace=0,
            hspace=0,
            width_ratios=[self.main_width, self._beside],
            height_ratios=[spacer, self._above, self.main_height],
        )
        main = figure.add_subplot(inner[2, 0])
        tree = brackets = None
        if self.tree:
            where, share = (inner[1, 0], "sharex") if self.swapped else (inner[2, 1], "sharey")
            tree = figure.add_subplot(where, **{share: main})
        if self.bracket:
            where, share = (inner[2, 1], "sharey") if self.swapped else (inner[1, 0], "sharex")
            brackets = figure.add_subplot(where, **{share: main})
        sizes, colors = self._legends(figure, outer)
        return DotAxes(figure, main, sizes, colors, tree, brackets)

    def _legends(self, figure: Figure, outer: GridSpecBase) -> tuple[Axes, Axes]:
        size, least, bar = (share * self.legend_height for share in (0.27, 0.3, 0.08))
        space = max(least, min(TITLE_SPACE * self.text_scale, 0.5 * self.legend_height))
        rest = max(self.height - size - space - bar, 0.0)
        column = outer[0, 1].subgridspec(4, 1, height_ratios=[rest, size, space, bar])
        return figure.add_subplot(column[1]), figure.add_subplot(column[3])

    @property
    def _beside(self) -> float:
        return self.bracket if self.swapped else self.tree

    @property
    def _above(self) -> float:
        return self.tree if self.swapped else self.bracket


def _grid(
    ax: Axes | None, width: float, height: float, ratios: list[float]
) -> tuple[Figure, GridSpecBase]:
    """Two columns, in a new figure or in place of ``ax``."""
    wspace = 0.7 / width
    if ax is None:
        figure = plt.figure(figsize=(width, height))
        return figure, GridSpec(1, 2, figure=figure, width_ratios=ratios, wspace=wspace)
    figure = figure_of(ax)
    ax.axis("off")
    spec = ax.get_subplotspec()
    if spec is not None:
        return figure, spec.subgridspec(1, 2, width_ratios=ratios, wspace=wspace)
    box = ax.get_position()
    return figure, GridSpec(
        1,
        2,
        figure=figure,
        left=box.x0,
        right=box.x1,
        bottom=box.y0,
        top=box.y1,
        width_ratios=ratios,
        wspace=wspace,
    )
