"""Dispersions of genes against their means, and the trend of variances."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics.errors import require
from lazyomics.kernels.moments import CANCELLATION

__all__ = [
    "Cutoffs",
    "Flavor",
    "Trend",
    "dispersions",
    "mean_and_variance",
    "normalized_dispersions",
    "select_genes",
]


Flavor = Literal["seurat", "cell_ranger"]

# Makes the median absolute deviation estimate the standard deviation of normal data.
MAD_OF_NORMAL = 0.6744897501960817


@dataclass(frozen=True)
class Cutoffs:
    """Which genes are highly variable: the first ``n_top_genes``, or those within bounds."""

    n_top_genes: int | None
    min_disp: float
    max_disp: float
    min_mean: float
    max_mean: float

    def in_bounds(self, mean: Any, dispersion_norm: Any) -> NDArray[np.bool_]:
        """Mark genes with mean and normalised dispersion strictly within the bounds."""
        return np.asarray(
            (mean > self.min_mean)
            & (mean < self.max_mean)
            & (dispersion_norm > self.min_disp)
            & (dispersion_norm < self.max_disp)
        )


def dispersions(
    mean: NDArray[np.float64], variance: NDArray[np.float64], flavor: Flavor
) -> pd.DataFrame:
    """Mean and dispersion (variance / mean) of each gene, logarithmic for ``"seurat"``.

    Returns
    -------
    Data frame with columns ``means`` and ``dispersions``, a row per gene.
    """
    mean = np.where(mean == 0, 1e-12, mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        dispersion = variance / mean
        if flavor == "seurat":
            dispersion = np.log(np.where(dispersion == 0, np.nan, dispersion))
            mean = np.log1p(mean)
    return pd.DataFrame({"means": mean, "dispersions": dispersion})


def normalized_dispersions(frame: pd.DataFrame, flavor: Flavor, n_bins: int) -> pd.DataFrame:
    """Add ``mean_bin`` and ``dispersions_norm``: the dispersion scaled within its bin."""
    frame = frame.assign(mean_bin=_mean_bins(frame["means"], flavor, n_bins))
    grouped = frame.groupby("mean_bin", observed=False)["dispersions"]
    if flavor == "seurat":
        centre, spread = grouped.mean(), grouped.std()
        # a single gene in a bin has no spread: its normalised dispersion becomes 1
        alone = spread.isna()
        spread, centre = spread.mask(alone, centre), centre.mask(alone, 0.0)
    else:
        centre = grouped.median()
        spread = grouped.agg(median_absolute_deviation)
    codes = frame["mean_bin"].cat.codes.to_numpy()
    per_gene = [np.append(s.to_numpy(dtype=np.float64), np.nan)[codes] for s in (centre, spread)]
    with np.errstate(invalid="ignore", divide="ignore"):
        norm = (frame["dispersions"].to_numpy() - per_gene[0]) / per_gene[1]
    return frame.assign(dispersions_norm=norm)


def _mean_bins(means: pd.Series[Any], flavor: Flavor, n_bins: int) -> pd.Series[Any]:
    if not np.isfinite(means).all():
        raise ValueError(
            "the mean of some genes is infinite or NaN. highly_variable_genes expects "
            "logarithmised data without missing values: run lo.pp.normalize_total and "
            "lo.pp.log1p first."
        )
    if flavor == "seurat":
        return pd.cut(means, bins=n_bins)
    edges = np.r_[-np.inf, np.percentile(means, np.arange(10, 105, 5)), np.inf]
    if len(np.unique(edges)) < len(edges):
        raise ValueError(
            "Bin edges must be unique, but more than 5 % of the genes have the same mean; most "
            "often these are genes that no cell expresses. Remove them with "
            "pp.filter_genes(adata, min_cells=1), or pass filter_unexpressed_genes=True."
        )
    return pd.cut(means, bins=list(edges))


def median_absolute_deviation(values: pd.Series[Any]) -> float:
    """Median distance from the median, as a standard deviation of normal values; NaN of none."""
    if len(values) == 0:
        return float("nan")
    numbers = values.to_numpy()
    return float(np.median(np.abs(numbers - np.median(numbers))) / MAD_OF_NORMAL)


def select_genes(
    mean: NDArray[np.float64], dispersion_norm: NDArray[np.float64], cutoffs: Cutoffs
) -> NDArray[np.bool_]:
    """Mark the highly variable genes of one batch."""
    if cutoffs.n_top_genes is None:
        return cutoffs.in_bounds(mean, np.nan_to_num(dispersion_norm))
    n_top = min(cutoffs.n_top_genes, len(mean))
    known = np.sort(dispersion_norm[~np.isnan(dispersion_norm)])[::-1]
    if n_top > len(known):
        warnings.warn(
            f"`n_top_genes` (={n_top}) > number of normalized dispersions (={len(known)}), "
            "returning all genes with normalized dispersions.",
            UserWarning,
            stacklevel=4,
        )
        n_top = len(known)
    lowest = known[n_top - 1] if n_top > 0 else np.inf
    return np.asarray(np.nan_to_num(dispersion_norm, nan=-np.inf) >= lowest)


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
