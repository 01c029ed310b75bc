"""Violins side by side in one panel, with the observations on them."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.typing import ColorType

from lazyomics.pl.density import estimate, half_widths
from lazyomics.pl.textsize import widest
from lazyomics.pl.theme import settings
from lazyomics.pl.violin_inner import Body, draw_inner
from lazyomics.pl.violin_options import ViolinOptions

__all__ = ["Strip", "ViolinStyle", "draw_violins"]


@dataclass(frozen=True)
class Strip:
    """What a panel shows.

    Attributes
    ----------
    values
        Values of each violin by its name.
    colors
        Colour of each violin.
    ylabel, title
        Label of the values and title of the panel.
    """

    values: Mapping[str, npt.NDArray[Any]]
    colors: Sequence[ColorType]
    ylabel: str
    title: str = ""


@dataclass(frozen=True)
class ViolinStyle:
    """How panels of violins look; the attributes are parameters of :func:`lazyomics.pl.violin`.

    ``jitter`` is None to draw no points.
    """

    violins: ViolinOptions
    jitter: float | None
    size: float
    log: bool
    rotation: float | None


def draw_violins(ax: Axes, strip: Strip, style: ViolinStyle, *, width: float) -> None:
    """Draw the violins of a panel that is ``width`` inches wide."""
    _draw_bodies(ax, strip, style.violins)
    if style.jitter is not None:
        _draw_points(ax, strip, style.jitter, style.size)
    if style.log:
        ax.set_yscale("log")
    ax.set_title(strip.title)
    ax.grid(visible=False, axis="x")
    _name_violins(ax, list(strip.values), style.rotation, width)


def _draw_bodies(ax: Axes, strip: Strip, options: ViolinOptions) -> None:
    columns = [_finite(values) for values in strip.values.values()]
    densities = [estimate(values, options.shape) for values in columns]
    width = options.width * (1 - options.gap)
    halves = half_widths(densities, options.density_norm, width=width)
    saturation = options.saturation if options.fill else 1.0
    fills = [_desaturated(color, saturation) for color in strip.colors]
    dark = 0.6 * min((colorsys.rgb_to_hls(*fill)[1] for fill in fills), default=0.5)
    for place, density in enumerate(densities):
        half, fill, line = halves[place], fills[place], options.linecolor
        line = str(dark) if isinstance(line, str) and line == "auto" else line
        line, face = (line, fill) if options.fill else (fill, "none")
        body = Body(place, density.support, half, columns[place], line, options.line_width)
        if len(density.support) == 1:
            ends, height = [place - half[0], place + half[0]], [density.support[0]] * 2
            ax.plot(ends, height, c=line, linewidth=body.linewidth)
        elif len(density.support) > 1:
            look: dict[str, Any] = {"facecolor": face, "edgecolor": line}
            look |= {"linewidth": body.linewidth, **options.rest}
            ax.fill_betweenx(density.support, place - half, place + half, **look)
            draw_inner(ax, body, options.inner, options.inner_options)


def _finite(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.isfinite(numbers)]


def _draw_points(ax: Axes, strip: Strip, jitter: float, size: float) -> None:
    # A generator of its own: the same plot every time, and nobody else's random numbers change.
    random = np.random.default_rng(0)
    for place, values in enumerate(strip.values.values()):
        shift = random.uniform(-jitter, jitter, len(values)) if len(values) > 1 else 0.0
        ax.scatter(
            place + np.broadcast_to(shift, len(values)),
            values,
            s=size**2,
            color="black",
            linewidth=0,
            zorder=3,
            rasterized=settings.vector_friendly,
        )


def _name_violins(ax: Axes, names: list[str], rotation: float | None, width: float) -> None:
    if rotation is None:
        slot = width / max(len(names), 1)
        fontsize = mpl.rcParams["xtick.labelsize"]
        rotation = 0 if widest(names, fontsize=fontsize) < 0.95 * slot else 90
    ax.set_xlim(-0.5, len(names) - 0.5)
    if names == [""]:
        ax.set_xticks([])
    else:
        ax.set_xticks(range(len(names)), names, rotation=rotation)


def _desaturated(color: ColorType, share: float) -> tuple[float, float, float]:
    hue, lightness, saturation = colorsys.rgb_to_hls(*to_rgb(color))
    return colorsys.hls_to_rgb(hue, lightness, saturation * share)
