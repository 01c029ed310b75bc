"""What a save of a MuData, or of one modality, does to its file: decided before that is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import h5py
import numpy as np

from lazyomics.container.anndata import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.container.mudata.axis import Axis
from lazyomics.container.ports import OnConflict
from lazyomics.errors import ShapeError, StaleFileError, XNotWrittenWarning, warn_user
from lazyomics.io.backing import FileBacking
from lazyomics.io.encodings import read_element
from lazyomics.io.mudata.backing import MuDataBacking
from lazyomics.io.mudata.opening import modality_names, open_modality, stored_modalities
from lazyomics.io.saving.changes import Changes
from lazyomics.io.saving.compare import check_axes, compare_parts, matrix_changes
from lazyomics.io.saving.merge import Merge
from lazyomics.io.stored import StoredElement

__all__ = ["Planner", "SavePlan"]


@dataclass
class SavePlan:
    """What a save does to a file.

    Attributes
    ----------
    path
        The file.
    changed
        Changes inside modalities that stay in their place.
    left_out
        Which of X and raw.X of these the object has otherwise than the file.
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
    conflicts
        Elements that others changed, too.
    """

    path: str
    changed: dict[str, Changes] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    root: Changes = field(default_factory=Changes)
    order: list[str] | None = None
    conflicts: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the file holds everything already."""
        every = [self.root, *self.changed.values()]
        if self.whole or self.renamed or self.removed or self.order:
            return False
        return all(changes.is_empty for changes in every)

    def every_conflict(self) -> list[str]:
        """Return all elements that both changed."""
        every = [self.root, *self.changed.values()]
        return [*self.conflicts, *(e for changes in every for e in changes.conflicts)]

    def elements(self) -> Iterator[str]:
        """Return the names of what is written or removed, as records of saves have them."""
        yield from self.root.elements()
        for mod, changes in self.changed.items():
            yield from (f"mod/{mod}/{element}" for element in changes.elements())
        names = [*self.whole, *self.removed, *self.renamed, *self.renamed.values()]
        yield from (f"mod/{mod}" for mod in names)


