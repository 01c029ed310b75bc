"""read_zarr: AnnData and MuData of zarr stores, opened in place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lazyomics.container.anndata import AnnData
from lazyomics.container.frames import FrameSlot, as_frame
from lazyomics.container.mappings import AlignedMapping, MappingName, Uns
from lazyomics.container.mudata import MuData
from lazyomics.container.mudata.axis import Axis, PositionMaps, empty_mapping, is_shared
from lazyomics.container.mudata.modalities import Modalities
from lazyomics.container.raw import RawParts
from lazyomics.container.slots import MatrixSlot
from lazyomics.errors import FileFormatError, UnsupportedError
from lazyomics.io.nested import MAPPINGS
from lazyomics.io.stored import BlockPlan
from lazyomics.io.zarr.elements import attribute, is_group, kind_of
from lazyomics.io.zarr.stored import (
    ZarrElement,
    ZarrEntry,
    ZarrFrame,
    ZarrMatrix,
    matrix_shape,
)
from lazyomics.io.zarr.stores import ZarrStore, damaged, member, members
from lazyomics.lazy.indexer import Selector, compose

__all__ = ["ZarrBacking", "open_group", "read_zarr", "refuse_saving"]

LAZY_MAPPINGS = ("layers", "obsp", "varp")


@dataclass(frozen=True)
class ZarrBacking:
    """The store that an object was opened from.

    Attributes
    ----------
    store
        The store.
    selection
        Rows and columns of the stored object that this one has, None for all.
    """

    store: ZarrStore
    selection: tuple[Selector, Selector] | None = None

    @property
    def path(self) -> Path | str:
        """Where it is."""
        is_local = self.store.folder is not None or self.store.is_zip
        return Path(self.store.place) if is_local else str(self.store)

    @property
    def absolute(self) -> str:
        """Where it is, as a text."""
        return str(self.store)

    @property
    def is_selection(self) -> bool:
        """Whether the object has some of the stored rows and columns."""
        return self.selection is not None

    def is_at(self, path: Path) -> bool:
        """Whether a path leads to this store."""
        if not isinstance(self.path, Path):
            return False
        if os.path.exists(path) and os.path.exists(self.path):
            return os.path.samefile(path, self.path)
        return os.path.abspath(path) == str(self.path)

    def selected(self, rows: Selector, cols: Selector) -> ZarrBacking:
        """Return the backing of a selection."""
        before, joined = self.selection, (rows, cols)
        if before is not None:
            joined = (compose(before[0], rows), compose(before[1], cols))
        return replace(self, selection=joined)

    def remember(self, opened: Any) -> None:
        """Nothing: a store is not saved in place."""


def refuse_saving(backing: object) -> None:
    """Raise an error for saving into a zarr store in place.

    Raises
    ------
    UnsupportedError
        If the backing is one; says what to do.
    """
    if isinstance(backing, ZarrBacking):
        raise UnsupportedError(
            f"{backing.path} is a zarr store, into which nothing is saved in place: write a new "
            "store with write_zarr(store), or an HDF5 file with write_h5ad(path), or "
            "write_h5mu(path) of a MuData"
        )


def read_zarr(
    store: Any,
    backed: bool | str | None = True,
    *,
    storage_options: Mapping[str, Any] | None = None,
    chunks: str | int = "auto",
    obs_columns: list[str] | None = None,
    var_columns: list[str] | None = None,
) -> AnnData | MuData:
    """Open a zarr store of an AnnData or a MuData in place. Needs the extra ``zarr``.

    Parameters
    ----------
    store
        A folder, a zip file, a URL that fsspec knows, or a store or group of zarr. Format 2 or 3,
        with or without sharding.
    backed
        True, ``"r"`` or ``"r+"`` open it lazily (all the same: nothing is written into a store);
        False (and None) loads it into memory.
    storage_options
        For a URL: what fsspec needs to open it, such as ``{"anon": True}`` for a public bucket.
    chunks
        Size of the blocks of X and layers: as in ``read_h5ad``.
    obs_columns, var_columns
        Read only these columns of obs or var, of an AnnData.

    Returns
    -------
    AnnData, or MuData, whose matrices are dask arrays as those of ``read_h5ad`` are. Nothing can be
    saved into the store: write a new one.

    Raises
    ------
    FileNotFoundError
        If there is no such store.
    FileFormatError
        If it is no store of anndata or mudata, or damaged: names store, element, what was expected
        and found.
    MissingDependencyError
        If zarr is not installed.
    UnsupportedError
        For tables of anndata 0.6 and older, and unknown encodings.

    Notes
    -----
    Passes over X: 0 (1 with ``backed=False``). Peak memory: names and shapes.

    Chunks of local folders are read and decoded in the threads that compute, those of other stores
    by zarr. If an array is replaced afterwards, reading it raises ``StaleFileError``.

    Examples
    --------
    >>> import lazyomics as lo  # doctest: +SKIP
    >>> adata = lo.read_zarr("atlas.zarr")  # doctest: +SKIP
    >>> lo.pp.normalize_total(adata)  # doctest: +SKIP
    """
    if backed not in (True, False, "r", "r+", None):
        raise ValueError(f"backed is True, False, 'r' or 'r+', found {backed!r}")
    plan, found = BlockPlan.of(chunks), ZarrStore.of(store, storage_options)
    root = found.open()
    opened: AnnData | MuData
    if "mod" in root:
        if obs_columns is not None or var_columns is not None:
            raise ValueError("obs_columns and var_columns are for an AnnData, found a MuData")
        opened = _open_mudata(found, root, plan)
    else:
        _expect_anndata(found, root)
        opened = open_group(
            found, root, plan=plan, obs_columns=obs_columns, var_columns=var_columns
        )
        opened._backing = ZarrBacking(found)
    return opened if backed else opened.to_memory()


def _expect_anndata(store: ZarrStore, group: Any) -> None:
    if "obs" not in group or "var" not in group:
        raise FileFormatError.at(
            store,
            group.path or "/",
            expected="the elements 'obs' and 'var'",
            found=", ".join(sorted(members(store, group)))[:200] or "nothing",
            hint="It is a zarr store, but not of anndata.",
        )


def open_group(
    store: ZarrStore,
    group: Any,
    *,
    plan: BlockPlan | None = None,
    obs_columns: list[str] | None = None,
    var_columns: list[str] | None = None,
) -> AnnData:
    """Open the AnnData stored in a group: the root, a modality, or an entry of uns."""
    _expect_anndata(store, group)
    plan = BlockPlan() if plan is None else plan
    parts = members(store, group)
    obs = _frame(store, parts["obs"], "obs", obs_columns)
    var = _frame(store, parts["var"], "var", var_columns)
    shape = (len(obs), len(var))
    uns = _children(store, parts, "uns")
    return AnnData._assemble(
        x=_matrix(store, parts.get("X"), plan, shape),
        obs=obs,
        var=var,
        uns=Uns({key: ZarrEntry(store, str(node.path)) for key, node in uns.items()}),
        mappings={name: _mapping(store, parts, name, plan, shape) for name in MAPPINGS},
        raw=_raw(store, parts, plan, shape[0]),
    )


def _frame(store: ZarrStore, node: Any, name: str, only: list[str] | None) -> FrameSlot:
    return FrameSlot(ZarrFrame.of(store, node, None if only is None else tuple(only)), name)


def _children(store: ZarrStore, parts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Groups and arrays in a group; none if there is no such group."""
    node = parts.get(name)
    if node is None or kind_of(store, node) == "null":
        return {}
    if not is_group(node):
        raise damaged(store, node.path, expected="a group", found="an array")
    return members(store, node)


