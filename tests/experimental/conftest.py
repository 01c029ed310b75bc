"""The same data for lazyomics and for scanpy, as for the other verbs."""

from __future__ import annotations

from tests.pp.conftest import calm_blas, counts, pair, values

__all__ = ["calm_blas", "counts", "pair", "values"]
