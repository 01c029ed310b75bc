"""Check what a save is about to publish as a reader would, without reading values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import h5py

from lazyomics.errors import FileFormatError
from lazyomics.io.encodings import (
    element_kind,
    frame_columns,
    frame_length,
    open_member,
    sparse_info,
)
from lazyomics.io.encodings.frames import column_length

__all__ = [
    "ALIGNED",
    "stored_shape",
    "verify",
]


ALIGNED = {
    "layers": (0, 1),
    "obsm": (0,),
    "varm": (1,),
    "obsp": (0, 0),
    "varp": (1, 1),
}
"""Which axes (0 obs, 1 var) the axes of the elements of a mapping follow."""


def verify(group: h5py.Group, elements: Iterable[str] = ("obs", "var", "raw")) -> None:
    """Make sure that a stored AnnData, or the whole of a MuData, can be read after a save.

    Parameters
    ----------
    group
        The object as it will be, in the file that is being saved.
    elements
        What the save changed: names of elements, counted from the object; all of them by default.

    Raises
    ------
    FileFormatError
        If row names are missing, if a column is missing or has another length, or if an array does
        not have a row for each name. Nothing is saved then.

    Notes
    -----
    Looks at names and shapes of the tables and of what changed, at no values.
    """
    changed = {element.partition("/")[0] for element in elements}
    lengths = []
    for name in ("obs", "var"):
        if not isinstance(group.get(name), h5py.Group):
            return  # of a layout before anndata 0.7, which is read as it is
        lengths.append(_verify_table(open_member(group, name)))
    if {"obs", "var"} & changed:
        changed |= {"X", *ALIGNED}
    if "X" in changed and "X" in group and element_kind(group["X"]) != "null":
        _expect_shape(group["X"], tuple(lengths))
    for name, axes in ALIGNED.items():
        members = group.get(name)
        # mudata's writers in R leave a table of the whole empty whose arrays are not.
        counted = all(lengths[axis] for axis in axes)
        if counted and name in changed and isinstance(members, h5py.Group):
            for key in members:
                _expect_shape(members[key], tuple(lengths[axis] for axis in axes))
    raw = group.get("raw")
    if "raw" in changed and isinstance(raw, h5py.Group) and "var" in raw:
        genes = _verify_table(open_member(raw, "var"))
        if "X" in raw and element_kind(raw["X"]) != "null":
            _expect_shape(raw["X"], (lengths[0], genes))
        for key in raw.get("varm", ()):
            _expect_shape(raw["varm"][key], (genes,))


def _verify_table(table: h5py.Group) -> int:
    """Check row names and columns of a table; return its length."""
    length = frame_length(table)  # raises where the row names are missing
    for column in frame_columns(table):
        found = column_length(open_member(table, column))  # raises where the column is missing
        if found != length:
            raise _violation(table, f"{length} values of {column!r}, one per row", str(found))
    return length


def _expect_shape(obj: Any, lead: tuple[int, ...]) -> None:
    shape = stored_shape(obj)
    if shape is not None and shape[: len(lead)] != lead:
        if len(shape) == 1 and len(lead) == 2 and lead[1] == 1:
            return  # one gene, as very old files store it
        raise _violation(obj, f"a shape that begins with {lead}", str(shape))


def stored_shape(obj: Any) -> tuple[int, ...] | None:
    """Return the shape of an element; None where only its reader knows it."""
    kind = element_kind(obj)
    if kind in ("csr_matrix", "csc_matrix"):
        return tuple(sparse_info(obj)[1])
    if kind == "dataframe":
        return (_verify_table(obj),)
    if isinstance(obj, h5py.Dataset):
        return None if obj.shape is None else tuple(obj.shape)
    return None


def _violation(obj: Any, expected: str, found: str) -> FileFormatError:
    return FileFormatError.at(
        obj.file.filename,
        str(obj.name),
        expected=expected,
        found=found,
        hint="Nothing was saved: with that, the file could not be read any more.",
    )
