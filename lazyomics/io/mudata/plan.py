"""What a save of a MuData does to its file, decided before that is opened for writing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import h5py
import numpy as np

from lazyomics.container.anndata import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.io.backing import FileBacking
from lazyomics.io.mudata.backing import MuDataBacking
from lazyomics.io.mudata.modality_changes import (
    check_modality,
    modality_changes,
    warn_left_out,
    warn_removed,
)
from lazyomics.io.mudata.opening import modality_names, open_modality, stored_modalities
from lazyomics.io.saving.changes import Changes, compare_mapping
from lazyomics.io.saving.frames import frame_change
from lazyomics.io.stored import StoredElement

__all__ = ["SavePlan", "plan_modality", "plan_mudata"]


@dataclass
class SavePlan:
    """What a save does to a file.

    Attributes
    ----------
    path
        The file.
    changed
        Changes inside modalities that stay in their place.
    whole
        Modalities that are new, or replace what is there completely.
    renamed
        Present names of modalities under their new ones.
    removed
        Modalities to delete.
    root
        Changes of what does not belong to a modality.
    order
        Order of the modalities, if it changed.
    """

    path: str
    changed: dict[str, Changes] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    root: Changes = field(default_factory=Changes)
    order: list[str] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the file holds everything already."""
        every = [self.root, *self.changed.values()]
        if self.whole or self.renamed or self.removed or self.order:
            return False
        return all(changes.is_empty for changes in every)


def plan_mudata(
    mdata: MuData,
    backing: MuDataBacking,
    file: h5py.File,
    *,
    overwrite_x: bool,
    remove_modalities: bool,
) -> SavePlan:
    """Compare an object with its file; warn of what will stay there against expectation."""
    plan, group = SavePlan(backing.absolute), file["mod"]
    present = modality_names(file)
    for mod, adata in mdata.mod.items():
        if mod in group:
            home = _home(mod, adata, backing)
            plan_modality(plan, mod, adata, home, group, overwrite_x)
        elif not _plan_renamed(plan, mod, adata, mdata.mod, group):
            plan.whole.append(mod)
    left = set(mdata.mod) | set(plan.renamed.values())
    if remove_modalities:  # also those that an earlier save left in the file
        plan.removed = [
            m
            for m in stored_modalities(file)
            if m not in left and (m in backing.modalities or m not in present)
        ]
    elif gone := [m for m in present if m in backing.modalities and m not in left]:
        warn_removed(gone, backing.path)
    others = [m for m in present if m not in left and m not in backing.modalities]
    order = [*mdata.mod, *others]  # others: added by another process
    if present != order:
        plan.order = order
    plan.root = _root_changes(mdata, backing, file)
    return plan


def plan_modality(
    plan: SavePlan,
    mod: str,
    adata: AnnData,
    home: FileBacking,
    group: h5py.Group,
    overwrite_x: bool,
) -> None:
    """Compare a modality with its place in the file."""
    fits = check_modality(mod, adata, home, overwrite_x)
    changes, left_out = modality_changes(adata, home, group[mod])
    if not fits or (left_out and overwrite_x):
        plan.whole.append(mod)
        return
    if left_out:
        warn_left_out([f"mod/{mod}/{name}" for name in left_out], home.path)
    plan.changed[mod] = changes


def _home(mod: str, adata: AnnData, backing: MuDataBacking) -> FileBacking:
    """The place of a modality, with what was there when it was opened."""
    if mod in backing.modalities:
        return backing.modalities[mod]
    own, place = adata._backing, (backing.absolute, f"/mod/{mod}")
    if isinstance(own, FileBacking) and (own.absolute, own.group) == place:  # opened by itself
        return own
    there = open_modality(backing.path, mod)._backing
    assert isinstance(there, FileBacking)
    return there


def _plan_renamed(
    plan: SavePlan, mod: str, adata: AnnData, mods: Iterable[str], group: h5py.Group
) -> bool:
    """Plan to move a modality that is in the file under a name that the object gave up."""
    own = adata._backing
    if not isinstance(own, FileBacking) or own.is_selection or own.absolute != plan.path:
        return False
    old = own.group.rpartition("/")[2]
    taken = {*mods, *plan.renamed.values()}
    if old not in group or old in taken or adata.shape != own.shape:
        return False
    changes, left_out = modality_changes(adata, own, group[old])
    if left_out:  # to be written as it is now, while the file keeps what it has
        return False
    plan.renamed[mod], plan.changed[mod] = old, changes
    return True


def _root_changes(mdata: MuData, backing: MuDataBacking, file: h5py.File) -> Changes:
    """Changes of what does not belong to a modality."""
    changes = Changes()
    for name, axis in mdata._axes.items():
        if axis.table.is_loaded:
            frame = axis.table.frame
            changes.frames[name] = frame_change(file, name, frame, backing.names[name])
        held = axis.maps.stored()
        arrays = axis.arrays.stored()
        for mod in axis.maps:
            place = f"{axis.arrays.name}/{mod}"
            if isinstance(held[mod], StoredElement) and place in file:
                arrays[mod] = StoredElement(backing.absolute, f"/{place}")
            else:
                arrays[mod] = np.asarray(axis.arrays[mod])
        compare_mapping(changes, file, axis.arrays.name, arrays, backing)
        compare_mapping(changes, file, axis.pairs.name, axis.pairs.stored(), backing)
        compare_mapping(changes, file, axis.maps.name, held, backing)
    compare_mapping(changes, file, "uns", mdata.uns.stored(), backing)
    return changes
