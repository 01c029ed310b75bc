"""Matrices of HDF5 files and zarr stores that a program has opened itself, as lazy ones."""

from __future__ import annotations

import os
from typing import Any

import h5py

from lazyomics.io.encodings import read_element
from lazyomics.io.snapshot import Snapshot
from lazyomics.io.stored import StoredMatrix

__all__ = ["open_matrix"]


def open_matrix(node: Any) -> Any:
    """Return the matrix of an open group or dataset.

    Parameters
    ----------
    node
        Group or dataset of h5py, or group or array of zarr.

    Returns
    -------
    A lazy matrix. Of an HDF5 file that is open for writing, or is no file on disk, a matrix in
    memory: what it will hold when its blocks are read is not known.

    Raises
    ------
    FileFormatError
        If it is damaged.
    """
    if not isinstance(node, h5py.Dataset | h5py.Group):
        return _open_zarr(node)
    file = node.file
    if file.mode != "r" or not os.path.isfile(file.filename):
        return read_element(node)
    return StoredMatrix(Snapshot.of(file.filename), str(node.name)).load()


def _open_zarr(node: Any) -> Any:
    from lazyomics.io.zarr.stored import ZarrMatrix
    from lazyomics.io.zarr.stores import ZarrStore

    return ZarrMatrix(ZarrStore.of(node.store), node.path).load()
