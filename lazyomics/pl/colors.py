"""Colours of categories, remembered in ``uns[f"{key}_colors"]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import Cycler
from matplotlib.colors import is_color_like, to_hex, to_rgba
from matplotlib.typing import ColorType

from lazyomics.container import AnnData
from lazyomics.pl.palettes import DEFAULT_20, DEFAULT_28, DEFAULT_102, R_COLORS

__all__ = ["Palette", "category_colors", "default_colors", "palette_colors"]

Palette: TypeAlias = "str | Sequence[ColorType] | Mapping[str, ColorType] | Cycler[str, Any]"


def category_colors(
    adata: AnnData, key: str, categories: pd.Index[Any], palette: Palette | None = None
) -> dict[Any, str]:
    """Colour of each category; new or repaired colours are put into ``uns[f"{key}_colors"]``.

    Parameters
    ----------
    adata
        Its ``uns`` is read, and written if needed.
    key
        Name of the obs column.
    categories
        Its categories.
    palette
        Colours to use instead of those that are stored.

    Returns
    -------
    Hex colour by category.
    """
    name = f"{key}_colors"
    stored = _listed(adata.uns[name]) if name in adata.uns else []
    if palette is not None:
        colors = adata.uns[name] = palette_colors(palette, categories)
    elif len(stored) < len(categories) or not all(map(_known, stored)):
        colors = adata.uns[name] = default_colors(len(categories))
    else:
        colors = [_color(color) for color in stored]
        if any(isinstance(color, str) and color in R_COLORS for color in stored):
            adata.uns[name] = colors
    # There may be more colours than categories: those of categories that a subset has lost.
    hexes = [_hex(color) for color in colors[: len(categories)]]
    return dict(zip(categories, hexes, strict=True))


def default_colors(count: int) -> list[str]:
    """Colours for a number of categories: matplotlib's cycle, or 20, 28, 102 colours, or grey.

    Examples
    --------
    >>> default_colors(2)
    ['#1f77b4', '#ff7f0e']
    >>> set(default_colors(500))
    {'#808080'}
    """
    cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    tables = (cycle, DEFAULT_20, DEFAULT_28, DEFAULT_102)
    table = next((table for table in tables if len(table) >= count), None)
    return [to_hex(color) for color in (["grey"] * count if table is None else table[:count])]


def palette_colors(palette: Palette, categories: pd.Index[Any]) -> list[str]:
    """Hex colours of a palette for categories, repeated if it is too short.

    Parameters
    ----------
    palette
        Name of a matplotlib colour map, a list of colours, a mapping from category to colour, or
        a :class:`cycler.Cycler` of ``color``.
    categories
        What to colour.

    Raises
    ------
    ValueError
        If the palette or a colour in it is not valid, or a category has no colour.
    """
    count = len(categories)
    if isinstance(palette, str):
        if palette not in mpl.colormaps:
            raise ValueError(f"palette={palette!r} is not the name of a matplotlib colour map")
        return [to_hex(color) for color in mpl.colormaps[palette](np.linspace(0, 1, count))]
    if isinstance(palette, Mapping):
        missing = [category for category in categories if category not in palette]
        if missing:
            raise ValueError(f"palette has no colour for {missing[:5]}")
        return [_hex(_color(palette[category])) for category in categories]
    if isinstance(palette, Cycler):
        if "color" not in palette.keys:
            raise ValueError("palette is a Cycler without 'color'")
        palette = palette.by_key()["color"]
    colors = [to_hex(_color(color)) for color in palette]
    if not colors:
        raise ValueError("palette is empty")
    return [colors[index % len(colors)] for index in range(count)]


def _listed(colors: Any) -> list[Any]:
    """Stored colours as a list, also one that is stored as a single text."""
    if isinstance(colors, str) or (isinstance(colors, np.ndarray) and colors.ndim == 0):
        return [str(colors)]
    return list(colors)


def _hex(color: Any) -> str:
    """Hex code, with transparency only if there is any."""
    return to_hex(color, keep_alpha=True).removesuffix("ff" if to_rgba(color)[3] == 1 else " ")


def _known(color: Any) -> bool:
    return is_color_like(color) or (isinstance(color, str) and color in R_COLORS)


def _color(color: Any) -> Any:
    if not _known(color):
        raise ValueError(f"{color!r} is not a colour")
    return color if is_color_like(color) else R_COLORS[color]