@dataclass
class Planner:
    """Compares a MuData, or one modality, with its file.

    Parameters
    ----------
    file
        The file as it is now, open.
    overwrite_x
        Whether X and raw of modalities may be replaced.
    on_conflict
        What is done about elements that others changed, too.
    """

    file: h5py.File
    overwrite_x: bool
    on_conflict: OnConflict

    def _merge(self, backing: FileBacking, place: str) -> Merge:
        saves = backing.saves_since(self.file)
        return Merge(backing, self.file[place], saves, self.on_conflict, compare_values=True)

    def plan_modality(
        self, plan: SavePlan, mod: str, adata: AnnData, home: FileBacking, theirs: AnnData
    ) -> None:
        """Compare a modality with its place in the file."""
        merge = self._merge(home, f"mod/{mod}")
        fits = self._check_shape(mod, adata, home)
        if fits:
            left_out = _compare(merge, adata, theirs)
            if not (left_out and self.overwrite_x):
                plan.changed[mod], plan.left_out[mod] = merge.changes, left_out
                if left_out:
                    _warn_left_out([f"mod/{mod}/{name}" for name in left_out], home.path)
                return
        if self.on_conflict != "mine" and merge.touched("") is not False:
            plan.conflicts.append(f"mod/{mod}")
        plan.whole.append(mod)

    def _check_shape(self, mod: str, adata: AnnData, home: FileBacking) -> bool:
        """Tell whether a modality has the rows and columns of its place in the file.

        Raises
        ------
        ShapeError
            If it has not and may not replace what is there.
        """
        backing = adata._backing
        selected = isinstance(backing, FileBacking) and backing.is_selection
        fits = adata.shape == home.shape and not selected
        if not fits and not self.overwrite_x:
            raise ShapeError(
                f"modality {mod!r} has shape {adata.shape} now and {home.shape} in {home.path}: "
                "saving it would need to replace its matrices. Write to a new file, or replace the "
                "modality with write(overwrite_x=True)."
            )
        return fits

    def plan_mudata(
        self, mdata: MuData, backing: MuDataBacking, theirs: MuData, *, remove_modalities: bool
    ) -> SavePlan:
        """Compare an object with its file; warn of what will stay there against expectation."""
        plan, group = SavePlan(backing.absolute), self.file["mod"]
        present = modality_names(self.file)
        for mod, adata in mdata.mod.items():
            if mod in group:
                home = _home(mod, adata, backing)
                there = theirs.mod[mod] if mod in theirs.mod else open_modality(backing.path, mod)
                self.plan_modality(plan, mod, adata, home, there)
            elif not self._plan_renamed(plan, mod, adata, mdata.mod, theirs):
                plan.whole.append(mod)
        left = set(mdata.mod) | set(plan.renamed.values())
        if remove_modalities:  # also those that an earlier save left in the file
            plan.removed = [
                m
                for m in stored_modalities(self.file)
                if m not in left and (m in backing.modalities or m not in present)
            ]
            self._check_removed(plan, backing)
        elif gone := [m for m in present if m in backing.modalities and m not in left]:
            _warn_removed(gone, backing.path)
        others = [m for m in present if m not in left and m not in backing.modalities]
        order = [*mdata.mod, *others]  # others: added by another process
        if present != order:
            plan.order = order
        plan.root = self._root_changes(mdata, backing, theirs)
        return plan

    def _check_removed(self, plan: SavePlan, backing: MuDataBacking) -> None:
        merge = self._merge(backing, "/")
        for mod in plan.removed:
            known = mod in backing.modalities and self.on_conflict != "mine"
            if known and merge.touched(f"mod/{mod}") is not False:
                plan.conflicts.append(f"mod/{mod}")

    def _plan_renamed(
        self, plan: SavePlan, mod: str, adata: AnnData, mods: Iterable[str], theirs: MuData
    ) -> bool:
        """Plan to move a modality that is in the file under a name that the object gave up."""
        own = adata._backing
        if not isinstance(own, FileBacking) or own.is_selection or own.absolute != plan.path:
            return False
        old = own.group.rpartition("/")[2]
        taken = {*mods, *plan.renamed.values()}
        if old not in theirs.mod or old in taken or adata.shape != own.shape:
            return False
        merge = self._merge(own, f"mod/{old}")
        if _compare(merge, adata, theirs.mod[old]):
            return False  # to be written as it is now, while the file keeps what it has
        plan.renamed[mod], plan.changed[mod], plan.left_out[mod] = old, merge.changes, []
        return True

    def _root_changes(self, mdata: MuData, backing: MuDataBacking, theirs: MuData) -> Changes:
        """Return the changes of what does not belong to a modality."""
        merge = self._merge(backing, "/")
        if theirs.shape == backing.shape:
            check_axes(merge, mdata, theirs)
        for name, axis in mdata._axes.items():
            there = theirs._axes[name]
            merge.table(name, axis.table, there.table, backing.names[name])
            self._memberships(merge, axis)
            own, stored = axis.arrays, there.arrays
            merge.mapping(own.name, own, stored, backing.names[own.name], skip=axis.maps)
            merge.mapping(axis.pairs.name, axis.pairs, there.pairs, backing.names[axis.pairs.name])
            merge.mapping(axis.maps.name, axis.maps, there.maps, backing.names[axis.maps.name])
        merge.mapping("uns", mdata.uns, theirs.uns, backing.names["uns"])
        if theirs.shape != backing.shape and not merge.changes.is_empty:
            elements = ", ".join(sorted(set(merge.changes.elements())))
            raise StaleFileError(
                f"{backing.path}: it has shape {theirs.shape} now, {backing.shape} when it was "
                f"opened, so that {elements} cannot be saved. Nothing was saved; open it again"
            )
        return merge.changes

    def _memberships(self, merge: Merge, axis: Axis) -> None:
        """Compare which entries each modality holds; they follow from the positions."""
        held = axis.maps.stored()
        for mod in axis.maps:
            place = f"{axis.arrays.name}/{mod}"
            if isinstance(held[mod], StoredElement) and place in self.file:
                continue
            value = np.asarray(axis.arrays[mod])
            load = None
            if place in self.file:
                stored = self.file[place]
                load = lambda stored=stored: read_element(stored)  # noqa: E731
            known = mod in merge.backing.names[axis.arrays.name] and load is not None
            merge.value(place, value, None, load, was_there=known)


def _compare(merge: Merge, adata: AnnData, theirs: AnnData) -> list[str]:
    """Compare a modality with the file; return which of its matrices differ from those there."""
    if adata.shape != merge.backing.shape:
        return ["X"]
    check_axes(merge, adata, theirs)
    compare_parts(merge, adata, theirs)
    return matrix_changes(merge, adata, theirs)


def _home(mod: str, adata: AnnData, backing: MuDataBacking) -> FileBacking:
    """Return the place of a modality, with what was there when it was opened."""
    own, place = adata._backing, (backing.absolute, f"/mod/{mod}")
    if (
        isinstance(own, FileBacking) and (own.absolute, own.group) == place
    ):  # maybe opened by itself
        return own if not own.is_selection else backing.modalities.get(mod, own)
    if mod in backing.modalities:
        return backing.modalities[mod]
    there = open_modality(backing.path, mod)._backing
    assert isinstance(there, FileBacking)
    return there


def _warn_left_out(names: Sequence[str], path: object) -> None:
    """Say which matrices the file keeps as they were, and how to write them."""
    warn_user(
        f"{', '.join(names)} was changed, but {path} keeps it as it is: everything else is saved. "
        "To replace it, use write(overwrite_x=True); to keep the change beside it, save it as a "
        "layer or write to a new file.",
        XNotWrittenWarning,
    )


def _warn_removed(mods: Sequence[str], path: object) -> None:
    """Say which modalities stay in the file, and how to delete them or get them back."""
    many = ", ".join(f"mod/{mod}" for mod in mods)
    warn_user(
        f"{many} was removed from the object, but its data stays in {path}: the file does not "
        "list it any more, and everything else is saved. To delete it, use "
        f"write(remove_modalities=True); to get it back, mdata.mod[{mods[0]!r}] = "
        f"lazyomics.read('{path}/{mods[0]}') and write().",
        XNotWrittenWarning,
    )
