"""Images of millions of points, each smaller than a pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from lazyomics.pl.figure import POINTS_PER_INCH, figure_of, save_dpi

__all__ = ["MANY_POINTS", "dot_share", "draw_many"]

MANY_POINTS = 500_000  # from which on points are drawn as an image
DIAMETERS = {".": 0.5, "o": 1.0}  # of markers, as shares of the root of their area


def dot_share(size: float, marker: str) -> float | None:
    """Share of a pixel that a point covers; None if it is larger, or no disc.

    Parameters
    ----------
    size
        Area as of :meth:`matplotlib.axes.Axes.scatter`, in square points.
    marker
        Matplotlib marker.
    """
    if marker not in DIAMETERS:
        return None
    diameter = DIAMETERS[marker] * np.sqrt(size) / POINTS_PER_INCH * save_dpi()
    return float(np.pi / 4 * diameter**2) if diameter <= 1 else None


def draw_many(
    ax: Axes, points: npt.NDArray[Any], colors: npt.NDArray[np.uint8], codes: Any, share: float
) -> AxesImage:
    """Draw points as the image that they add up to, and set the limits of the axes.

    Parameters
    ----------
    ax
        Where to draw.
    points
        Coordinates in the order in which they are drawn, shape (n, 2).
    colors
        Red, green, blue and opacity, shape (n, 4); or a table of them, or one.
    codes
        Row of each point in that table, shape (n,); None without one.
    share
        Share of a pixel that a point covers.
    """
    if codes is None and len(colors) == 1:
        codes = np.zeros(len(points), dtype=np.int8)
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        points = points[finite]
        colors, codes = (colors[finite], None) if codes is None else (colors, codes[finite])
    ax.update_datalim([points.min(axis=0), points.max(axis=0)] if len(points) else [(0, 0)])
    ax.autoscale_view()
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    box, figure = ax.get_position(), figure_of(ax)
    width, height = (
        max(int(np.ceil(part * save_dpi())), 1)
        for part in (box.width * figure.get_figwidth(), box.height * figure.get_figheight())
    )
    columns = ((points[:, 0] - left) * (width / (right - left))).astype(np.int32)
    rows = ((points[:, 1] - bottom) * (height / (top - bottom))).astype(np.int32)
    pixels = rows.clip(0, height - 1) * width + columns.clip(0, width - 1)
    image = _composed(pixels, colors, codes, share, width * height).reshape(height, width, 4)
    drawn = ax.imshow(image, extent=(left, right, bottom, top), origin="lower", aspect="auto")
    ax.set(xlim=(left, right), ylim=(bottom, top))
    return drawn


def _composed(
    pixels: npt.NDArray[np.int32],
    colors: npt.NDArray[np.uint8],
    codes: Any,
    share: float,
    count: int,
) -> npt.NDArray[np.float32]:
    """Colours of pixels in which points cover each other, shape (count, 4)."""
    order = np.argsort(pixels, kind="stable")
    pixels = pixels[order]
    above = np.cumsum(np.bincount(pixels, minlength=count))[pixels]
    above -= np.arange(1, len(pixels) + 1)  # points of the same pixel that are drawn later
    rows = order if codes is None else codes[order]
    opacity = share * colors[:, 3].astype(np.float32)[rows] / 255
    # With one opacity for all, what is left of a point is a power of what one point leaves.
    most = float(opacity.max(initial=0.0))
    weights = opacity * np.power(np.float32(1 - most), above.astype(np.float32))
    total = np.bincount(pixels, weights, count)
    image = np.empty((count, 4), np.float32)
    for channel in range(3):
        summed = np.bincount(pixels, weights * colors[:, channel][rows], count)
        image[:, channel] = np.divide(summed, total * 255, out=np.zeros(count), where=total > 0)
    image[:, 3] = total
    return image.clip(0, 1)
