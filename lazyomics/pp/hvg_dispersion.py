"""Normalised dispersion of genes within bins of mean expression, and which genes exceed it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Cutoffs", "Flavor", "dispersions", "normalized_dispersions", "select_genes"]

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
        spread = grouped.agg(_median_absolute_deviation)
    codes = frame["mean_bin"].cat.codes.to_numpy()
    per_gene = [np.append(s.to_numpy(dtype=np.float64), np.nan)[codes] for s in (centre, spread)]
    with np.errstate(invalid="ignore", divide="ignore"):
        norm = (frame["dispersions"].to_numpy() - per_gene[0]) / per_gene[1]
    return frame.assign(dispersions_norm=norm)


def _mean_bins(means: pd.Series[Any], flavor: Flavor, n_bins: int) -> pd.Series[Any]:
    if not np.isfinite(means).all():
        raise ValueError(
            "the mean of some genes is infinite or NaN. highly_variable_genes expects "
            "logarithmised data without missing values: run pp.normalize_total and pp.log1p first."
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


def _median_absolute_deviation(values: pd.Series[Any]) -> float:
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
