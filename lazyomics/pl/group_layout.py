"""Places of the parts of a plot of groups × genes."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, GridSpecBase

from lazyomics.pl.figure import figure_of, font_points
from lazyomics.pl.values import VarGroups, label_room

__all__ = ["CATEGORY_WIDTH", "GroupAxes", "GroupLayout"]


CATEGORY_HEIGHT = 0.35  # inches
CATEGORY_WIDTH = 0.37
LEAST_HEIGHT = 2.5  # what the legends need
LABELS_HEIGHT = 1.0
TITLE_SPACE = 0.75  # between the legends, for the title of the lower one
SMALL_FONT = 8.33  # points of a "small" font that the sizes above are made for


@dataclass
class GroupAxes:
    """Axes of a plot of groups × genes; None where there is no such part."""

    figure: Figure
    main: Axes
    size_legend: Axes | None
    color_legend: Axes | None
    extra: Axes | None
    brackets: Axes | None

    def by_name(self) -> dict[str, Axes]:
        """Axes under scanpy's names."""
        named = {
            "mainplot_ax": self.main,
            "group_extra_ax": self.extra,
            "gene_group_ax": self.brackets,
            "size_legend_ax": self.size_legend,
            "color_legend_ax": self.color_legend,
        }
        return {name: ax for name, ax in named.items() if ax is not None}


@dataclass(frozen=True)
class GroupLayout:
    """Sizes in inches, before the margins of the figure are taken off.

    Attributes
    ----------
    width, height
        Of the figure.
    main_width, main_height
        Of the squares, dots or violins.
    extra
        Size of the dendrogram or the bars of totals, 0 without.
    bracket
        Size of the brackets with labels that are beside the main part, 0 without.
    legends_width
        Of the legends, 0 without.
    legend_height
        What the heights of the legends are measured by.
    text_scale
        How much larger text is than the sizes are made for, at least 1.
    swapped
        Whether genes are rows.
    gap
        Space between the main part and what is beside it, as a share of their mean width.
    """

    width: float
    height: float
    main_width: float
    main_height: float
    extra: float
    bracket: float
    legends_width: float
    legend_height: float
    text_scale: float
    swapped: bool
    gap: float

    @classmethod
    def plan(
        cls,
        groups: int,
        genes: int,
        *,
        figsize: tuple[float, float] | None,
        swapped: bool,
        extra: float,
        var_groups: VarGroups | None,
        rotation: float | None,
        legends_width: float,
        gap: float = 0.0,
    ) -> GroupLayout:
        """Sizes for a number of groups and genes, or within ``figsize``."""
        bracket = 0.0
        if var_groups is not None:
            bracket = CATEGORY_WIDTH if swapped else CATEGORY_HEIGHT / 2
            if swapped:
                # Margins are taken off all widths here, but text does not shrink.
                kept = mpl.rcParams["figure.subplot.right"] - mpl.rcParams["figure.subplot.left"]
                bracket += label_room(var_groups, unit=CATEGORY_HEIGHT, rotation=rotation) / kept
        beside, above = (bracket, extra) if swapped else (extra, bracket)
        scale = max(1.0, font_points("small") / SMALL_FONT)
        legends = legends_width * scale
        if figsize is not None:
            width, height = figsize
            main_width = max(width - legends - beside, 0.2 * width)
            main_height = max(height - above, 0.2 * height)
            legend_height = height
        else:
            columns, rows = (groups, genes) if swapped else (genes, groups)
            main_width, main_height = columns * CATEGORY_WIDTH, rows * CATEGORY_HEIGHT
            legend_height = LEAST_HEIGHT * scale
            height = max(legend_height, main_height + (above if swapped else 0) + LABELS_HEIGHT)
            width = main_width + beside + legends
        sizes = (width, height, main_width, main_height, extra, bracket, legends, legend_height)
        return cls(*sizes, text_scale=scale, swapped=swapped, gap=gap)

    def draw(
        self, ax: Axes | None, title: str | None, *, sizes: bool = False, colors: bool = True
    ) -> GroupAxes:
        """Make the axes, in a new figure or in place of ``ax``.

        Parameters
        ----------
        ax
            Axes of the caller.
        title
            Title of the plot.
        sizes, colors
            Whether there is a legend of sizes and a colour bar.
        """
        ratios = [self.main_width + self._beside, self.legends_width]
        figure, outer = _grid(ax, self.width, self.height, ratios)
        if title:
            # Over all but the legends, so that it is centred on them.
            above = figure.add_subplot(outer[0, 0])
            above.axis("off")
            above.set_title(title)
        spacer = max(self.height - self.main_height - self._above, 0.0)
        inner = outer[0, 0].subgridspec(
            3,
            2,
            wspace=self.gap,
            hspace=0,
            width_ratios=[self.main_width, self._beside],
            height_ratios=[spacer, self._above, self.main_height],
        )
        main = figure.add_subplot(inner[2, 0])
        extra = brackets = None
        if self.extra:
            where, share = (inner[1, 0], "sharex") if self.swapped else (inner[2, 1], "sharey")
            extra = figure.add_subplot(where, **{share: main})
        if self.bracket:
            where, share = (inner[2, 1], "sharey") if self.swapped else (inner[1, 0], "sharex")
            brackets = figure.add_subplot(where, **{share: main})
        legends = self._legends(figure, outer, sizes=sizes, colors=colors)
        return GroupAxes(figure, main, *legends, extra, brackets)

    def _legends(
        self, figure: Figure, outer: GridSpecBase, *, sizes: bool, colors: bool
    ) -> tuple[Axes | None, Axes | None]:
        if not self.legends_width:
            return None, None
        size, least, bar = (share * self.legend_height for share in (0.27, 0.3, 0.08))
        space = max(least, min(TITLE_SPACE * self.text_scale, 0.5 * self.legend_height))
        rest = max(self.height - size - space - bar, 0.0)
        if not sizes:
            column = outer[0, 1].subgridspec(2, 1, height_ratios=[self.height - bar, bar])
            return None, figure.add_subplot(column[1]) if colors else None
        column = outer[0, 1].subgridspec(4, 1, height_ratios=[rest, size, space, bar])
        return figure.add_subplot(column[1]), figure.add_subplot(column[3]) if colors else None

    @property
    def _beside(self) -> float:
        return self.bracket if self.swapped else self.extra

    @property
    def _above(self) -> float:
        return self.extra if self.swapped else self.bracket


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
