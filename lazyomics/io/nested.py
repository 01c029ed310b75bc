"""An AnnData as a value of uns: read into memory, as anndata does."""

from __future__ import annotations

from typing import Any

import h5py

from lazyomics.container.anndata import AnnData
from lazyomics.container.mappings import AlignedMapping, MappingName
from lazyomics.errors import ShapeError
from lazyomics.io.encodings import OpaqueElement, named_rows, open_member, read_element, read_frame
from lazyomics.io.encodings.damage import as_format_errors, damaged
from lazyomics.io.encodings.mappings import read_mapping, reads_entries, walking
from lazyomics.io.old_layouts import is_there, raw_place

__all__ = ["MAPPINGS", "read_nested"]

MAPPINGS: tuple[MappingName, ...] = ("layers", "obsm", "varm", "obsp", "varp")


@reads_entries("anndata")
@as_format_errors
def read_nested(group: Any) -> AnnData:
    """Read an AnnData, and all that is in it, into memory."""
    with walking(group):
        parts: dict[str, Any] = {name: _frame(group, name) for name in ("obs", "var")}
        parts["X"] = read_element(open_member(group, "X")) if is_there(group, "X") else None
        parts["uns"] = read_mapping(open_member(group, "uns")) if is_there(group, "uns") else {}
        parts["raw"] = _raw(group)
        try:
            adata = AnnData(**parts)
            for name in MAPPINGS:
                _fill(getattr(adata, name), group, name)
        except ShapeError as error:
            raise damaged(group, expected="parts that fit together", found=str(error)) from error
    return adata


def _frame(group: h5py.Group, name: str) -> Any:
    if not is_there(group, name):
        return None
    frame = read_frame(open_member(group, name))
    frame.index = named_rows(open_member(group, name), frame.index)
    return frame


def _raw(group: h5py.Group) -> dict[str, Any] | None:
    place = raw_place(group)
    if place is None:
        return None
    parent, x, var, varm = place
    if not is_there(parent, x):
        raise damaged(parent, expected="a matrix X", found="none")
    return {
        "X": read_element(open_member(parent, x)),
        "var": _frame(parent, var),
        "varm": read_mapping(open_member(parent, varm)) if is_there(parent, varm) else None,
    }


def _fill(mapping: AlignedMapping, group: h5py.Group, name: str) -> None:
    members = read_mapping(open_member(group, name)) if is_there(group, name) else {}
    for key, value in members.items():
        if isinstance(value, OpaqueElement):
            mapping._values[key] = value
        else:
            mapping[key] = value
