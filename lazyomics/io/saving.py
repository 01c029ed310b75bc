"""Save into the opened file what changed: everything else stays as it is, byte for byte."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import dask.array as da
import h5py

from lazyomics.container.anndata import AnnData
from lazyomics.container.mappings import AlignedMapping
from lazyomics.errors import ShapeError, StaleFileError, XNotWrittenWarning, warn_user
from lazyomics.graph import recipe_of
from lazyomics.io.backing import FileBacking
from lazyomics.io.discarding import makes_room
from lazyomics.io.encodings import element_kind, read_element, write_element
from lazyomics.io.equality import same_value
from lazyomics.io.files import open_for_reading, open_for_saving
from lazyomics.io.opening import read_h5ad
from lazyomics.io.saving_frames import FrameChange, frame_change, write_frame_change
from lazyomics.io.stored import StoredElement, StoredMatrix
from lazyomics.io.writing import write_new, write_raw, write_value

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
    _point_to_file(adata, read_h5ad(backing.path), with_matrices=anew)


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
    raw_changed = adata._raw is not None and not _in_file(adata._raw.x.held, backing, "raw/X")
    return raw_changed or not _in_file(adata._x.held, backing, "X")


def _in_file(value: Any, backing: FileBacking, name: str) -> bool:
    """Whether a held value is the file's own element, unchanged and unselected."""
    places = {backing.place(name), backing.place(name.replace("raw/", "raw."))}
    if isinstance(value, StoredElement | StoredMatrix):
        return value.path == backing.absolute and value.name.strip("/") in places
    recipe = recipe_of(value)
    if recipe is None or not recipe.is_plain:
        return False
    path, element = getattr(recipe.source, "element", (None, None))
    return path == backing.absolute and element in places


@dataclass
class _Changes:
    """What a save does, decided before the file is opened for writing."""

    frames: dict[str, FrameChange] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    written: dict[str, Any] = field(default_factory=dict)
    raw: bool = False


def _save_parts(adata: AnnData, backing: FileBacking, options: Mapping[str, Any]) -> None:
    with open_for_reading(backing.absolute) as file:
        changes = _find_changes(adata, backing, file[backing.group])
    with (
        _streamed(changes, backing, options) as prepared,
        open_for_saving(backing.absolute) as file,
    ):
        _apply(file[backing.group], adata, changes, prepared, options)


def _find_changes(adata: AnnData, backing: FileBacking, group: h5py.Group) -> _Changes:
    changes = _Changes()
    for name, slot in (("obs", adata._obs), ("var", adata._var)):
        if slot.is_loaded:
            changes.frames[name] = frame_change(group, name, slot.frame, backing.names[name])
    for mapping in adata._mappings():
        _compare_mapping(changes, group, mapping.name, mapping.stored(), backing)
    _compare_mapping(changes, group, "uns", adata._uns.stored(), backing)
    if isinstance(group.get("obs"), h5py.Dataset):
        changes.removed.extend(_old_categories(group, adata))
    _compare_x(changes, group, adata, backing)
    _compare_raw(changes, group, adata, backing)
    return changes


def _old_categories(group: h5py.Group, adata: AnnData) -> list[str]:
    """Entries of uns that hold categories of the tables of anndata 0.6, which are written anew."""
    stored = group.get("uns", {})
    return [f"uns/{k}" for k in stored if k.endswith("_categories") and k not in adata.uns]


def _compare_mapping(
    changes: _Changes,
    group: h5py.Group,
    name: str,
    values: Mapping[str, Any],
    backing: FileBacking,
) -> None:
    stored = group.get(name)
    present = set(stored) if isinstance(stored, h5py.Group) else set()
    if isinstance(stored, h5py.Dataset) and values:  # one compound dataset, before anndata 0.7
        changes.removed.append(name)
    for key in sorted((backing.names[name] & present) - set(values)):
        changes.removed.append(f"{name}/{key}")
    for key, value in values.items():
        element = f"{name}/{key}"
        if _in_file(value, backing, element):
            continue
        if hasattr(value, "load") and not isinstance(value, da.Array):
            value = value.load()
        lazy = isinstance(value, da.Array)
        if not lazy and key in present and same_value(value, read_element(stored[key])):
            continue
        changes.written[element] = value


