"""Open .h5mu files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lazyomics.container.anndata import AnnData
from lazyomics.container.annotated import AxisName
from lazyomics.container.deferred import DeferredFrame
from lazyomics.container.frames import FrameSlot, as_frame
from lazyomics.container.mappings import Uns
from lazyomics.container.mudata import MuData
from lazyomics.container.mudata.axis import (
    Axis,
    PositionMaps,
    empty_mapping,
    is_shared,
    modality_slot,
)
from lazyomics.container.mudata.modalities import Modalities
from lazyomics.errors import FileFormatError, ShapeError
from lazyomics.io.backing import FileBacking, backing_name, sampled_names, shown_path
from lazyomics.io.encodings import element_kind, has_member, open_member
from lazyomics.io.encodings.checks import is_text, member_names
from lazyomics.io.encodings.damage import as_format_errors, damage_named
from lazyomics.io.encodings.kinds import text
from lazyomics.io.files import checked_path, named_file, open_for_reading
from lazyomics.io.opening import open_group
from lazyomics.io.snapshot import Snapshot
from lazyomics.io.stored import BlockPlan, StoredElement, StoredEntry, StoredFrame, StoredMatrix
from lazyomics.names import choices

__all__ = [
    "MODALITY_PATH",
    "GlobalFrame",
    "MuDataBacking",
    "open_modality",
    "read_h5mu",
]


@dataclass(frozen=True)
class GlobalFrame(StoredFrame):
    """The table of an axis that modalities do not share, its rows named by them, as in mudata.

    The file repeats the names of the modalities. Where a program wrote others (mudata 0.2 put the
    name of the modality before them), or changed those of a modality only, the positions say which
    entry of which modality a row is, and the names there count. Along a shared axis names may
    differ: R relates the samples of several assays by the patients that they are from.
    """

    maps: PositionMaps = field(kw_only=True, compare=False)
    tables: Mapping[str, ModalityTable] = field(kw_only=True, compare=False)

    @classmethod
    def over(
        cls, stored: StoredFrame, axis: AxisName, maps: PositionMaps, mods: Mapping[str, Any]
    ) -> GlobalFrame:
        """Name the rows of a stored table by modalities."""
        tables = {mod: ModalityTable.of(modality_slot(a, axis)) for mod, a in mods.items()}
        columns, length = stored.all_columns, stored.length
        return cls(stored.snapshot, stored.name, columns, length, maps=maps, tables=tables)

    @property
    def is_as_stored(self) -> bool:
        """Whether the names are those of the file."""
        return self._names[1]

    def load(self) -> pd.DataFrame:
        """Read the table."""
        return super().load().set_axis(self.index())

    def index(self) -> pd.Index:
        """Read the names, also those of the modalities."""
        return self._names[0]

    @cached_property
    def _names(self) -> tuple[pd.Index, bool]:
        """The names, and whether the file has the same for the whole."""
        stored = super().index()
        # Texts of the modalities take the place of equal ones, so that each is held once.
        found, same = np.asarray(stored, dtype=object).copy(), True
        try:
            for mod, table in self.tables.items():
                rows = self.maps.rows_in(mod)
                present = rows >= 0
                names = np.asarray(table.names(), dtype=object)[rows[present]]
                same = same and np.array_equal(found[present], names)
                found[present] = names
        except ShapeError:  # positions that fit neither: what is asked of them next will say so
            return stored, True
        return pd.Index(found, name=stored.name), same


@dataclass(frozen=True, eq=False)
class ModalityTable:
    """obs or var of a modality as it was when the file was opened."""

    slot: FrameSlot
    held: DeferredFrame | pd.Index

    @classmethod
    def of(cls, slot: FrameSlot) -> ModalityTable:
        """Refer to a table; one that is stored is not read."""
        return cls(slot, slot.stored or slot.index)

    def names(self) -> pd.Index:
        """Names of its rows, from whoever has read them."""
        if isinstance(self.held, pd.Index):
            return self.held
        return self.slot.index if self.slot.stored is self.held else self.held.index()


@dataclass(frozen=True)
class MuDataBacking(FileBacking):
    """Where a MuData was opened from.

    Attributes
    ----------
    modalities
        The same for each modality: one that was loaded into memory since is compared with that
        place when the whole is saved.
    """

    modalities: dict[str, FileBacking] = field(default_factory=dict)

    @classmethod
    def of_mudata(
        cls, mdata: MuData, path: str | os.PathLike[str], snapshot: Snapshot, file: h5py.File
    ) -> MuDataBacking:
        """Note the file and its names for a freshly opened object, and remember that one."""
        names: dict[str, frozenset[str]] = {m.name: frozenset(m) for m in mdata._mappings()}
        names |= {axis.maps.name: frozenset(axis.maps) for axis in mdata._axes.values()}
        names["uns"] = frozenset(mdata.uns)
        names["obs"] = frozenset(mdata._obs.columns)
        names["var"] = frozenset(mdata._var.columns)
        modalities: dict[str, FileBacking] = {}
        for mod, adata in mdata.mod.items():
            assert isinstance(adata._backing, FileBacking)
            modalities[mod] = adata._backing
        made = cls(
            path=shown_path(path),
            snapshot=snapshot,
            shape=mdata.shape,
            names=names,
            axes={name: sampled_names(file, name, snapshot) for name in ("obs", "var")},
            modalities=modalities,
        )
        made.remember(mdata)
        return made


MODALITY_PATH = re.compile(r"^(.+\.h5mu)/(?:mod/)?([^/]+)/?$")
MATRICES = ("array", "csr_matrix", "csc_matrix")


def read_h5mu(
    filename: str | os.PathLike[str],
    backed: bool | str | None = True,
    *,
    storage_options: Mapping[str, Any] | None = None,
    chunks: str | int = "auto",
) -> MuData:
    """Open an .h5mu file in place.

    Parameters
    ----------
    filename
        The file, or a URL as in ``read_h5ad``. Any number of processes may open it at once.
    backed
        True, ``"r"`` or ``"r+"`` open it lazily (all the same: nothing is written before
        ``write()``); False (and None) loads it into memory.
    storage_options
        For a URL: what fsspec needs to open it, such as ``{"anon": True}`` for a public bucket.
    chunks
        Size of the blocks of X and layers: ``"auto"``, another size such as ``"8 MiB"``, or a
        number of rows.

    Returns
    -------
    MuData whose modalities are opened as ``read_h5ad`` opens a file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is not an .h5mu file or its parts do not fit together.

    Notes
    -----
    Passes over X: 0 (1 of each modality with ``backed=False``). Peak memory: names and shapes.
    """
    if backed not in (True, False, "r", "r+", None):
        raise ValueError(f"backed is True, False, 'r' or 'r+', found {backed!r}")
    plan = BlockPlan.of(chunks)
    filename, storage_options = named_file(filename, storage_options)
    found = checked_path(filename, storage_options)
    name = backing_name(filename, found)
    with open_for_reading(found) as file, damage_named(name):
        _expect_h5mu(file, name)
        names, snapshot = modality_names(file), Snapshot.of(found, file)
        mods = Modalities({m: _modality(file, m, name, snapshot, plan) for m in names})
        mdata = _assembled(file, snapshot, mods)
        mdata._backing = MuDataBacking.of_mudata(mdata, name, snapshot, file)
    return mdata if backed else mdata.to_memory()


def open_modality(
    path: str | os.PathLike[str],
    mod: str,
    *,
    storage_options: Mapping[str, Any] | None = None,
    chunks: str | int = "auto",
) -> AnnData:
    """Open one modality of an .h5mu file.

    Raises
    ------
    KeyError
        If the file has no such modality.
    """
    path, storage_options = named_file(path, storage_options)
    found = checked_path(path, storage_options)
    name = backing_name(path, found)
    with open_for_reading(found) as file, damage_named(name):
        _expect_h5mu(file, name)
        if mod not in stored_modalities(file):  # also one that the file does not list any more
            said = choices(mod, modality_names(file))
            raise KeyError(f"{name} has no modality {mod!r}; {said}")
        return _modality(file, mod, name, Snapshot.of(found, file), BlockPlan.of(chunks))


def _expect_h5mu(file: h5py.File, path: str) -> None:
    if has_member(file, "mod") and isinstance(open_member(file, "mod"), h5py.Group):
        return
    from lazyomics.io.opening_10x import advice_for_10x

    is_anndata = has_member(file, "obs") and has_member(file, "var")
    other = advice_for_10x(file) or "It is HDF5, but not an .h5mu file."
    raise FileFormatError.at(
        path,
        "mod",
        expected="a group with modalities",
        found="an AnnData" if is_anndata else (", ".join(sorted(file)[:10]) or "nothing"),
        hint="Open it with read_h5ad." if is_anndata else other,
    )


def modality_names(file: h5py.File) -> list[str]:
    """Modalities in their order: as the file states it, unless it names some that are missing."""
    present = stored_modalities(file)
    stated = _attribute(open_member(file, "mod"), "mod-order", [])
    order = list(dict.fromkeys(text(name) for name in stated if name is not None))
    return order if order and set(order) <= set(present) else present


def stored_modalities(file: h5py.File) -> list[str]:
    """Every modality that is in the file, in the order of their names."""
    group = open_member(file, "mod")
    names = member_names(group)
    return [name for name in names if isinstance(open_member(group, name), h5py.Group)]


@as_format_errors
def _attribute(obj: Any, name: str, default: Any) -> Any:
    """An attribute as an array of one dimension."""
    return np.ravel(np.asarray(obj.attrs.get(name, default)))


def _members(file: h5py.File, name: str) -> list[str]:
    """Names in a group; none if there is no such group."""
    member = open_member(file, name) if has_member(file, name) else None
    return member_names(member) if isinstance(member, h5py.Group) else []


def _modality(
    file: h5py.File, mod: str, path: str | os.PathLike[str], snapshot: Snapshot, plan: BlockPlan
) -> AnnData:
    group = open_member(open_member(file, "mod"), mod)
    if has_member(group, "mod"):
        raise FileFormatError.at(
            path,
            str(group.name),
            expected="an AnnData",
            found="a group of modalities",
            hint="Modalities inside a modality are no part of the format.",
        )
    if not has_member(group, "obs") or not has_member(group, "var"):
        raise FileFormatError.at(
            path,
            str(group.name),
            expected="the elements 'obs' and 'var'",
            found=", ".join(sorted(group)[:10]) or "nothing",
        )
    adata = open_group(group, snapshot, plan=plan)
    adata._backing = FileBacking.of(adata, path, snapshot, group)
    return adata


def _assembled(file: h5py.File, snapshot: Snapshot, mods: Modalities) -> MuData:
    stated = _attribute(file, "axis", 0)
    if stated.size != 1 or stated.dtype.kind not in "iuf" or stated[0] not in (0, 1, -1):
        raise FileFormatError.at(
            snapshot.path, "/", expected="axis 0, 1 or -1", found=str(stated[:5])
        )
    axis = int(stated[0])
    axes: dict[AxisName, Axis] = {}
    for name in ("obs", "var"):
        axes[name] = _axis(file, snapshot, name, mods, axis)
    uns = {key: StoredEntry(snapshot, f"/uns/{key}") for key in _members(file, "uns")}
    return MuData._assemble(mod=mods, axis=axis, axes=axes, uns=Uns(uns))


def _axis(file: h5py.File, snapshot: Snapshot, name: AxisName, mods: Modalities, axis: int) -> Axis:
    """One axis as it is stored; derived from the names where the file does not say enough."""
    table = FrameSlot(as_frame(None, 0, name), name)
    if has_member(file, name):
        table = FrameSlot(StoredFrame.of(open_member(file, name), snapshot), name)
    maps = _stored_maps(file, snapshot, name, mods, len(table))
    made = Axis(
        name,
        table,
        _arrays(file, snapshot, f"{name}m", len(table), skip=set(mods)),
        _arrays(file, snapshot, f"{name}p", len(table), skip=set()),
        maps,
    )
    made.note(mods)
    shared = is_shared(name, axis)
    if _is_complete(made, mods, shared):
        if not shared and isinstance(table.stored, StoredFrame):
            made.table = FrameSlot(GlobalFrame.over(table.stored, name, maps, mods), name)
        return made.with_memberships()
    made.maps = PositionMaps(maps.name, len(table), {}, {})
    return made.updated(mods, is_shared=shared)


def _stored_maps(
    file: h5py.File, snapshot: Snapshot, name: AxisName, mods: Modalities, size: int
) -> PositionMaps:
    there = set(_members(file, f"{name}map"))
    values = {m: StoredElement(snapshot, f"/{name}map/{m}") for m in mods if m in there}
    counts = {m: a.shape[name == "var"] for m, a in mods.items()}
    return PositionMaps(f"{name}map", size, values, counts)


def _is_complete(axis: Axis, mods: Modalities, shared: bool) -> bool:
    """Whether the file has positions for every modality, and a table of a fitting length."""
    counts = axis.counts(mods)
    if list(axis.maps) != list(mods):
        return not counts
    if shared:
        return len(axis.table) >= max(counts.values(), default=0)
    return len(axis.table) == sum(counts.values())


def _arrays(file: h5py.File, snapshot: Snapshot, name: str, length: int, *, skip: set[str]) -> Any:
    """Obsm or obsp as stored; memberships of modalities are derived from the positions."""
    mapping = empty_mapping(name, length)
    for key in _members(file, name):
        if key in skip:
            continue
        element = f"/{name}/{key}"
        kind = element_kind(open_member(file, element[1:])) if is_text(key) else ""
        stored = (
            StoredMatrix(snapshot, element, lead=mapping.sizes)
            if name.endswith("p") and kind in MATRICES
            else StoredElement(snapshot, element, kind, mapping.sizes)
        )
        mapping._values[key] = stored
    return mapping
