"""Colour scales: maps, and limits that are numbers, percentiles or functions of the values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.colors import Colormap, Normalize, TwoSlopeNorm

__all__ = ["Bound", "Bounds", "color_norm", "colormap"]

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
