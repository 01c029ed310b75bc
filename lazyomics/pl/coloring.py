"""Colours of points: palettes, categories, colour maps and bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from cycler import Cycler
from matplotlib.colors import (
    Colormap,
    Normalize,
    TwoSlopeNorm,
    is_color_like,
    to_hex,
    to_rgba,
    to_rgba_array,
)
from matplotlib.typing import ColorType

from lazyomics.container import AnnData
from lazyomics.errors import warn_user
from lazyomics.pl.figure import (
    DEFAULT_20,
    DEFAULT_28,
    DEFAULT_102,
    R_COLORS,
    LegendStyle,
    legend_width,
)
from lazyomics.pl.values import Values, choose_raw, plot_values

__all__ = [
    "Bound",
    "Bounds",
    "Coloring",
    "Palette",
    "category_colors",
    "color_norm",
    "colorings",
    "colormap",
    "default_colors",
    "palette_colors",
]


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


@dataclass(frozen=True)
class Coloring:
    """Colours of the points of a panel.

    Attributes
    ----------
    groups
        Categories, shape (n_obs,), or None.
    numbers
        Numeric values, shape (n_obs,), or None. Without either, all points have one colour.
    palette
        Hex colour by category.
    """

    groups: pd.Categorical | None = None
    numbers: npt.NDArray[Any] | None = None
    palette: dict[Any, str] | None = None

    def order(self) -> npt.NDArray[np.intp] | slice:
        """Drawing order: missing values first (at the bottom), high values last (on top)."""
        if self.numbers is not None:
            return np.argsort(-self.numbers, kind="stable")[::-1]
        if self.groups is not None:
            return np.argsort(self.groups.codes >= 0, kind="stable")
        return slice(None)

    def rgba(self, na_color: str) -> npt.NDArray[np.float64]:
        """Colour of each point by its category, shape (n_obs, 4)."""
        if self.groups is None or self.palette is None:
            return to_rgba_array([na_color])
        table = [self.palette[category] for category in self.groups.categories]
        # Code -1 (missing) picks the last colour.
        return to_rgba_array([*table, na_color])[self.groups.codes]

    def table(
        self, na_color: str, cmap: Colormap, norm: Normalize | None, alpha: float | None
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any] | None]:
        """Colours of the points as bytes, or a table of them and the row of each point."""
        codes = None
        if self.numbers is not None and norm is not None:
            norm.autoscale_None(self.numbers[np.isfinite(self.numbers)])
            colors = cmap(norm(np.ma.masked_invalid(self.numbers)), bytes=True)
        elif self.groups is not None and self.palette is not None:
            table = [self.palette[category] for category in self.groups.categories]
            colors = np.round(to_rgba_array([*table, na_color]) * 255).astype(np.uint8)
            codes = np.where(self.groups.codes < 0, len(table), self.groups.codes)
        else:
            colors = np.round(to_rgba_array([na_color]) * 255).astype(np.uint8)
        if alpha is not None:
            colors[:, 3] = round(alpha * 255)
        return np.asarray(colors, dtype=np.uint8), codes

    def legend_width(self, style: LegendStyle) -> float:
        """Inches that the legend takes beside its panel."""
        return 0.0 if self.groups is None else legend_width(self.groups.categories, style)

    def take(self, order: npt.NDArray[np.intp] | slice) -> Coloring:
        """Colouring of the points in another order."""
        return Coloring(
            None if self.groups is None else self.groups[order],
            None if self.numbers is None else self.numbers[order],
            self.palette,
        )


def colorings(
    adata: AnnData,
    keys: Sequence[str | None],
    *,
    layer: str | None,
    use_raw: bool | None,
    gene_symbols: str | None,
    groups: str | Sequence[str] | None,
    mask_obs: npt.NDArray[np.bool_] | str | None,
    palette: Palette | None,
) -> list[Coloring]:
    """Colouring by each key; genes are read in one pass.

    Parameters
    ----------
    adata
        Where the keys are looked up. Its ``uns`` keeps the colours of categories.
    keys
        Columns of obs, genes, or None for no colouring.
    layer, use_raw, gene_symbols, groups, mask_obs, palette
        As :func:`lazyomics.pl.embedding` takes them.
    """
    values = plot_values(
        adata,
        [key for key in keys if key is not None],
        layer=layer,
        use_raw=choose_raw(adata, use_raw, layer),
        gene_symbols=gene_symbols,
    )
    if groups is not None:
        if mask_obs is not None:
            raise ValueError("give either groups or mask_obs, not both")
        groups = [groups] if isinstance(groups, str) else list(groups)
        _warn_of_groups(groups, values)
    mask = _mask(adata, mask_obs)
    return [
        _color_values(
            adata, key, values.get(key or ""), groups=groups or None, mask=mask, palette=palette
        )
        for key in keys
    ]


def _mask(
    adata: AnnData, mask_obs: npt.NDArray[np.bool_] | str | None
) -> npt.NDArray[np.bool_] | None:
    if mask_obs is None:
        return None
    mask = np.asarray(adata.obs[mask_obs] if isinstance(mask_obs, str) else mask_obs)
    if mask.dtype != bool or mask.shape != (adata.n_obs,):
        raise ValueError(
            f"mask_obs: expected bool of shape ({adata.n_obs},), found {mask.dtype} {mask.shape}"
        )
    return mask


def _color_values(
    adata: AnnData,
    key: str | None,
    values: Values | None,
    *,
    groups: Sequence[str] | None,
    mask: npt.NDArray[np.bool_] | None,
    palette: Palette | None,
) -> Coloring:
    """Colouring by one key.

    Parameters
    ----------
    adata
        Its ``uns`` keeps the colours of categories.
    key
        Name of what is plotted.
    values
        Its values, shape (n_obs,).
    groups
        Categories to colour; the others are treated as missing.
    mask
        Observations to colour, shape (n_obs,); the others are treated as missing.
    palette
        Colours of the categories.
    """
    if key is None or values is None:
        return Coloring()
    if not isinstance(values, pd.Categorical):
        return Coloring(numbers=_masked_numbers(values, mask))
    colors = category_colors(adata, key, values.categories, palette)
    shown = values
    if mask is not None:
        codes = np.where(mask, shown.codes, -1)
        shown = pd.Categorical.from_codes(codes, dtype=shown.dtype)
    if groups is not None:
        shown = shown.remove_categories([c for c in shown.categories if c not in groups])
    return Coloring(groups=shown, palette={c: colors[c] for c in shown.categories})


def _warn_of_groups(groups: Sequence[str], values: Mapping[str, Values]) -> None:
    """Say which groups are categories of nothing that is plotted: they colour no point."""
    known = [
        category
        for column in values.values()
        if isinstance(column, pd.Categorical)
        for category in column.categories
    ]
    missing = [group for group in groups if group not in known]
    if missing and known:
        warn_user(
            f"groups={missing} are not among the categories {known[:20]}: they colour no point"
        )
    elif missing:
        warn_user(f"groups={missing} have no effect: {list(values)} have no categories")


def _masked_numbers(
    values: npt.NDArray[Any], mask: npt.NDArray[np.bool_] | None
) -> npt.NDArray[Any]:
    # Unsigned integers cannot be negated, which the drawing order needs.
    if values.dtype.kind not in "fi" or mask is not None:
        values = values.astype(np.float64)
    return values if mask is None else np.where(mask, values, np.nan)


Bound = str | float | Callable[[npt.NDArray[Any]], float] | None


def colormap(cmap: Colormap | str | None) -> Colormap:
    """Colour map by name; None is the default of ``rcParams``."""
    return mpl.colormaps.get_cmap(mpl.rcParams["image.cmap"] if cmap is None else cmap)


def color_norm(
    vmin: float | None, vmax: float | None, vcenter: float | None, norm: Normalize | None
) -> Normalize:
    """Colour scale between limits, with a centre if one is given."""
    if norm is not None:
        if not (vmin is None and vmax is None and vcenter is None):
            raise ValueError("give either norm or vmin, vmax and vcenter, not both")
        return norm
    if vcenter is not None:
        return TwoSlopeNorm(vcenter, vmin=vmin, vmax=vmax)
    return Normalize(vmin=vmin, vmax=vmax)


@dataclass(frozen=True)
class Bounds:
    """Limits as the caller gave them.

    Attributes
    ----------
    vmin, vmax, vcenter
        A number, a percentile such as ``"p99.5"``, a function of the values, or a sequence of
        these, one for each panel.
    norm
        A matplotlib norm instead, or one for each panel.
    """

    vmin: Bound | Sequence[Bound] = None
    vmax: Bound | Sequence[Bound] = None
    vcenter: Bound | Sequence[Bound] = None
    norm: Normalize | Sequence[Normalize | None] | None = None

    def of(self, panel: int, values: npt.NDArray[Any]) -> Normalize:
        """Colour scale of a panel for its values, shape (n_obs,)."""
        vmin, vmax, vcenter = (
            _limit(name, _of_panel(name, getattr(self, name), panel), values)
            for name in ("vmin", "vmax", "vcenter")
        )
        return color_norm(vmin, vmax, vcenter, _of_panel("norm", self.norm, panel))


def _of_panel(name: str, given: Any, panel: int) -> Any:
    if isinstance(given, str) or not isinstance(given, Sequence):
        return given
    if len(given) == 1:
        return given[0]
    if panel >= len(given):
        raise ValueError(f"{name} has {len(given)} values, fewer than there are panels")
    return given[panel]


def _limit(name: str, given: Bound, values: npt.NDArray[Any]) -> float | None:
    if given is None:
        return None
    if callable(given):
        return float(given(values))
    try:
        if isinstance(given, str) and given.startswith("p"):
            return float(np.nanpercentile(values, float(given[1:])))
        return float(given)
    except ValueError:
        raise ValueError(
            f"{name}={given!r}: expected a number, a percentile such as 'p99', or a function"
        ) from None
