"""How wide a text will be, known before the figure is drawn."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

__all__ = ["font_points", "widest"]

POINTS_PER_INCH = 72


def font_points(size: float | str | None) -> float:
    """Size in points of a font size in matplotlib's terms, such as ``"small"``."""
    return float(FontProperties(size=size).get_size_in_points())


def widest(labels: Iterable[object], *, fontsize: float | str | None) -> float:
    """Width in inches of the widest label, 0 if there is none.

    Examples
    --------
    >>> widest([], fontsize=10)
    0.0
    >>> 0.4 < widest(["B cells", "NK"], fontsize=10) < 0.8
    True
    """
    points = font_points(fontsize)
    with warnings.catch_warnings():
        # A glyph that the font lacks is reported when the figure is drawn.
        warnings.simplefilter("ignore")
        return max((_width(str(label), points) for label in labels), default=0.0)


def _width(label: str, points: float) -> float:
    if not label.strip():
        return 0.0
    extents = TextPath((0, 0), label, size=points).get_extents()
    return float(extents.width) / POINTS_PER_INCH
