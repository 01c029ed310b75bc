"""Threshold between the two modes of a histogram."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

__all__ = ["threshold_between_modes"]

BINS = 256
MOST_ROUNDS = 10_000


def threshold_between_modes(values: NDArray[np.floating[Any]]) -> float | None:
    """Value at the minimum between the two maxima of a histogram, smoothed until it has two.

    Parameters
    ----------
    values
        Finite numbers, shape (n,).

    Returns
    -------
    The centre of the bin, as ``skimage.filters.threshold_minimum`` finds it; None if smoothing does
    not lead to two maxima.

    References
    ----------
    Prewitt, J. M. S. & Mendelsohn, M. L. (1966). The analysis of cell images.
    doi:10.1111/j.1749-6632.1965.tb11715.x

    Glasbey, C. A. (1993). An analysis of histogram-based thresholding algorithms.
    doi:10.1006/cgip.1993.1040

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(0)
    >>> values = np.concatenate([draws.normal(0, 1, 500), draws.normal(8, 1, 500)])
    >>> 2 < threshold_between_modes(values) < 6
    True
    """
    counts, edges = np.histogram(values, bins=BINS)
    heights = counts.astype(np.float32)
    for _ in range(MOST_ROUNDS - 1):
        heights = uniform_filter1d(heights, 3)
        peaks = _maxima(heights)
        if len(peaks) < 3:
            break
    else:
        return None
    if len(peaks) != 2:
        return None
    lowest = peaks[0] + int(np.argmin(heights[peaks[0] : peaks[1] + 1]))
    return float((edges[lowest] + edges[lowest + 1]) / 2)


def _maxima(heights: NDArray[np.float32]) -> list[int]:
    """Ends of rises, plateaus included, that a fall follows."""
    found, rising = [], True
    for k, (here, following) in enumerate(pairwise(heights.tolist())):
        if rising and following < here:
            rising = False
            found.append(k)
        elif not rising and following > here:
            rising = True
    return found
