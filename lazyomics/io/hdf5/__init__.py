"""Values of HDF5 datasets, read and decoded outside HDF5's lock."""

from __future__ import annotations

from lazyomics.io.hdf5.array import ReadCounter, StoredArray, count_reads

__all__ = [
    "ReadCounter",
    "StoredArray",
    "count_reads",
]
