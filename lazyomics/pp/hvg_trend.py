"""Variance of counts, relative to what genes of the same mean show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lazyomics.errors import require
from lazyomics.kernels.moments import CANCELLATION

__all__ = ["Trend", "mean_and_variance"]

Rows = NDArray[np.float64]  # (genes,)
FEWEST_GENES = 3  # that a parabola goes through
NOISE = 1e-12  # share of the sum of squares that rounding may leave where nothing varies


def mean_and_variance(
    powers: NDArray[np.float64], n: int, *, are_counts: bool
) -> tuple[Rows, Rows]:
    """Mean and variance (with n - 1) of each gene, each shape (p,).

    Parameters
    ----------
    powers
        Sums and sums of squares, shape (p, 2) or more columns.
    n
        Number of cells.
    are_counts
        Whether all values are whole numbers, whose variance is exact however large they are;
        otherwise a variance that rounding may have made is 0.
    """
    total, squares = powers[:, 0], powers[:, 1]
    mean = total / max(n, 1)
    with np.errstate(invalid="ignore"):  # infinite values
        scatter = squares - total * mean
        doubtful = np.flatnonzero(scatter < CANCELLATION * squares)
    for gene in doubtful:
        if are_counts:
            exact = n * int(squares[gene]) - int(total[gene]) ** 2
            scatter[gene] = exact / n
        elif scatter[gene] < NOISE * squares[gene]:
            scatter[gene] = 0
    return mean, scatter / max(n - 1, 1)


@dataclass(frozen=True, eq=False)
class Trend:
    """What is expected of the genes of a batch.

    Attributes
    ----------
    n
        Number of cells.
    mean
        Of each gene, float64, shape (p,).
    deviation
        Standard deviation that genes of such a mean have, float64, shape (p,); 1 for genes that do
        not vary.
    """

    n: int
    mean: Rows
    deviation: Rows

    @classmethod
    def of(cls, n: int, mean: Rows, variance: Rows, span: float, batch: str) -> Trend:
        """Fit the trend of the genes of one batch.

        Parameters
        ----------
        n
            Number of cells.
        mean, variance
            Of each gene, shape (p,).
        span
            Share of the genes that each local fit uses.
        batch
            Which one, for errors.

        Raises
        ------
        ValueError
            If there are fewer than two cells, or the trend could not be fitted.
        MissingDependencyError
            If scikit-misc is not installed.
        """
        if n < 2:
            raise ValueError(f"batch {batch} has {n} cells, expected 2 or more; leave it out")
        try:
            return cls(n, mean, _expected_deviation(mean, variance, span))
        except ValueError as error:
            raise ValueError(
                f"no trend could be fitted to the variances of batch {batch} ({n} cells, "
                f"{np.count_nonzero(variance)} genes that vary): {error}. Remove genes that few "
                "cells express (pp.filter_genes), leave small batches out, or pass a larger span."
            ) from error

    @property
    def bounds(self) -> Rows:
        """Values above these count as these: root of n deviations above the mean."""
        return self.mean + self.deviation * np.sqrt(self.n)

    def normalized_variance(self, powers: NDArray[np.float64]) -> Rows:
        """Variance about the mean in units of what is expected, shape (p,).

        Parameters
        ----------
        powers
            Sums and sums of squares of values within the bounds, and how many lie above, shape
            (p, 3).
        """
        bounds, above = self.bounds, powers[:, 2]
        total, squares = powers[:, 0] + above * bounds, powers[:, 1] + above * bounds**2
        about_mean = self.n * np.square(self.mean) + squares - 2 * total * self.mean
        return np.asarray(about_mean / ((self.n - 1) * np.square(self.deviation)))


def _expected_deviation(mean: Rows, variance: Rows, span: float) -> Rows:
    loess = require("skmisc.loess", extra="skmisc", purpose="a trend of variances").loess
    varies = variance > 0
    if not (np.isfinite(mean).all() and (mean[varies] > 0).all()):
        raise ValueError("means are negative, infinite or NaN, expected counts")
    # scikit-misc crashes on these
    if not 0 < span <= 1:
        raise ValueError(f"span is {span}, expected a share of the genes, above 0 and up to 1")
    fitted_by = int(span * np.count_nonzero(varies))
    if fitted_by < FEWEST_GENES:
        raise ValueError(f"local fits by {fitted_by} genes, expected {FEWEST_GENES} or more")
    model = loess(np.log10(mean[varies]), np.log10(variance[varies]), span=span, degree=2)
    model.fit()
    expected = np.zeros(len(mean))
    expected[varies] = model.outputs.fitted_values
    return np.asarray(np.sqrt(10**expected))
