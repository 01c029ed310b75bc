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
    child,
    has_member,
    named_rows,
    read_compound_mapping,
    read_frame,
    read_mapping,
)

__all__ = ["OldParts", "old_layout_parts"]


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
    uns = dict(read_mapping(child(group, "uns"))) if has_member(group, "uns") else {}
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


def _dataset(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """A member that is a dataset; None if there is no such member, or it is a group."""
    member = child(group, name) if has_member(group, name) else None
    return member if isinstance(member, h5py.Dataset) else None
