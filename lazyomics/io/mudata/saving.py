"""Save a MuData, or one modality, into its file: modalities that did not change stay untouched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import h5py
import numpy as np

from lazyomics.container.anndata import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.io.backing import FileBacking
from lazyomics.io.files import open_for_reading, open_for_saving
from lazyomics.io.mudata.backing import MuDataBacking
from lazyomics.io.mudata.modality_changes import check_modality, modality_changes, warn_left_out
from lazyomics.io.mudata.opening import modality_names, open_modality, read_h5mu
from lazyomics.io.mudata.writing import write_modality, write_new_mudata
from lazyomics.io.saving import (
    _apply,
    _Changes,
    _compare_mapping,
    _point_to_file,
    _streamed,
)
from lazyomics.io.saving_frames import frame_change
from lazyomics.io.stored import StoredElement

__all__ = ["save_modality", "save_mudata"]


@dataclass
class _Plan:
    """What a save does to a file, decided before the file is opened for writing."""

    path: str
    changed: dict[str, _Changes] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    root: _Changes = field(default_factory=_Changes)
    order: list[str] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the file holds everything already."""
        every = [self.root, *self.changed.values()]
        return not (self.whole or self.removed or self.order) and all(map(_is_empty, every))


def _is_empty(changes: _Changes) -> bool:
    frames = any(not change.is_empty for change in changes.frames.values())
    return not (frames or changes.removed or changes.written or changes.raw)


def save_mudata(mdata: MuData, *, overwrite_x: bool, options: Mapping[str, Any]) -> None:
    """Write what changed or is new into the file that the object was opened from.

    Modalities that are still in the file as they were are neither read nor written. X and raw of
    a modality are replaced with ``overwrite_x`` only.
    """
    backing = mdata._backing
    assert isinstance(backing, MuDataBacking)
    if not os.path.exists(backing.absolute):
        raise FileNotFoundError(f"{backing.path} is gone; write to a new file instead")
    if backing.is_selection:
        _save_selection(mdata, backing, overwrite_x, options)
        return
    with open_for_reading(backing.absolute) as file:
        plan = _plan(mdata, backing, file, overwrite_x)
    _carry_out(plan, mdata.mod, options)
    opened = read_h5mu(backing.path)
    for mod, adata in mdata.mod.items():
        _refer(adata, opened.mod[mod], with_matrices=mod in plan.whole)
    for mine, theirs in zip(mdata._mappings(), opened._mappings(), strict=True):
        for key, value in mine.stored().items():
            if hasattr(value, "load") and key in theirs and key not in mdata.mod:
                mine._values[key] = theirs.stored()[key]
    mdata._backing = opened._backing


def _save_selection(
    mdata: MuData, backing: MuDataBacking, overwrite_x: bool, options: Mapping[str, Any]
) -> None:
    if not overwrite_x:
        raise ValueError(
            f"this object is a selection of {backing.path}: saving it would need to replace the "
            "matrices there. Write it to a new file with write(filename), or replace the file "
            "with write(overwrite_x=True)."
        )
    write_new_mudata(mdata, Path(backing.absolute), options=options)
    mdata._become(read_h5mu(backing.path))


def save_modality(adata: AnnData, *, overwrite_x: bool, options: Mapping[str, Any]) -> None:
    """Save an object that is one modality of an .h5mu file."""
    backing = adata._backing
    assert isinstance(backing, FileBacking)
    mod = backing.group.rpartition("/")[2]
    plan = _Plan(backing.absolute)
    with open_for_reading(backing.absolute) as file:
        _plan_modality(plan, mod, adata, backing, file["mod"], overwrite_x)
    _carry_out(plan, {mod: adata}, options)
    _refer(adata, open_modality(backing.path, mod), with_matrices=mod in plan.whole)


def _refer(adata: AnnData, opened: AnnData, *, with_matrices: bool) -> None:
    """Let a modality refer to the file as it is now; one that is in memory stays there."""
    held = adata._backing
    _point_to_file(adata, opened, with_matrices=with_matrices)
    if held is None:
        adata._backing = None


