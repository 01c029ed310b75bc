"""Save a MuData in place: one plan and one transaction for all modalities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import h5py
import numpy as np

from lazyomics.container.anndata import AnnData
from lazyomics.container.baseline import Baseline, content_of
from lazyomics.container.deferred import is_deferred
from lazyomics.container.mudata import MuData
from lazyomics.container.mudata.axis import Axis
from lazyomics.container.ports import OnConflict
from lazyomics.errors import ShapeError, StaleFileError, XNotWrittenWarning, warn_user
from lazyomics.io.backing import FileBacking
from lazyomics.io.encodings import read_element
from lazyomics.io.files import open_for_reading
from lazyomics.io.h5mu.opening import (
    MuDataBacking,
    modality_names,
    open_modality,
    read_h5mu,
    stored_modalities,
)
from lazyomics.io.h5mu.writing import fill_mudata, user_block, write_modality
from lazyomics.io.save.apply import apply_changes, streamed_beside
from lazyomics.io.save.compare import check_axes, compare_parts, lazy_values, matrix_changes
from lazyomics.io.save.frames import protect_links
from lazyomics.io.save.merge import Changes, Merge, in_file, raise_conflicts
from lazyomics.io.save.rebind import read_before_replaced, rebind, rebind_mapping, rebind_table
from lazyomics.io.save.save import check_is_there, complete, record_replacement, recorded_file
from lazyomics.io.save.verify import verify
from lazyomics.io.save_records import EVERYTHING, SaveRecord, read_records
from lazyomics.io.stored import StoredElement
from lazyomics.io.transaction import exclusively, raise_failures, temporary_sibling
from lazyomics.lazy.kinds import is_dask_array

__all__ = [
    "Planner",
    "SavePlan",
    "save_modality",
    "save_mudata",
]


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
            differs = f"has shape {adata.shape} now and {home.shape} in {home.path}"
            if adata.shape == home.shape:
                differs = f"is a selection of {home.path}, with rows or columns in another order"
            raise ShapeError(
                f"modality {mod!r} {differs}: saving it would need to replace its matrices. Write "
                "to a new file, or replace the modality with write(overwrite_x=True)."
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


def save_mudata(
    mdata: MuData,
    *,
    overwrite_x: bool,
    remove_modalities: bool,
    on_conflict: OnConflict,
    options: Mapping[str, Any],
) -> None:
    """Write what changed or is new into the file that the object was opened from.

    Modalities that are still in the file as they were are neither read nor written. X and raw of
    a modality are replaced with ``overwrite_x`` only, modalities that the object does not have any
    more are deleted with ``remove_modalities`` only.
    """
    backing = mdata._backing
    assert isinstance(backing, MuDataBacking)
    check_is_there(backing)
    if backing.is_selection:
        with exclusively(backing.absolute):
            _replace_file(mdata, backing, overwrite_x, remove_modalities, on_conflict, options)
        return
    with ExitStack() as stack:
        prepared = _prepared(stack, mdata, backing, options)
        stack.enter_context(exclusively(backing.absolute))
        theirs = read_h5mu(backing.absolute)
        with open_for_reading(backing.absolute) as file:
            planner = Planner(file, overwrite_x, on_conflict)
            plan = planner.plan_mudata(mdata, backing, theirs, remove_modalities=remove_modalities)
            raise_conflicts(backing.path, plan.every_conflict())
        if plan.is_empty:
            _rebind(mdata, theirs, plan)
            return
        savers = [mdata, *mdata.mod.values()]
        complete(
            plan.path,
            lambda: _carry_out(plan, mdata.mod, savers, theirs._backing, prepared, options),
            lambda: _rebind(mdata, read_h5mu(plan.path), plan),
        )


def save_modality(
    adata: AnnData,
    *,
    overwrite_x: bool,
    on_conflict: OnConflict,
    options: Mapping[str, Any],
) -> None:
    """Save an object that is one modality of an .h5mu file."""
    backing = adata._backing
    assert isinstance(backing, FileBacking)
    check_is_there(backing)
    mod = backing.group.rpartition("/")[2]
    path, plan = backing.absolute, SavePlan(backing.absolute)
    with ExitStack() as stack:
        lazy = {} if backing.is_selection else lazy_values(adata, backing)
        prepared = {mod: stack.enter_context(streamed_beside(lazy, path, options))}
        stack.enter_context(exclusively(path))
        theirs = open_modality(path, mod)
        with open_for_reading(path) as file:
            planner = Planner(file, overwrite_x, on_conflict)
            planner.plan_modality(plan, mod, adata, backing, theirs)
            raise_conflicts(backing.path, plan.every_conflict())
        if plan.is_empty:
            _rebind_modality(mod, adata, theirs, plan)
            return
        complete(
            path,
            lambda: _carry_out(plan, {mod: adata}, [adata], theirs._backing, prepared, options),
            lambda: _rebind_modality(mod, adata, open_modality(path, mod), plan),
        )


def _prepared(
    stack: ExitStack, mdata: MuData, backing: MuDataBacking, options: Mapping[str, Any]
) -> dict[str, h5py.File | None]:
    """Compute what is lazy into files beside the target, before anybody is kept waiting."""
    prepared: dict[str, h5py.File | None] = {}
    pairs: dict[str, Any] = {}
    for mapping in mdata._mappings():
        for key, value in mapping.stored().items():
            element = f"{mapping.name}/{key}"
            if is_dask_array(value) and not in_file(value, backing, element):
                pairs[element] = value
    prepared["/"] = stack.enter_context(streamed_beside(pairs, backing.absolute, options))
    for mod, adata in mdata.mod.items():
        own = adata._backing
        home = own if isinstance(own, FileBacking) else backing.modalities.get(mod)
        if home is None or home.absolute != backing.absolute or home.is_selection:
            continue
        lazy = lazy_values(adata, home)
        prepared[mod] = stack.enter_context(streamed_beside(lazy, backing.absolute, options))
    return prepared


def _replace_file(
    mdata: MuData,
    backing: MuDataBacking,
    overwrite_x: bool,
    remove_modalities: bool,
    on_conflict: OnConflict,
    options: Mapping[str, Any],
) -> None:
    """Write a selection in the place of the file that it was selected from."""
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
    with open_for_reading(backing.absolute) as file:
        saves, earlier = backing.saves_since(file), read_records(file)
        if saves is None:
            backing.snapshot.check(file, "mod")  # says that another program changed it
    changed = [element or "everything" for save in saves or () for element in save.elements]
    if on_conflict != "mine":
        raise_conflicts(backing.path, changed)
    path = Path(backing.absolute)

    def write() -> None:
        record = SaveRecord.now(0, 0, [EVERYTHING])
        read_before_replaced(backing.absolute, record, [mdata, *mdata.mod.values()])
        with record_replacement(path, [EVERYTHING], earlier, user_block=user_block()) as file:
            fill_mudata(file, mdata, options)

    complete(backing.absolute, write, lambda: mdata._become(read_h5mu(path)))


def _carry_out(
    plan: SavePlan,
    mods: Mapping[str, Any],
    savers: list[Any],
    now: Any,
    prepared: Mapping[str, h5py.File | None],
    options: Mapping[str, Any],
) -> None:
    """Put everything in place; ``now`` is the file as it was when the plan was made.

    What is there already is deleted at the end: nothing new takes the place of bytes that another
    process may be reading.
    """
    elements = list(plan.elements())
    with ExitStack() as stack:
        replaced = stack.enter_context(_modalities_beside(plan, mods, options))
        read_before_replaced(plan.path, SaveRecord.now(0, 0, elements), savers)
        opened = stack.enter_context(recorded_file(plan.path, now))
        file = opened.file
        group = file["mod"]
        gone = {*plan.removed, *plan.whole, *plan.renamed.values()}
        protect_links(file, [f"mod/{mod}" for mod in gone if mod in group])
        for mod, old in plan.renamed.items():
            group.move(old, mod)
        fresh = {mod: _copied(group, mod, replaced) for mod in plan.whole}
        for mod, changes in plan.changed.items():
            apply_changes(group[mod], mods[mod], changes, prepared.get(mod), options)
        whole: Any = None  # only the raw matrix of a modality would be taken from it
        apply_changes(file["/"], whole, plan.root, prepared.get("/"), options)
        for mod, changes in plan.changed.items():
            verify(group[mod], changes.elements())
        verify(file["/"], plan.root.elements())
        for mod in [*plan.removed, *(m for m in fresh if m in group)]:
            del group[mod]
        for mod, name in fresh.items():
            group.move(name, mod)
        if plan.order is not None:
            group.attrs["mod-order"] = plan.order
        opened.record(elements)


@contextmanager
def _modalities_beside(
    plan: SavePlan, mods: Mapping[str, Any], options: Mapping[str, Any]
) -> Iterator[h5py.File | None]:
    """Write modalities that are new or replaced into a file of their own, block by block."""
    if not plan.whole:
        yield None
        return
    with temporary_sibling(plan.path, replace=False) as file:
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


def _rebind(mdata: MuData, opened: MuData, plan: SavePlan) -> None:
    """Let an object be the state of its file after a save."""
    backing = mdata._backing
    assert isinstance(backing, MuDataBacking)
    for mod, adata in mdata.mod.items():
        _rebind_modality(mod, adata, opened.mod[mod], plan)
    for mod, added in opened.mod.items():  # by others
        if mod not in mdata.mod and mod not in backing.modalities:
            mdata.mod[mod] = added
    if opened.shape != mdata.shape:
        mdata._axes = opened._axes
    else:
        for name, axis in mdata._axes.items():
            _rebind_axis(axis, opened._axes[name], plan.root.taken)
    for axis in mdata._axes.values():
        axis.note(mdata.mod)
    rebind_mapping("uns", mdata._uns, opened._uns, plan.root.taken)
    mdata._backing = opened._backing
    if opened._backing is not None:
        opened._backing.remember(mdata)


def _rebind_modality(mod: str, adata: AnnData, opened: AnnData, plan: SavePlan) -> None:
    """Let a modality refer to the file as it is now; one that is in memory stays there."""
    held = adata._backing
    left_out = plan.left_out.get(mod, [])
    changes = plan.changed.get(mod)
    rebind(
        adata,
        opened,
        set() if changes is None else changes.taken,
        keep_x="X" in left_out,
        keep_raw="raw.X" in left_out,
    )
    if held is None:
        adata._load_stored()


def _rebind_axis(axis: Axis, opened: Axis, taken: set[str]) -> None:
    rebind_table(axis.name, axis.table, opened.table, taken)
    for mine, theirs in ((axis.arrays, opened.arrays), (axis.pairs, opened.pairs)):
        for mod in axis.maps:
            mine.forget(mod)
        rebind_mapping(mine.name, mine, theirs, taken)
    for mod, stored in opened.maps.stored().items():
        value = axis.maps.stored().get(mod)
        if value is None or is_deferred(value) or not is_deferred(stored):
            axis.maps.hold(mod, stored, opened.maps.baseline(mod))
        else:
            axis.maps.hold(mod, value, Baseline(stored, content_of(value)))
    axis.with_memberships()
