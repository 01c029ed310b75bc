"""Zarr stores of anndata and mudata, read in place and written anew."""

from lazyomics.io.zarr.opening import read_zarr

__all__ = ["read_zarr"]
