"""A progress bar for computations, as dask users know it."""

from __future__ import annotations

from dask.diagnostics import ProgressBar

__all__ = ["ProgressBar"]
