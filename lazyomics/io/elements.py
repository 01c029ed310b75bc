"""read_elem and write_elem: single elements of open HDF5 files, as anndata's."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import h5py

from lazyomics.errors import UnsupportedError
from lazyomics.io.encodings import read_element, write_element

__all__ = ["read_elem", "write_elem"]


def read_elem(elem: h5py.Group | h5py.Dataset) -> Any:
    """Read an element of an open file into memory.

    Parameters
    ----------
    elem
        Group or dataset of h5py.

    Returns
    -------
    What is stored: a table, matrix, array, mapping, text or number.

    Raises
    ------
    FileFormatError
        If it is damaged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, h5py.File(f"{folder}/a.h5", "w") as file:
    ...     write_elem(file, "a", {"n": 3})
    ...     read_elem(file["a/n"])
    3
    """
    return read_element(elem)


def write_elem(
    store: h5py.Group,
    k: str,
    elem: Any,
    *,
    dataset_kwargs: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write a value as an element of an open file, in the place of one that is there.

    Parameters
    ----------
    store
        Group of h5py, of a file that is open for writing.
    k
        Name of the element; with ``"/"`` the groups above it are made.
    elem
        What to write.
    dataset_kwargs
        Of ``h5py.Group.create_dataset``, such as ``{"compression": "gzip"}``.

    Raises
    ------
    UnsupportedError
        If values of its type cannot be stored, or the element is the root ``"/"``.
    """
    name = k.strip("/")
    if not name:
        raise UnsupportedError("name an element: the root is written by adata.write_h5ad")
    parent, _, last = name.rpartition("/")
    group = store.require_group(parent) if parent else store
    if last in group:
        del group[last]
    write_element(group, last, elem, dataset_kwargs=dataset_kwargs)
