"""Write merged elements into the file, in the place of old ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import h5py

from lazyomics.container.anndata import AnnData
from lazyomics.io.encodings import write_element
from lazyomics.io.save.frames import delete_before_write, protect_links, write_frame_change
from lazyomics.io.save.merge import Changes
from lazyomics.io.transaction import raise_failures, temporary_sibling
from lazyomics.io.writing import write_raw, write_value
from lazyomics.lazy.kinds import is_dask_array

__all__ = [
    "apply_changes",
    "streamed_beside",
]


@contextmanager
def streamed_beside(
    lazy: Mapping[str, Any], path: str, options: Mapping[str, Any]
) -> Iterator[h5py.File | None]:
    """Compute lazy matrices into a file beside the target, before that is touched."""
    if not lazy:
        yield None
        return
    with temporary_sibling(os.path.realpath(path), replace=False) as file:
        for element, value in lazy.items():
            write_value(file, element.replace("/", "|"), value, options)
        file.flush()
        raise_failures()  # what is not on the disk cannot be copied from it
        yield file


def apply_changes(
    group: h5py.Group,
    adata: AnnData,
    changes: Changes,
    prepared: h5py.File | None,
    options: Mapping[str, Any],
) -> None:
    """Make the changes: small things are deleted first, so that new ones take their space."""
    protect_links(group.file, [f"{group.name}/{element}" for element in changes.replaced()])
    last = [e for e in changes.removed if "/" in e and not delete_before_write(group[e], e)]
    for element in changes.removed:
        if element not in last:
            _delete(group, element)
    for name, change in changes.frames.items():
        write_frame_change(group, name, change)
    moves = [
        move
        for element, value in changes.written.items()
        if (move := _write(group, element, value, prepared, options)) is not None
    ]
    if changes.raw and adata._raw is not None:
        write_raw(group, adata._raw, options)
    for element in last:
        _delete(group, element)
    for parent, fresh, key in moves:
        del parent[key]
        parent.move(fresh, key)


def _delete(group: h5py.Group, element: str) -> None:
    parent, _, key = element.rpartition("/")
    del (group[parent] if parent else group)[key]


def _write(
    group: h5py.Group,
    element: str,
    value: Any,
    prepared: h5py.File | None,
    options: Mapping[str, Any],
) -> tuple[h5py.Group, str, str] | None:
    """Write an element, under another name if what it replaces is to be deleted at the end.

    Returns the group and both names then.
    """
    raise_failures()
    parent_name, _, key = element.rpartition("/")
    parent = group
    if parent_name:
        parent = group.require_group(parent_name)
        if "encoding-type" not in parent.attrs:
            parent.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
    if key in parent and delete_before_write(parent[key], element):
        del parent[key]
    name = f"{key}.{uuid4().hex[:8]}.new" if key in parent else key
    if is_dask_array(value) and prepared is not None and element.replace("/", "|") in prepared:
        prepared.copy(element.replace("/", "|"), parent, name)
    else:
        write_element(parent, name, value, dataset_kwargs=options)
    return None if name == key else (parent, name, key)
