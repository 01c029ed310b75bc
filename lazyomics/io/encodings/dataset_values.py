"""Read the values of a dataset, after looking whether they can be believed."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from lazyomics.errors import FileFormatError, MissingDependencyError, require
from lazyomics.io.encodings.checks import (
    check_chunks,
    check_storage,
    has_broken_attributes,
    has_broken_texts,
    is_of_variable_length,
)
from lazyomics.io.encodings.chunk_values import plain_values
from lazyomics.io.encodings.damage import BROKEN_HEAP, HDF5_ERRORS, as_format_errors, damaged
from lazyomics.io.hdf5.pipeline import FILTER_NAMES
from lazyomics.io.remote.opened import path_of

__all__ = [
    "check_texts",
    "load_filters",
    "missing_filters",
    "read_values",
    "vector_length",
]


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


MOST_CHUNKS = 2**14  # at once: HDF5 takes 4 KiB of memory for each


def read_values(dataset: Any, *, as_text: bool = False, fields: Sequence[str] | None = None) -> Any:
    """Read a dataset into memory.

    Parameters
    ----------
    dataset
        An open :class:`h5py.Dataset`.
    as_text
        Decode strings to ``str`` (an object array).
    fields
        Of a compound dataset, read only these.

    Returns
    -------
    numpy array, numpy scalar or str, as h5py returns it; ``None`` for a null dataspace.

    Raises
    ------
    FileFormatError
        If ``dataset`` is a group, refers to other files, claims an absurd size, or cannot be read.
    MissingDependencyError
        If a compression filter is not installed.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise damaged(dataset, expected="a dataset", found=f"a {type(dataset).__name__.lower()}")
    if dataset.shape is None:
        return None
    check_storage(dataset)
    load_filters(dataset)
    try:
        if has_broken_texts(dataset):
            raise damaged(dataset, expected="readable texts", found=BROKEN_HEAP)
        values = plain_values(dataset) if fields is None and not as_text else None
        if values is not None:
            return values
        check_chunks(dataset)
        if fields is not None:
            return _read(dataset, dataset.fields(list(fields)))
        return _read(dataset, dataset.asstr() if as_text else dataset)
    except FileFormatError:
        raise
    except UnicodeDecodeError as error:
        raise damaged(dataset, expected="UTF-8 text", found=f"other bytes ({error})") from error
    except HDF5_ERRORS as error:
        raise damaged(dataset, expected="readable data", found=f"an error: {error}") from error


def _read(dataset: h5py.Dataset, view: Any) -> Any:
    """All values that a view of a dataset gives, of many small chunks a stretch at a time."""
    rows = _rows_at_once(dataset)
    if not dataset.shape or rows >= dataset.shape[0]:
        return view[()]
    first = view[:rows]
    values = np.empty(dataset.shape, first.dtype)
    values[:rows] = first
    for start in range(rows, dataset.shape[0], rows):
        values[start : start + rows] = view[start : start + rows]
    return values


def _rows_at_once(dataset: h5py.Dataset) -> int:
    """Rows for which HDF5 need not look at more chunks than it has memory for."""
    if dataset.chunks is None or not dataset.shape:
        return sys.maxsize
    chunks = zip(dataset.shape[1:], dataset.chunks[1:], strict=True)
    beside = math.prod(-(-n // c) for n, c in chunks)
    return int(dataset.chunks[0]) * max(1, MOST_CHUNKS // max(beside, 1))


@as_format_errors
def check_texts(obj: Any) -> None:
    """Refuse an element with texts that cannot be read, in it or in any of its members.

    HDF5's own copying reads texts, too, but frees what it could not read a second time.
    """

    def visit(_: str, member: Any) -> None:
        if has_broken_attributes(member):
            raise damaged(member, expected="readable texts", found=BROKEN_HEAP)
        if isinstance(member, h5py.Dataset) and is_of_variable_length(member):
            read_values(member)

    visit("", obj)
    if isinstance(obj, h5py.Group):
        obj.visititems(visit)


def vector_length(dataset: Any, *, of: str) -> int:
    """Length of a one-dimensional dataset, without reading it."""
    shape = dataset.shape if isinstance(dataset, h5py.Dataset) else None
    if shape is None or len(shape) != 1:
        found = "a group" if isinstance(dataset, h5py.Group) else f"shape {shape}"
        raise damaged(dataset, expected=f"one dimension ({of})", found=found)
    return int(shape[0])