def _matrix(store: ZarrStore, node: Any, plan: BlockPlan, shape: tuple[int, int]) -> MatrixSlot:
    if node is None or kind_of(store, node) == "null":
        return MatrixSlot(None)
    found = matrix_shape(store, node)
    if found is None:
        raise damaged(store, node.path, expected="a matrix", found=kind_of(store, node))
    if found != shape:
        raise damaged(
            store,
            node.path,
            expected=f"shape {shape}, the lengths of obs and var",
            found=f"shape {found}",
        )
    return MatrixSlot(ZarrMatrix(store, str(node.path), plan))


def _mapping(
    store: ZarrStore,
    parts: Mapping[str, Any],
    name: MappingName,
    plan: BlockPlan,
    shape: tuple[int, int],
) -> AlignedMapping:
    mapping = AlignedMapping(name, shape)
    for key, node in _children(store, parts, name).items():
        place, kind = str(node.path), kind_of(store, node)
        is_lazy = name in LAZY_MAPPINGS and matrix_shape(store, node) is not None
        mapping._values[key] = (
            ZarrMatrix(store, place, plan, mapping.sizes)
            if is_lazy
            else ZarrElement(store, place, kind, mapping.sizes)
        )
    return mapping


def _raw(
    store: ZarrStore, parts: Mapping[str, Any], plan: BlockPlan, n_obs: int
) -> RawParts | None:
    if "raw.X" in parts:
        raise UnsupportedError(
            f"{store}: 'raw.X' is a layout of anndata 0.6: read the store with anndata and write "
            "it again"
        )
    inside = _children(store, parts, "raw")
    if not inside:
        return None
    node = parts["raw"]
    var = _frame(store, member(store, node, "var"), "var", None)
    shape = (n_obs, len(var))
    x = _matrix(store, inside.get("X"), plan, shape)
    return RawParts(x, var, _mapping(store, inside, "varm", plan, shape))


