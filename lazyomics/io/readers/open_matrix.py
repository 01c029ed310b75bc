"""The reader of an open HDF5 matrix, after checking that its parts fit together."""

from __future__ import annotations

import h5py

from lazyomics.errors import FileFormatError
from lazyomics.io.chunks import StoredArray
from lazyomics.io.encodings import (
    check_storage,
    child,
    element_kind,
    has_member,
    location,
    sparse_info,
)
from lazyomics.io.encodings.damage import guarded
from lazyomics.io.readers.compressed import CompressedReader
from lazyomics.io.readers.dense import DenseReader

__all__ = ["reader_of", "stored_numbers"]


@guarded
def reader_of(obj: h5py.Group | h5py.Dataset) -> DenseReader | CompressedReader:
    """Return the reader of an open matrix. Reads only metadata.

    Raises
    ------
    FileFormatError
        If the element is not a matrix, or its parts do not fit together.
    """
    return _dense(obj) if isinstance(obj, h5py.Dataset) else _compressed(obj)


def _dense(dataset: h5py.Dataset) -> DenseReader:
    path, name = location(dataset)
    if dataset.ndim != 2:
        raise FileFormatError.at(
            path, name, expected="a matrix of 2 dimensions", found=f"shape {dataset.shape}"
        )
    return DenseReader(stored_numbers(dataset, path, name))


def _compressed(group: h5py.Group) -> CompressedReader:
    path, name = location(group)
    kind = element_kind(group)
    if kind not in ("csr_matrix", "csc_matrix"):
        raise FileFormatError.at(path, name, expected="a matrix", found=kind)
    layout, shape = sparse_info(group)
    data, indices, indptr = (
        stored_numbers(_vector(group, part), path, f"{name}/{part}")
        for part in ("data", "indices", "indptr")
    )
    if data.shape[0] != indices.shape[0]:
        raise FileFormatError.at(
            path,
            name,
            expected="as many indices as values",
            found=f"{indices.shape[0]} and {data.shape[0]}",
            hint="The matrix is damaged; write it again from its source.",
        )
    return CompressedReader(data, indices, indptr, shape, layout)


def _vector(group: h5py.Group, part: str) -> h5py.Dataset:
    member = child(group, part) if has_member(group, part) else None
    if not isinstance(member, h5py.Dataset) or member.ndim != 1:
        path, name = location(group)
        raise FileFormatError.at(
            path,
            f"{name}/{part}",
            expected="a one-dimensional dataset",
            found="nothing" if member is None else str(member),
        )
    return member


def stored_numbers(dataset: h5py.Dataset, path: str, name: str) -> StoredArray:
    """Refer to values that are numbers; nothing can be computed with whatever else HDF5 holds."""
    if dataset.dtype.kind not in "biufc":
        raise FileFormatError.at(path, name, expected="numbers", found=f"values of {dataset.dtype}")
    check_storage(dataset)
    return StoredArray.of(dataset, path)
