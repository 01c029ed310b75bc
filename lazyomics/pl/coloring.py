"""From values to the colours of points, and the order in which points are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import to_rgba_array

from lazyomics.container import AnnData
from lazyomics.pl.colors import Palette, category_colors
from lazyomics.pl.legend import LegendStyle, legend_width
from lazyomics.pl.values import Values, as_categories

__all__ = ["Coloring", "check_groups", "color_values"]


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


def color_values(
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


def check_groups(adata: AnnData, keys: Sequence[str | None], groups: Sequence[str]) -> None:
    """Raise KeyError if a group is a category of none of the keys."""
    known: list[Any] = []
    for key in keys:
        column = None if key not in adata.obs.columns else as_categories(adata.obs[key])
        known += [] if column is None else list(column.categories)
    missing = [group for group in groups if group not in known]
    if missing:
        raise KeyError(f"groups={missing} are not among the categories {known[:20]}")


def _masked_numbers(
    values: npt.NDArray[Any], mask: npt.NDArray[np.bool_] | None
) -> npt.NDArray[Any]:
    # Unsigned integers cannot be negated, which the drawing order needs.
    if values.dtype.kind not in "fi" or mask is not None:
        values = values.astype(np.float64)
    return values if mask is None else np.where(mask, values, np.nan)
