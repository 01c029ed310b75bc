"""Arguments of seaborn's violinplot: scanpy passes them on, here they mean the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
from matplotlib.typing import ColorType

from lazyomics.pl.density import DensityNorm, DensityShape

__all__ = ["Inner", "ViolinOptions"]

Inner: TypeAlias = Literal["box", "quart", "point", "stick"]
INNER: tuple[Inner, ...] = ("box", "quart", "point", "stick")

SATURATION = 0.75  # full colours are hard on the eye where areas are large


@dataclass(frozen=True)
class ViolinOptions:
    """How violins look.

    Attributes
    ----------
    density_norm, width, gap
        How wide a violin is, see :func:`lazyomics.pl.density.half_widths`; share of that left out.
    shape
        How densities are estimated.
    inner, inner_options
        What is drawn inside of each violin, or None, and matplotlib's options of it.
    fill, saturation, color
        Whether violins are filled, how much of the saturation is kept, and the colour of all
        violins that have none of their own.
    linewidth, linecolor
        Of outlines and of what is inside; None for a width that fits, ``"auto"`` for dark grey.
    rest
        Options of :meth:`matplotlib.axes.Axes.fill_betweenx`.
    """

    density_norm: DensityNorm = "width"
    width: float = 0.8
    gap: float = 0.0
    shape: DensityShape = field(default_factory=DensityShape)
    inner: Inner | None = None
    inner_options: Mapping[str, Any] = field(default_factory=dict)
    fill: bool = True
    saturation: float = SATURATION
    color: ColorType | None = None
    linewidth: float | None = None
    linecolor: ColorType = "auto"
    rest: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, density_norm: DensityNorm, arguments: Mapping[str, Any]) -> ViolinOptions:
        """Sort the arguments of a call.

        Parameters
        ----------
        density_norm
            Of the function; ``scale``, its former name, is taken before it.
        arguments
            All other arguments.

        Raises
        ------
        ValueError
            If an argument has a value that it cannot have.
        """
        rest = dict(arguments)
        rest.pop("common_norm", None)  # violins of a panel are always compared with each other
        bandwidth = rest.pop("bw", "scott")
        shape = DensityShape(
            bw_method=rest.pop("bw_method", bandwidth),
            bw_adjust=rest.pop("bw_adjust", 1.0),
            cut=rest.pop("cut", 0.0),
            gridsize=rest.pop("gridsize", DensityShape.gridsize),
        )
        names = ("width", "gap", "fill", "saturation", "color", "linewidth", "linecolor")
        own = {name: rest.pop(name) for name in names if name in rest}
        return cls(
            density_norm=rest.pop("scale", density_norm),
            shape=shape,
            inner=_inner(rest.pop("inner", None)),
            inner_options=dict(rest.pop("inner_kws", None) or {}),
            **own,
            rest=rest,
        )

    @property
    def line_width(self) -> float:
        """Width of outlines in points."""
        if self.linewidth is not None:
            return self.linewidth
        if self.fill:
            return float(1.25 * mpl.rcParams["patch.linewidth"])
        return float(mpl.rcParams["lines.linewidth"])


def _inner(asked: str | None) -> Inner | None:
    if asked is None:
        return None
    found = next((inner for inner in INNER if str(asked).startswith(inner)), None)
    if found is None:
        raise ValueError(f"inner={asked!r}: expected None or one of {list(INNER)}")
    return found
