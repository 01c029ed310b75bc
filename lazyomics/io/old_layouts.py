"""Parts of files written before anndata 0.7: tables and arrays packed into compound datasets.

Such files are small; these parts are read when the file is opened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import h5py
import pandas as pd

from lazyomics.io.encodings import (
    categories_from_uns,
    element_kind,
    frame_length,
    has_member,
    named_rows,
    open_member,
    read_compound_mapping,
    read_frame,
    read_mapping,
)
from lazyomics.io.encodings.damage import damaged

__all__ = [
    "OldParts",
    "is_there",
    "old_layout_parts",
    "raw_place",
]


@dataclass
class OldParts:
    """What was read; None and nothing for files of today."""

    obs: pd.DataFrame | None = None
    var: pd.DataFrame | None = None
    raw_var: pd.DataFrame | None = None
    uns: dict[str, Any] | None = None
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)


def old_layout_parts(group: h5py.Group) -> OldParts:
    """Read the compound parts of a file; nothing in newer files."""
    parts = OldParts()
    for name in ("obsm", "varm", "raw.varm"):
        member = _dataset(group, name)
        if member is not None and member.dtype.names:
            parts.fields[name] = read_compound_mapping(member)
    if _dataset(group, "obs") is None:
        return parts
    uns = dict(read_mapping(open_member(group, "uns"))) if has_member(group, "uns") else {}
    used: set[str] = set()
    for attribute, name in (("obs", "obs"), ("var", "var"), ("raw_var", "raw.var")):
        member = _dataset(group, name)
        if member is not None:
            frame, keys = categories_from_uns(read_frame(member), uns)
            frame.index = named_rows(member, frame.index)
            setattr(parts, attribute, frame)
            used.update(keys)
    parts.uns = {k: v for k, v in uns.items() if k not in used}
    return parts


def raw_place(group: h5py.Group) -> tuple[h5py.Group, str, str, str] | None:
    """Find the raw of an AnnData in its file.

    Parameters
    ----------
    group
        Where the AnnData is stored.

    Returns
    -------
    The group that holds the parts of raw and their names there: X, var and varm. None if there is
    no raw, also where other tools left a null or a group without a matrix and genes in its place.
    """
    dotted = is_there(group, "raw.X") or is_there(group, "raw.var")
    new = open_member(group, "raw") if is_there(group, "raw") else None
    if new is not None and not isinstance(new, h5py.Group):
        raise damaged(new, expected="a group", found="a dataset")
    if new is not None and dotted and len(new):
        raise damaged(new, expected="one raw", found="two: also raw.X or raw.var")
    parent, x, var, varm = (group, "raw.X", "raw.var", "raw.varm")
    if not dotted:
        parent, x, var, varm = (new, "X", "var", "varm")
    if parent is None:
        return None
    genes = is_there(parent, var) and frame_length(open_member(parent, var)) > 0
    return (parent, x, var, varm) if genes or is_there(parent, x) else None


def is_there(group: h5py.Group, name: str) -> bool:
    """Whether there is such a member, and not a null in its place."""
    return has_member(group, name) and element_kind(open_member(group, name)) != "null"


def _dataset(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """A member that is a dataset; None if there is no such member, or it is a group or a null."""
    member = open_member(group, name) if has_member(group, name) else None
    return member if isinstance(member, h5py.Dataset) and member.shape is not None else None
