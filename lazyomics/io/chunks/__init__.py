"""Values of HDF5 datasets, read and decoded outside HDF5's lock."""

from __future__ import annotations

from lazyomics.io.chunks.counters import ReadCounter, count_reads
from lazyomics.io.chunks.stored import StoredArray

__all__ = ["ReadCounter", "StoredArray", "count_reads"]