def _plan(mdata: MuData, backing: MuDataBacking, file: h5py.File, overwrite_x: bool) -> _Plan:
    plan = _Plan(backing.absolute)
    present = modality_names(file)
    for mod, adata in mdata.mod.items():
        home = backing.modalities.get(mod)
        if home is None or mod not in file["mod"]:
            plan.whole.append(mod)
        else:
            _plan_modality(plan, mod, adata, home, file["mod"], overwrite_x)
    gone = [mod for mod in present if mod in backing.modalities and mod not in mdata.mod]
    if overwrite_x:
        plan.removed = gone
    elif gone:
        warn_left_out([f"mod/{m}" for m in gone], backing.path, removed=True)
    if present != list(mdata.mod):
        plan.order = list(mdata.mod)
    plan.root = _root_changes(mdata, backing, file)
    return plan


def _plan_modality(
    plan: _Plan,
    mod: str,
    adata: AnnData,
    home: FileBacking,
    group: h5py.Group,
    overwrite_x: bool,
) -> None:
    fits = check_modality(mod, adata, home, overwrite_x)
    changes, left_out = modality_changes(adata, home, group[mod])
    if not fits or (left_out and overwrite_x):
        plan.whole.append(mod)
        return
    if left_out:
        warn_left_out([f"mod/{mod}/{name}" for name in left_out], home.path)
    plan.changed[mod] = changes


def _root_changes(mdata: MuData, backing: MuDataBacking, file: h5py.File) -> _Changes:
    """Changes of what does not belong to a modality."""
    changes = _Changes()
    for name, axis in mdata._axes.items():
        if axis.table.is_loaded:
            frame = axis.table.frame
            changes.frames[name] = frame_change(file, name, frame, backing.names[name])
        held = axis.maps.held()
        arrays = axis.arrays.stored()
        for mod in axis.maps:
            place = f"{axis.arrays.name}/{mod}"
            if isinstance(held[mod], StoredElement) and place in file:
                arrays[mod] = StoredElement(backing.absolute, f"/{place}")
            else:
                arrays[mod] = np.asarray(axis.arrays[mod])
        _compare_mapping(changes, file, axis.arrays.name, arrays, backing)
        _compare_mapping(changes, file, axis.pairs.name, axis.pairs.stored(), backing)
        _compare_mapping(changes, file, axis.maps.name, held, backing)
    _compare_mapping(changes, file, "uns", mdata.uns.stored(), backing)
    return changes


def _carry_out(plan: _Plan, mods: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Compute what is lazy into files beside the target, then put everything in place."""
    if plan.is_empty:
        return
    with ExitStack() as stack:
        replaced = stack.enter_context(_modalities_beside(plan, mods, options))
        root = _home(plan.path, "/")
        prepared = {"/": stack.enter_context(_streamed(plan.root, root, options))}
        for mod, changes in plan.changed.items():
            prepared[mod] = stack.enter_context(_streamed(changes, root, options))
        file = stack.enter_context(open_for_saving(plan.path))
        group = file["mod"]
        for mod in plan.removed:
            del group[mod]
        for mod in plan.whole:
            _swap(group, mod, replaced)
        for mod, changes in plan.changed.items():
            _apply(group[mod], mods[mod], changes, prepared[mod], options)
        whole: Any = None  # only the raw matrix of a modality would be taken from it
        _apply(file["/"], whole, plan.root, prepared["/"], options)
        if plan.order is not None:
            group.attrs["mod-order"] = plan.order


def _home(path: str, group: str) -> FileBacking:
    return FileBacking(Path(path), path, (0, 0), {}, group)


@contextmanager
def _modalities_beside(
    plan: _Plan, mods: Mapping[str, Any], options: Mapping[str, Any]
) -> Iterator[h5py.File | None]:
    """Write modalities that are new or replaced into a file of their own, block by block."""
    if not plan.whole:
        yield None
        return
    target = Path(plan.path)
    beside = target.with_name(f".{target.name}.{os.getpid()}-{uuid4().hex[:8]}.part")
    try:
        with h5py.File(beside, "w-") as file:
            for mod in plan.whole:
                write_modality(file.create_group(mod), mods[mod], options)
            yield file
    finally:
        beside.unlink(missing_ok=True)


def _swap(group: h5py.Group, mod: str, replaced: h5py.File | None) -> None:
    """Let a modality take its place once it is completely in the file."""
    assert replaced is not None
    fresh = f"{mod}.{uuid4().hex[:8]}.new"
    replaced.copy(mod, group, fresh)
    if mod in group:
        del group[mod]
    group.move(fresh, mod)
