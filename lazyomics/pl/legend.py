"""Legends of categories, beside the points or on them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes

from lazyomics.pl.textsize import POINTS_PER_INCH, font_points, widest

__all__ = ["LegendStyle", "add_legend", "legend_width"]


@dataclass(frozen=True)
class LegendStyle:
    """How a legend looks; the attributes are the parameters of :func:`lazyomics.pl.embedding`."""

    loc: Any = "right margin"
    fontsize: float | str | None = None
    fontweight: int | str = "bold"
    fontoutline: float | None = None
    na_color: str = "#d3d3d3"
    na_in_legend: bool = True


def add_legend(
    ax: Axes,
    groups: pd.Categorical,
    points: npt.NDArray[Any],
    *,
    colors: Mapping[Any, str],
    style: LegendStyle,
    shrink: bool,
) -> None:
    """Add the legend of coloured points.

    Parameters
    ----------
    ax
        Axes with the points.
    groups
        Category of each point, shape (n_obs,).
    points
        Coordinates, shape (n_obs, 2).
    colors
        Colour by category.
    style
        How the legend looks.
    shrink
        Whether to give a tenth of the panel to the legend, so that it ends up as wide as one with
        a colour bar.
    """
    labels = list(groups.categories)
    shown = dict(colors)
    if style.na_in_legend and groups.isna().any():
        label = "NA" if "NA" not in shown else "missing"
        groups = groups.add_categories([label]).fillna(label)
        labels, shown[label] = [*labels, label], style.na_color
    if shrink:
        box = ax.get_position()
        ax.set_position((box.x0, box.y0, box.width * 0.91, box.height))
    if style.loc == "on data":
        _label_groups(ax, groups, points, style)
    elif style.loc not in {None, "none"}:
        for label in labels:
            ax.scatter([], [], c=shown[label], label=str(label))
        _place(ax, len(labels), style)


def legend_width(labels: pd.Index[Any], style: LegendStyle) -> float:
    """Width in inches that a legend in the right margin takes, 0 if it is elsewhere."""
    if style.loc != "right margin" or len(labels) == 0:
        return 0.0
    rc = mpl.rcParams
    size = rc["legend.fontsize"] if style.fontsize is None else style.fontsize
    em = font_points(size) / POINTS_PER_INCH
    columns = min(_columns(len(labels)), len(labels))
    column = (rc["legend.handlelength"] + rc["legend.handletextpad"]) * em
    column += widest(labels, fontsize=size)
    between = (columns - 1) * rc["legend.columnspacing"] * em
    border = 2 * (rc["legend.borderpad"] + rc["legend.borderaxespad"]) * em
    return float(columns * column + between + border)


def _columns(labels: int) -> int:
    return (
        1 if labels <= 14 else 2 if labels <= 30 else 3 if labels <= 102 else math.ceil(labels / 34)
    )


def _place(ax: Axes, labels: int, style: LegendStyle) -> None:
    if style.loc == "right margin":
        ax.legend(
            frameon=False,
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            ncol=_columns(labels),
            fontsize=style.fontsize,
        )
    else:
        ax.legend(loc=style.loc, fontsize=style.fontsize)


def _label_groups(
    ax: Axes, groups: pd.Categorical, points: npt.NDArray[Any], style: LegendStyle
) -> None:
    effects = None
    if style.fontoutline is not None:
        effects = [patheffects.withStroke(linewidth=style.fontoutline, foreground="w")]
    for code, label in enumerate(groups.categories):
        members = points[groups.codes == code]
        if len(members) == 0:
            continue
        x, y = np.nanmedian(members, axis=0)
        ax.text(
            x,
            y,
            str(label),
            weight=style.fontweight,
            verticalalignment="center",
            horizontalalignment="center",
            fontsize=style.fontsize,
            path_effects=effects,
        )