def _open_mudata(store: ZarrStore, root: Any, plan: BlockPlan) -> MuData:
    parts = members(store, root)
    found = _children(store, parts, "mod")
    stated = [str(name) for name in attribute(parts["mod"], "mod-order", [])]
    order = stated if stated and set(stated) <= set(found) else list(found)
    mods = {}
    for name in order:
        mods[name] = open_group(store, found[name], plan=plan)
        mods[name]._backing = ZarrBacking(store)
    axis = attribute(root, "axis", 0)
    if axis not in (0, 1, -1):
        raise damaged(store, "/", expected="axis 0, 1 or -1", found=f"{axis!r}")
    modalities = Modalities(mods)
    axes: dict[Any, Axis] = {
        name: _axis(store, parts, name, modalities, int(axis)) for name in ("obs", "var")
    }
    uns = _children(store, parts, "uns")
    made = MuData._assemble(
        mod=modalities,
        axis=int(axis),
        axes=axes,
        uns=Uns({key: ZarrEntry(store, str(node.path)) for key, node in uns.items()}),
    )
    made._backing = ZarrBacking(store)
    return made


def _axis(
    store: ZarrStore, parts: Mapping[str, Any], name: Any, mods: Modalities, axis: int
) -> Axis:
    """One axis as it is stored; derived from the names where the store does not say enough."""
    table = FrameSlot(as_frame(None, 0, name), name)
    if name in parts:
        table = _frame(store, parts[name], name, None)
    size, shared = len(table), is_shared(name, axis)
    there = _children(store, parts, f"{name}map")
    positions = {m: ZarrElement(store, str(there[m].path)) for m in mods if m in there}
    counts = {m: adata.shape[name == "var"] for m, adata in mods.items()}
    made = Axis(
        name,
        table,
        _whole_arrays(store, parts, f"{name}m", size, skip=set(mods)),
        _whole_arrays(store, parts, f"{name}p", size, skip=set()),
        PositionMaps(f"{name}map", size, positions, counts),
    )
    made.note(mods)
    if list(positions) != list(mods):
        complete = not counts
    else:
        total = max(counts.values(), default=0) if shared else sum(counts.values())
        complete = size >= total if shared else size == total
    if complete:
        return made.with_memberships()
    made.maps = PositionMaps(f"{name}map", size, {}, {})
    return made.updated(mods, is_shared=shared)


def _whole_arrays(
    store: ZarrStore, parts: Mapping[str, Any], name: str, length: int, *, skip: set[str]
) -> AlignedMapping:
    """Obsm or obsp of the whole; memberships of modalities are derived from the positions."""
    mapping = empty_mapping(name, length)
    for key, node in _children(store, parts, name).items():
        if key in skip:
            continue
        place, kind = str(node.path), kind_of(store, node)
        is_lazy = name.endswith("p") and matrix_shape(store, node) is not None
        mapping._values[key] = (
            ZarrMatrix(store, place, lead=mapping.sizes)
            if is_lazy
            else ZarrElement(store, place, kind, mapping.sizes)
        )
    return mapping
