"""Save a MuData, or one modality, into its file: modalities that did not change stay untouched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import h5py

from lazyomics.container.anndata import AnnData
from lazyomics.container.baseline import Baseline, content_of
from lazyomics.container.deferred import is_deferred
from lazyomics.container.mudata import MuData
from lazyomics.container.mudata.axis import Axis
from lazyomics.container.ports import OnConflict
from lazyomics.graph.kinds import is_dask_array
from lazyomics.io.backing import FileBacking
from lazyomics.io.files import open_for_reading
from lazyomics.io.mudata.backing import MuDataBacking
from lazyomics.io.mudata.opening import open_modality, read_h5mu
from lazyomics.io.mudata.plan import Planner, SavePlan
from lazyomics.io.mudata.writing import fill_mudata, user_block, write_modality
from lazyomics.io.save_records import EVERYTHING, SaveRecord, read_records
from lazyomics.io.saving.applying import apply_changes, streamed_beside
from lazyomics.io.saving.changes import in_file
from lazyomics.io.saving.compare import lazy_values
from lazyomics.io.saving.links import protect_links
from lazyomics.io.saving.merge import raise_conflicts
from lazyomics.io.saving.rebind import rebind, rebind_mapping, rebind_table
from lazyomics.io.saving.recorded import complete, record_replacement, recorded_file
from lazyomics.io.saving.rescue import read_before_replaced
from lazyomics.io.saving.save import check_is_there
from lazyomics.io.saving.verify import verify
from lazyomics.io.transaction import beside, exclusively, raise_failures

__all__ = ["save_modality", "save_mudata"]


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
    with beside(plan.path, replace=False) as file:
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
