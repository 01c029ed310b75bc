"""Data sets to try things on: one that is well known, and simulated ones of any size."""

from lazyomics.datasets.pbmc3k_files import pbmc3k, pbmc3k_processed
from lazyomics.datasets.simulation import simulate

__all__ = ["pbmc3k", "pbmc3k_processed", "simulate"]


def __dir__() -> list[str]:
    return sorted(__all__)
