"""Compression filters: load the plugins that a dataset needs, or say which one is missing."""

from __future__ import annotations

import os

import h5py

from lazyomics.errors import MissingDependencyError, require
from lazyomics.io.chunks.pipeline import FILTER_NAMES
from lazyomics.io.remote.opened import path_of

__all__ = ["load_filters", "missing_filters"]

# Of https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md; the
# first by the name that users know.
NAMES = {**FILTER_NAMES, 1: "gzip"}


def missing_filters(dataset: h5py.Dataset) -> list[str]:
    """Names of the filters of a dataset that this process cannot undo.

    Parameters
    ----------
    dataset
        An open dataset.

    Returns
    -------
    Names such as ``"zstd"``; empty where the dataset can be read.
    """
    plist = dataset.id.get_create_plist()
    codes = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    return [NAMES.get(code, f"number {code}") for code in codes if not h5py.h5z.filter_avail(code)]


def load_filters(dataset: h5py.Dataset) -> None:
    """Make sure that the filters of a dataset are there.

    hdf5plugin registers its filters when it is imported, which is done only for a file that
    needs one of them.

    Raises
    ------
    MissingDependencyError
        If hdf5plugin is not installed, or does not offer the filter.
    """
    missing = missing_filters(dataset)
    if not missing:
        return
    path = path_of(os.fsdecode(dataset.file.filename))
    about = f"{path}: element {str(dataset.name)!r} is compressed with"
    require("hdf5plugin", extra="codecs", purpose=f"{about} {', '.join(missing)}; reading it")
    if missing := missing_filters(dataset):
        raise MissingDependencyError(
            f"{about} {', '.join(missing)}, which hdf5plugin does not offer. Write the file again "
            "with gzip or zstd, or put the HDF5 plugin of this filter on HDF5_PLUGIN_PATH."
        )
