"""Elements that are carried along without being understood."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, NoReturn

import h5py

from lazyomics.errors import UnsupportedError
from lazyomics.io.encodings.copies import check_copy
from lazyomics.io.encodings.damage import guarded, location, lost
from lazyomics.io.encodings.dataset_values import check_texts
from lazyomics.io.encodings.kinds import encoding
from lazyomics.io.encodings.members import child, has_member
from lazyomics.io.files import open_for_reading

__all__ = ["OpaqueElement"]


@dataclass(frozen=True)
class OpaqueElement:
    """A stored element of an encoding that lazyomics does not know.

    It can be shown, kept in ``uns`` or ``obsm``, and written to another file, where it arrives
    byte for byte. Only asking for its value fails.

    Parameters
    ----------
    path
        Name of the file that holds it.
    name
        Its name in the file.
    encoding
        What the file says about it, e.g. ``"ome-zarr 0.4"``.
    """

    path: str
    name: str
    encoding: str = field(default="", compare=False)

    @classmethod
    def of(cls, obj: Any) -> OpaqueElement:
        """Refer to an open HDF5 object."""
        return cls(*location(obj), encoding=" ".join(encoding(obj)).strip())

    def copy_to(self, parent: h5py.Group, name: str) -> None:
        """Copy the element verbatim, with everything below it, to ``parent[name]``."""
        if _same_file(location(parent)[0], self.path):  # opened already, and not twice
            _copy(parent.file, self.name, parent, name)
            return
        with open_for_reading(self.path) as file:
            _copy(file, self.name, parent, name)

    @property
    def value(self) -> NoReturn:
        """Raises :class:`~lazyomics.errors.UnsupportedError`: the encoding is not known."""
        self._fail()

    def _fail(self, *args: object, **kwargs: object) -> NoReturn:
        about = f"the encoding {self.encoding!r}" if self.encoding else "an unknown encoding"
        raise UnsupportedError(
            f"{self.path}: element {self.name!r} has {about}, which lazyomics cannot read. It is "
            "kept and copied unchanged; read it with the program that wrote it"
            + (", or install awkward." if self.encoding.startswith("awkward") else ".")
        )

    __array__ = __getitem__ = __iter__ = _fail


@guarded
def _copy(file: h5py.File, source: str, parent: h5py.Group, name: str) -> None:
    if not has_member(file, source.lstrip("/")):
        raise lost(file, source.lstrip("/"), found="nothing any more")
    obj = child(file, source.lstrip("/"))
    check_copy(obj)
    check_texts(obj)
    file.copy(obj, parent, name)


def _same_file(path: str, other: str) -> bool:
    if path == other:
        return True
    return os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)
