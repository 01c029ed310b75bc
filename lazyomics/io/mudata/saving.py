"""Save a MuData, or one modality, into its file: modalities that did not change stay untouched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import h5py

from lazyomics.container.anndata import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.io.backing import FileBacking
from lazyomics.io.files import open_for_reading, open_for_saving
from lazyomics.io.mudata.backing import MuDataBacking
from lazyomics.io.mudata.opening import open_modality, read_h5mu
from lazyomics.io.mudata.plan import SavePlan, plan_modality, plan_mudata
from lazyomics.io.mudata.writing import write_modality, write_new_mudata
from lazyomics.io.saving.applying import apply_changes, streamed_beside
from lazyomics.io.saving.referring import point_to_file
from lazyomics.io.transaction import beside, raise_failures

__all__ = ["save_modality", "save_mudata"]


def save_mudata(
    mdata: MuData, *, overwrite_x: bool, remove_modalities: bool, options: Mapping[str, Any]
) -> None:
    """Write what changed or is new into the file that the object was opened from.

    Modalities that are still in the file as they were are neither read nor written. X and raw of
    a modality are replaced with ``overwrite_x`` only, modalities that the object does not have any
    more are deleted with ``remove_modalities`` only.
    """
    backing = mdata._backing
    assert isinstance(backing, MuDataBacking)
    if not os.path.exists(backing.absolute):
        raise FileNotFoundError(f"{backing.path} is gone; write to a new file instead")
    if backing.is_selection:
        _save_selection(mdata, backing, overwrite_x, remove_modalities, options)
        return
    with open_for_reading(backing.absolute) as file:
        plan = plan_mudata(
            mdata, backing, file, overwrite_x=overwrite_x, remove_modalities=remove_modalities
        )
    _carry_out(plan, mdata.mod, options)
    opened = read_h5mu(backing.path)
    for mod, adata in mdata.mod.items():
        moved = mod in plan.whole or mod in plan.renamed
        _refer(adata, opened.mod[mod], with_matrices=moved)
    for mine, theirs in zip(mdata._mappings(), opened._mappings(), strict=True):
        for key, value in mine.stored().items():
            if hasattr(value, "load") and key in theirs and key not in mdata.mod:
                mine._values[key] = theirs.stored()[key]
    for axis in mdata._axes.values():
        axis.note(mdata.mod)
    mdata._backing = opened._backing


def _save_selection(
    mdata: MuData,
    backing: MuDataBacking,
    overwrite_x: bool,
    remove_modalities: bool,
    options: Mapping[str, Any],
) -> None:
    if not overwrite_x:
        raise ValueError(
            f"this object is a selection of {backing.path}: saving it would need to replace the "
            "matrices there. Write it to a new file with write(filename), or replace the file "
            "with write(overwrite_x=True)."
        )
    gone = [m for m in backing.modalities if m not in mdata.mod]
    if gone and not remove_modalities:
        raise ValueError(
            f"replacing {backing.path} by this selection would lose {', '.join(map(repr, gone))}, "
            "which the object does not have any more: write it to a new file, or add "
            "remove_modalities=True"
        )
    write_new_mudata(mdata, Path(backing.absolute), options=options)
    mdata._become(read_h5mu(backing.path))


def save_modality(adata: AnnData, *, overwrite_x: bool, options: Mapping[str, Any]) -> None:
    """Save an object that is one modality of an .h5mu file."""
    backing = adata._backing
    assert isinstance(backing, FileBacking)
    mod = backing.group.rpartition("/")[2]
    plan = SavePlan(backing.absolute)
    with open_for_reading(backing.absolute) as file:
        plan_modality(plan, mod, adata, backing, file["mod"], overwrite_x)
    _carry_out(plan, {mod: adata}, options)
    _refer(adata, open_modality(backing.path, mod), with_matrices=mod in plan.whole)


def _refer(adata: AnnData, opened: AnnData, *, with_matrices: bool) -> None:
    """Let a modality refer to the file as it is now; one that is in memory stays there."""
    held = adata._backing
    point_to_file(adata, opened, with_matrices=with_matrices)
    if held is None:
        adata._backing = None


def _carry_out(plan: SavePlan, mods: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Compute what is lazy into files beside the target, then put everything in place.

    What is there already is deleted at the end: nothing new takes the place of bytes that another
    process may be reading.
    """
    if plan.is_empty:
        return
    with ExitStack() as stack:
        replaced = stack.enter_context(_modalities_beside(plan, mods, options))
        root = FileBacking(Path(plan.path), plan.path, (0, 0), {})
        prepared = {"/": stack.enter_context(streamed_beside(plan.root, root, options))}
        for mod, changes in plan.changed.items():
            prepared[mod] = stack.enter_context(streamed_beside(changes, root, options))
        file = stack.enter_context(open_for_saving(plan.path))
        group = file["mod"]
        for mod, old in plan.renamed.items():
            group.move(old, mod)
        fresh = {mod: _copied(group, mod, replaced) for mod in plan.whole}
        for mod, changes in plan.changed.items():
            apply_changes(group[mod], mods[mod], changes, prepared[mod], options)
        whole: Any = None  # only the raw matrix of a modality would be taken from it
        apply_changes(file["/"], whole, plan.root, prepared["/"], options)
        for mod in [*plan.removed, *(m for m in fresh if m in group)]:
            del group[mod]
        for mod, name in fresh.items():
            group.move(name, mod)
        if plan.order is not None:
            group.attrs["mod-order"] = plan.order


@contextmanager
def _modalities_beside(
    plan: SavePlan, mods: Mapping[str, Any], options: Mapping[str, Any]
) -> Iterator[h5py.File | None]:
    """Write modalities that are new or replaced into a file of their own, block by block."""
    if not plan.whole:
        yield None
        return
    with beside(os.path.realpath(plan.path), replace=False) as file:
        for mod in plan.whole:
            write_modality(file.create_group(mod), mods[mod], options)
        file.flush()
        raise_failures()
        yield file


def _copied(group: h5py.Group, mod: str, replaced: h5py.File | None) -> str:
    """Copy a modality completely into the file; returns the name that it has there for now."""
    assert replaced is not None
    fresh = f"{mod}.{uuid4().hex[:8]}.new"
    replaced.copy(mod, group, fresh)
    return fresh
