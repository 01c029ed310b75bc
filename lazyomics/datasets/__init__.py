"""Data sets to try things on: one that is well known, and simulated ones of any size."""

from lazyomics.datasets.pbmc3k import pbmc3k_processed
from lazyomics.datasets.simulate import simulate

__all__ = ["pbmc3k_processed", "simulate"]