def _compare_x(changes: _Changes, group: h5py.Group, adata: AnnData, backing: FileBacking) -> None:
    held = adata._x.held
    has_x = "X" in group and element_kind(group["X"]) != "null"
    if not has_x:
        if held is not None:
            changes.written["X"] = adata.X
        return
    if not _in_file(held, backing, "X"):
        _warn_not_written("X", backing)


def _compare_raw(
    changes: _Changes, group: h5py.Group, adata: AnnData, backing: FileBacking
) -> None:
    in_file = "raw" in group or "raw.X" in group
    raw = adata._raw
    if not in_file:
        changes.raw = raw is not None
        return
    if raw is None or not _in_file(raw.x.held, backing, "raw/X"):
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


@contextmanager
def _streamed(
    changes: _Changes, backing: FileBacking, options: Mapping[str, Any]
) -> Iterator[h5py.File | None]:
    """Compute the lazy matrices into a file beside the target, before that is touched."""
    lazy = {k: v for k, v in changes.written.items() if isinstance(v, da.Array)}
    if not lazy:
        yield None
        return
    target = Path(backing.absolute)
    beside = target.with_name(f".{target.name}.{os.getpid()}-{uuid4().hex[:8]}.part")
    try:
        with h5py.File(beside, "w-") as file:
            for element, value in lazy.items():
                write_value(file, element.replace("/", "|"), value, options)
            yield file
    finally:
        beside.unlink(missing_ok=True)


def _apply(
    group: h5py.Group,
    adata: AnnData,
    changes: _Changes,
    prepared: h5py.File | None,
    options: Mapping[str, Any],
) -> None:
    """Make the changes: small things are deleted first, so that new ones take their space."""
    last = [e for e in changes.removed if "/" in e and not makes_room(group[e], e)]
    for element in changes.removed:
        if element not in last:
            del group[element]
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
        del group[element]
    for parent, fresh, key in moves:
        del parent[key]
        parent.move(fresh, key)


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
    parent_name, _, key = element.rpartition("/")
    parent = group
    if parent_name:
        parent = group.require_group(parent_name)
        if "encoding-type" not in parent.attrs:
            parent.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
    if key in parent and makes_room(parent[key], element):
        del parent[key]
    name = f"{key}.{uuid4().hex[:8]}.new" if key in parent else key
    if isinstance(value, da.Array) and prepared is not None:
        prepared.copy(element.replace("/", "|"), parent, name)
    else:
        write_element(parent, name, value, dataset_kwargs=options)
    return None if name == key else (parent, name, key)


def _point_to_file(adata: AnnData, opened: AnnData, *, with_matrices: bool) -> None:
    """Let everything lazy refer to the file as it is now; what is in memory stays in memory.

    A changed X that was not written stays as it was changed, unless ``with_matrices``.
    """
    if opened.shape != adata.shape:
        raise StaleFileError(f"{adata.filename} was replaced while it was saved; open it again")
    for mine, theirs in zip(adata._mappings(), opened._mappings(), strict=True):
        _refresh(mine, theirs)
    if with_matrices:
        _refresh_matrices(adata, opened)
    adata._backing = opened._backing


def _refresh_matrices(adata: AnnData, opened: AnnData) -> None:
    if not adata._x.is_in_memory:
        adata._x = opened._x
    if adata._raw is not None and opened._raw is not None and not adata._raw.x.is_in_memory:
        adata._raw.x = opened._raw.x
    for mine, theirs in ((adata._obs, opened._obs), (adata._var, opened._var)):
        if not mine.is_loaded:
            mine.refer_to(theirs)
    stored = {k: v for k, v in opened._uns.stored().items() if k in adata._uns}
    adata._uns._values.update(
        {k: v for k, v in stored.items() if hasattr(adata._uns.stored()[k], "load")}
    )


def _refresh(mine: AlignedMapping, theirs: AlignedMapping) -> None:
    for key, value in mine.stored().items():
        lazy = isinstance(value, da.Array) or hasattr(value, "load")
        if lazy and key in theirs:
            mine._values[key] = theirs.stored()[key]
