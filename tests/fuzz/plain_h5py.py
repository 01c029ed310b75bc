"""Read everything in a file with h5py alone: what HDF5 itself makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

__all__ = ["walk"]

MOST_OBJECTS = 3_000
LARGEST = 1 << 28  # what lazyomics does not read, either


def walk(path: Path) -> None:
    """Open, list, look at attributes, read and copy; errors do not matter here, crashes do."""
    try:
        with (
            h5py.File(path, "r") as file,
            h5py.File("copy", "w", driver="core", backing_store=False) as other,
        ):
            groups: list[Any] = [file]
            seen = 0
            while groups and seen < MOST_OBJECTS:
                group = groups.pop()
                _attributes(group)
                for name in _names(group):
                    seen += 1
                    _member(group, name, groups, other)
    except Exception:
        return


def _names(group: Any) -> list[str]:
    try:
        return list(group)
    except Exception:
        return []


def _attributes(obj: Any) -> None:
    for name in _names(obj.attrs):
        try:
            obj.attrs[name]
        except Exception:
            continue


def _member(group: Any, name: str, groups: list[Any], other: h5py.File) -> None:
    try:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            return
        obj = group[name]
        _attributes(obj)
        if isinstance(obj, h5py.Group):
            groups.append(obj)
        elif isinstance(obj, h5py.Dataset):
            _dataset(obj)
            other.copy(obj, other, f"{len(other)}")
    except Exception:
        return


def _dataset(dataset: h5py.Dataset) -> None:
    dataset.id.get_storage_size()
    if dataset.chunks:
        dataset.id.chunk_iter(lambda chunk: None)
    if dataset.shape is not None and dataset.size * dataset.dtype.itemsize < LARGEST:
        dataset[()]
        if h5py.check_string_dtype(dataset.dtype):
            dataset.asstr()[()]
