"""From values to the colours of points, and the order in which points are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import to_rgba_array

from lazyomics.container import AnnData
from lazyomics.errors import warn_user
from lazyomics.pl.colors import Palette, category_colors
from lazyomics.pl.legend import LegendStyle, legend_width
from lazyomics.pl.values import Values, choose_raw, plot_values

__all__ = ["Coloring", "colorings"]


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
