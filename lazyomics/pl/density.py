"""Outlines of violins: kernel density estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import gaussian_kde

__all__ = ["Density", "DensityNorm", "DensityShape", "estimate", "half_widths"]

DensityNorm = Literal["area", "count", "width"]


@dataclass(frozen=True)
class DensityShape:
    """How densities are estimated.

    Attributes
    ----------
    bw_method, bw_adjust
        Bandwidth of the kernel: ``"scott"``, ``"silverman"`` or a share of the standard
        deviation; and what it is multiplied by.
    cut
        How far the density reaches beyond the extreme values, in bandwidths.
    gridsize
        Number of points at which it is estimated.
    """

    bw_method: str | float = "scott"
    bw_adjust: float = 1.0
    cut: float = 0.0
    gridsize: int = 100


@dataclass(frozen=True)
class Density:
    """Density of some values.

    Attributes
    ----------
    support
        Where it is estimated, shape (gridsize,); or the only value that occurs, shape (1,); or
        empty.
    height
        Density there, same shape; 1 for a single value.
    count
        Number of values.
    """

    support: npt.NDArray[np.float64]
    height: npt.NDArray[np.float64]
    count: int


def estimate(values: npt.NDArray[Any], shape: DensityShape | None = None) -> Density:
    """Gaussian kernel density of values, by default between their extremes.

    Parameters
    ----------
    values
        Shape (n,); missing values are left out.
    shape
        Bandwidth and range; by default Scott's bandwidth.

    References
    ----------
    Scott (1992), Multivariate Density Estimation, doi:10.1002/9780470316849

    Examples
    --------
    >>> estimate(np.array([1.0, 2.0, 4.0])).support[[0, -1]]
    array([1., 4.])
    >>> estimate(np.array([3.0, 3.0])).support
    array([3.])
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) == 0 or values.min() == values.max():
        return Density(values[:1], np.ones(min(len(values), 1)), len(values))
    shape = shape or DensityShape()
    kernel = gaussian_kde(values, bw_method=shape.bw_method)
    kernel.set_bandwidth(kernel.factor * shape.bw_adjust)
    beyond = shape.cut * float(np.sqrt(kernel.covariance.squeeze()))
    support = np.linspace(values.min() - beyond, values.max() + beyond, shape.gridsize)
    return Density(support, kernel(support), len(values))


def half_widths(
    densities: Sequence[Density], density_norm: DensityNorm, *, width: float = 0.8
) -> list[npt.NDArray[np.float64]]:
    """Half the width of each violin along its support.

    Parameters
    ----------
    densities
        Violins that are drawn side by side.
    density_norm
        ``"width"``: all equally wide; ``"area"``: all with the same area; ``"count"``: as wide as
        there are values.
    width
        Width of the widest violin.
    """
    if density_norm not in ("area", "count", "width"):
        raise ValueError(f"density_norm={density_norm!r}: expected 'area', 'count' or 'width'")
    peaks = [d.height.max() for d in densities if len(d.support) > 1]
    highest, most = max(peaks, default=1.0), max((d.count for d in densities), default=1)
    shares = []
    for density in densities:
        if len(density.support) < 2:
            shares.append(density.height)
        elif density_norm == "area":
            shares.append(density.height / highest)
        else:
            share = density.height / density.height.max()
            shares.append(share * (density.count / most if density_norm == "count" else 1))
    return [share * width / 2 for share in shares]
