"""Copy a file's members into an empty one: as they are stored, or numbers in another way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import h5py

from lazyomics.errors import UnsupportedError

__all__ = ["Copying"]

#: ``write(obj, parent, name)`` -> whether it wrote the object anew, without attributes
Rewrite = Callable[[Any, h5py.Group, str], bool]


@dataclass
class Copying:
    """One copy of a file.

    Parameters
    ----------
    source, target
        Both open; the target is empty and writable.
    rewrite
        Called with each group and dataset and where it goes; by default all is copied as stored.
    """

    source: h5py.File
    target: h5py.File
    rewrite: Rewrite | None = None
    _seen: dict[Any, str] = field(default_factory=dict)

    def run(self) -> None:
        """Copy the root's members, links and attributes, and let references refer to the copies.

        Raises
        ------
        UnsupportedError
            If there are references among the values.
        """
        renew = _holds_references(self.source)
        self._members(self.source, self.target)
        if renew:
            _renew_references(self.source, self.target)

    def _members(self, source: h5py.Group, target: h5py.Group) -> None:
        for key in source:
            link = source.get(key, getlink=True)
            if isinstance(link, h5py.HardLink):
                self._object(source[key], target, key)
            else:
                target[key] = link
        _copy_attributes(source, target)

    def _object(self, obj: Any, target: h5py.Group, key: str) -> None:
        if self.rewrite is None or not isinstance(obj, h5py.Group | h5py.Dataset):
            self.source.copy(obj, target, key)
            return
        info = h5py.h5o.get_info(obj.id)
        seen = self._seen.get((info.fileno, info.addr))
        if seen is not None:  # one object under several names
            target[key] = self.target[seen]
            return
        self._seen[info.fileno, info.addr] = f"{str(target.name).rstrip('/')}/{key}"
        if self.rewrite(obj, target, key):
            _copy_attributes(obj, target[key])
        elif isinstance(obj, h5py.Group):
            self._members(obj, _like(obj, target, key))
        else:
            self.source.copy(obj, target, key)


def _like(group: h5py.Group, parent: h5py.Group, key: str) -> h5py.Group:
    """An empty group that keeps the order of its members where the other one does."""
    made = h5py.h5g.create(parent.id, key.encode(), gcpl=group.id.get_create_plist())
    return h5py.Group(made)


def _copy_attributes(source: Any, target: Any) -> None:
    """Copy the attributes that the target does not have yet."""
    for key in source.attrs:
        if key in target.attrs:
            continue
        attribute = h5py.h5a.open(source.id, key.encode())
        value = source.attrs[key]
        target.attrs.create(key, value, shape=attribute.shape, dtype=attribute.dtype)


def _holds_references(source: h5py.File) -> bool:
    """Whether any attribute refers to an object, as categories did before anndata 0.8."""

    def look(name: str, obj: Any) -> bool | None:
        if isinstance(obj, h5py.Dataset) and h5py.check_ref_dtype(obj.dtype) is not None:
            raise UnsupportedError(
                f"{source.filename}: {name!r} holds references to other elements"
            )
        return True if any(isinstance(obj.attrs[k], h5py.Reference) for k in obj.attrs) else None

    return bool(source.visititems(look))


def _renew_references(source: h5py.File, target: h5py.File) -> None:
    def renew(name: str, obj: Any) -> None:
        for key in obj.attrs:
            value = obj.attrs[key]
            if isinstance(value, h5py.Reference) and value:
                target[name].attrs[key] = target[source[value].name].ref

    source.visititems(renew)
