"""read_elem and write_elem: single elements of open HDF5 files, as anndata's."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import h5py

from lazyomics.container.values import is_nested
from lazyomics.errors import UnsupportedError
from lazyomics.io.encodings import write_element
from lazyomics.io.encodings.mappings import read_entry

__all__ = ["read_elem", "write_elem"]


def read_elem(elem: h5py.Group | h5py.Dataset) -> Any:
    """Read an element of an open file into memory.

    Parameters
    ----------
    elem
        Group or dataset of h5py.

    Returns
    -------
    What is stored: a table, matrix, array, mapping, text or number, or an AnnData.

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
    from lazyomics.io import nested  # noqa: F401  registers the reader of AnnData

    return read_entry(elem)


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
        Name of the element; with ``"/"`` the groups above it are made. ``"/"`` alone is the group
        itself, for an AnnData or a mapping: what it held is deleted first.
    elem
        What to write; an AnnData, too, whose lazy matrices are streamed.
    dataset_kwargs
        Of ``h5py.Group.create_dataset``, such as ``{"compression": "gzip"}``.

    Raises
    ------
    UnsupportedError
        If a value other than an AnnData or a mapping is to be the group itself.
    TypeError
        If values of its type cannot be stored.
    """
    from lazyomics.io.writing import write_root  # its module registers the writer of AnnData

    name = k.strip("/")
    if not name:
        if not (is_nested(elem) or isinstance(elem, Mapping)):
            raise UnsupportedError(
                f"{k!r} names the group itself, which holds an AnnData or a mapping; found "
                f"{type(elem).__name__}. Name an element"
            )
        write_root(store, elem, dataset_kwargs)
        return
    parent, _, last = name.rpartition("/")
    group = store.require_group(parent) if parent else store
    if last in group:
        del group[last]
    write_element(group, last, elem, dataset_kwargs=dataset_kwargs)
