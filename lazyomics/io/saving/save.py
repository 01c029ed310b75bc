"""Save into the opened file what changed: everything else stays as it is, byte for byte."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from lazyomics.container.anndata import AnnData
from lazyomics.errors import ShapeError, XNotWrittenWarning, warn_user
from lazyomics.io.backing import FileBacking
from lazyomics.io.encodings import element_kind
from lazyomics.io.files import open_for_reading, open_for_saving
from lazyomics.io.legacy import raw_place
from lazyomics.io.opening import read_h5ad
from lazyomics.io.saving.applying import apply_changes, streamed_beside
from lazyomics.io.saving.changes import Changes, compare_mapping, in_file
from lazyomics.io.saving.frames import frame_change
from lazyomics.io.saving.referring import point_to_file
from lazyomics.io.writing import write_new

__all__ = ["save"]


def save(adata: AnnData, *, overwrite_x: bool, options: Mapping[str, Any]) -> None:
    """Write what changed or is new into the file that the object was opened from.

    Lazy matrices are streamed to a file beside it first, so that the file itself is open for
    writing only for the short time of putting things in place. All changes are made, or none.
    """
    backing = adata._backing
    assert isinstance(backing, FileBacking)
    _check_owner(adata, backing, overwrite_x)
    anew = overwrite_x and (backing.is_selection or _x_changed(adata, backing))
    if anew:
        write_new(adata, Path(backing.absolute), options=options)
    else:
        _save_parts(adata, backing, options)
    point_to_file(adata, read_h5ad(backing.path), with_matrices=anew)


def _check_owner(adata: AnnData, backing: FileBacking, overwrite_x: bool) -> None:
    if not os.path.exists(backing.absolute):
        raise FileNotFoundError(f"{backing.path} is gone; write to a new file instead")
    if backing.is_selection and not overwrite_x:
        raise ValueError(
            f"this object is a selection of {backing.path}: saving it would need to replace the "
            "matrices there. Write it to a new file with write(filename), or replace the file "
            "with write(overwrite_x=True)."
        )
    if not backing.is_selection and adata.shape != backing.shape:
        raise ShapeError(f"{backing.path} has shape {backing.shape}, the object {adata.shape}")


def _x_changed(adata: AnnData, backing: FileBacking) -> bool:
    raw_changed = adata._raw is not None and not in_file(adata._raw.x.held, backing, "raw/X")
    return raw_changed or not in_file(adata._x.held, backing, "X")


def _save_parts(adata: AnnData, backing: FileBacking, options: Mapping[str, Any]) -> None:
    with open_for_reading(backing.absolute) as file:
        changes = _find_changes(adata, backing, file[backing.group])
    with (
        streamed_beside(changes, backing, options) as prepared,
        open_for_saving(backing.absolute) as file,
    ):
        apply_changes(file[backing.group], adata, changes, prepared, options)


def _find_changes(adata: AnnData, backing: FileBacking, group: h5py.Group) -> Changes:
    changes = Changes()
    for name, slot in (("obs", adata._obs), ("var", adata._var)):
        if slot.is_loaded:
            changes.frames[name] = frame_change(group, name, slot.frame, backing.names[name])
    for mapping in adata._mappings():
        compare_mapping(changes, group, mapping.name, mapping.stored(), backing)
    compare_mapping(changes, group, "uns", adata._uns.stored(), backing)
    if isinstance(group.get("obs"), h5py.Dataset):
        changes.removed.extend(_old_categories(group, adata))
    _compare_x(changes, group, adata, backing)
    _compare_raw(changes, group, adata, backing)
    return changes


def _old_categories(group: h5py.Group, adata: AnnData) -> list[str]:
    """Entries of uns that hold categories of the tables of anndata 0.6, which are written anew."""
    stored = group.get("uns", {})
    return [f"uns/{k}" for k in stored if k.endswith("_categories") and k not in adata.uns]


def _compare_x(changes: Changes, group: h5py.Group, adata: AnnData, backing: FileBacking) -> None:
    held = adata._x.held
    has_x = "X" in group and element_kind(group["X"]) != "null"
    if not has_x:
        if held is not None:
            changes.written["X"] = adata.X
        return
    if not in_file(held, backing, "X"):
        _warn_not_written("X", backing)


def _compare_raw(changes: Changes, group: h5py.Group, adata: AnnData, backing: FileBacking) -> None:
    raw = adata._raw
    if raw_place(group) is None:
        changes.raw = raw is not None
        return
    if raw is None or not in_file(raw.x.held, backing, "raw/X"):
        _warn_not_written("raw.X", backing)
        return
    if raw.var.is_loaded and "raw" in group:
        known = frozenset(raw.var.columns)
        changes.frames["raw/var"] = frame_change(group, "raw/var", raw.var.frame, known)


def _warn_not_written(name: str, backing: FileBacking) -> None:
    warn_user(
        f"{name} was changed, but {backing.path} holds {name} already and keeps it: everything "
        "else is saved. To keep the change, use write(overwrite_x=True), save it as a layer "
        f"(adata.layers['changed'] = adata.{name}) or write to a new file.",
        XNotWrittenWarning,
    )
