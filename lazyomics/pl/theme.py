"""How figures look and where they are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.typing import ColorType

from lazyomics.pl.palettes import DEFAULT_20

__all__ = ["FigureSettings", "set_figure_params", "settings"]


@dataclass
class FigureSettings:
    """What the plotting functions read besides ``matplotlib.rcParams``.

    Attributes
    ----------
    figdir
        Folder that ``save=True`` and ``save="_suffix"`` write to.
    file_format
        File format where ``save`` does not name one.
    frameon
        Whether scatter plots have a frame and axis labels.
    vector_friendly
        Whether points are drawn as an image also in PDF and SVG files.
    """

    figdir: Path = field(default_factory=lambda: Path("figures"))
    file_format: str = "pdf"
    frameon: bool = True
    vector_friendly: bool = True


settings = FigureSettings()
"""The settings in use."""


def set_figure_params(
    *,
    scanpy: bool = True,
    dpi: float | None = 80,
    dpi_save: float | None = 150,
    frameon: bool = True,
    vector_friendly: bool = True,
    fontsize: float = 14,
    figsize: tuple[float, float] | list[float] | None = None,
    color_map: str | None = None,
    format: str = "pdf",
    facecolor: ColorType | None = None,
    transparent: bool | None = False,
) -> None:
    """Set size, resolution and style of all following figures.

    Parameters
    ----------
    scanpy
        Whether to set scanpy's style in ``matplotlib.rcParams`` (4 × 4 inch figures, grid lines,
        20 category colours, one font size for everything).
    dpi
        Dots per inch on the screen.
    dpi_save
        Dots per inch in files.
    frameon
        Whether scatter plots have a frame and axis labels.
    vector_friendly
        Whether points are drawn as an image also in PDF and SVG files.
    fontsize
        Font size in points; needs ``scanpy=True``.
    figsize
        Width and height of a panel in inches.
    color_map
        Colour map of numeric values; needs ``scanpy=True``.
    format
        File format of ``save=True``.
    facecolor
        Background colour.
    transparent
        Whether files have a transparent background.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import matplotlib as mpl
    >>> with mpl.rc_context():
    ...     lo.pl.set_figure_params(fontsize=18, figsize=[6, 6])
    ...     mpl.rcParams["font.size"]
    18.0
    """
    changes: dict[str, Any] = {
        "figure.dpi": dpi,
        "savefig.dpi": dpi_save,
        "savefig.transparent": transparent,
        "figure.facecolor": facecolor,
        "axes.facecolor": facecolor,
    }
    if scanpy:
        # A background that the caller chose wins over the style's white.
        changes = {**_scanpy_style(fontsize), **{k: v for k, v in changes.items() if v is not None}}
        changes["image.cmap"] = color_map
    changes["figure.figsize"] = changes.get("figure.figsize") if figsize is None else figsize
    given: Any = {key: value for key, value in changes.items() if value is not None}
    mpl.rcParams.update(given)
    settings.file_format = format
    settings.frameon = frameon
    settings.vector_friendly = vector_friendly


def _scanpy_style(fontsize: float) -> dict[str, Any]:
    return {
        "figure.figsize": (4, 4),
        "figure.subplot.left": 0.18,
        "figure.subplot.right": 0.96,
        "figure.subplot.bottom": 0.15,
        "figure.subplot.top": 0.91,
        "lines.linewidth": 1.5,
        "lines.markersize": 6,
        "lines.markeredgewidth": 1,
        "font.sans-serif": [
            "Arial",
            "Helvetica",
            "DejaVu Sans",
            "Bitstream Vera Sans",
            "sans-serif",
        ],
        "font.size": fontsize,
        "legend.fontsize": 0.92 * fontsize,
        "axes.titlesize": fontsize,
        "axes.labelsize": fontsize,
        "legend.numpoints": 1,
        "legend.scatterpoints": 1,
        "legend.handlelength": 0.5,
        "legend.handletextpad": 0.4,
        "axes.prop_cycle": cycler(color=DEFAULT_20),
        "axes.linewidth": 0.8,
        "axes.edgecolor": "black",
        "axes.facecolor": "white",
        "xtick.color": "k",
        "ytick.color": "k",
        "xtick.labelsize": fontsize,
        "ytick.labelsize": fontsize,
        "axes.grid": True,
        "grid.color": ".8",
    }
