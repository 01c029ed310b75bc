"""Open .h5ad files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
import scipy.sparse as sp

from lazyomics.container.anndata import AnnData
from lazyomics.container.baseline import Baseline, content_of
from lazyomics.container.deferred import is_deferred
from lazyomics.container.frames import FrameSlot, as_frame
from lazyomics.container.mappings import AlignedMapping, MappingName, Uns
from lazyomics.container.raw import RawParts
from lazyomics.container.slots import MatrixSlot
from lazyomics.errors import FileFormatError
from lazyomics.importing import import_whole
from lazyomics.io.backing import FileBacking, backing_name
from lazyomics.io.encodings import element_kind, has_member, open_member, read_element, sparse_info
from lazyomics.io.encodings.checks import is_text, member_names
from lazyomics.io.encodings.damage import damage_named, damaged
from lazyomics.io.files import checked_path, named_file, open_for_reading
from lazyomics.io.nested import MAPPINGS  # registers a reader, too
from lazyomics.io.old_layouts import is_there, old_layout_parts, raw_place
from lazyomics.io.snapshot import Snapshot
from lazyomics.io.stored import BlockPlan, StoredElement, StoredEntry, StoredFrame, StoredMatrix
from lazyomics.lazy.kinds import is_dask_array

__all__ = [
    "dense",
    "dense_places",
    "open_group",
    "read_as_sparse",
    "read_h5ad",
]


def dense(value: Any) -> Any:
    """Return a matrix that is written dense, block by block; a dense one as it is."""
    value = value.load() if is_deferred(value) else value
    graph = import_whole("lazyomics.lazy")
    is_sparse = sp.issparse(value) if not is_dask_array(value) else hasattr(value._meta, "indptr")
    return graph.map_rows(value, _step("AsDense")) if is_sparse else value


def dense_places(adata: AnnData, as_dense: str | Iterable[Any]) -> frozenset[str]:
    """Where in a file the matrices are that ``as_dense`` names.

    Parameters
    ----------
    adata
        Object that has them.
    as_dense
        ``"X"``, ``"raw/X"`` (also ``"raw.X"`` and ``("raw", "X")``), ``"layers/NAME"``.

    Raises
    ------
    ValueError
        If the object has no such matrix.
    """
    known = {"X", *(f"layers/{key}" for key in adata.layers)}
    known |= set() if adata.raw is None else {"raw/X"}
    asked = [as_dense] if isinstance(as_dense, str) else list(as_dense)
    places = frozenset(_place(name) for name in asked)
    if unknown := sorted(places - known):
        raise ValueError(f"as_dense names {unknown}; the object has {sorted(known)}")
    return places


def read_as_sparse(adata: AnnData, as_sparse: str | Iterable[Any], kind: type[Any]) -> None:
    """Hold X or raw.X of a freshly opened object sparse, lazily.

    Parameters
    ----------
    adata
        Object to change. What it holds sparse already stays so.
    as_sparse
        ``"X"``, ``"raw/X"`` (also ``"raw.X"`` and ``("raw", "X")``).
    kind
        ``scipy.sparse.csr_matrix`` or ``csc_matrix``.

    Raises
    ------
    NotImplementedError
        For other elements, or another kind.
    """
    if kind not in (sp.csr_matrix, sp.csc_matrix):
        raise NotImplementedError(f"as_sparse_fmt is csr_matrix or csc_matrix, found {kind}")
    asked = [as_sparse] if isinstance(as_sparse, str) else list(as_sparse)
    for place in map(_place, asked):
        if place == "X" and not adata._x.is_absent:
            adata._x = MatrixSlot(_sparse(adata.X, kind))
        elif place == "raw/X" and adata._raw is not None:
            adata._raw.x = MatrixSlot(_sparse(adata._raw.x.value, kind))
        elif place not in ("X", "raw/X"):
            raise NotImplementedError(f"as_sparse takes 'X' and 'raw/X', found {place!r}")


def _sparse(x: Any, kind: type[Any]) -> Any:
    if not isinstance(x._meta, np.ndarray):
        return x
    graph = import_whole("lazyomics.lazy")
    if kind is sp.csr_matrix:
        return graph.map_rows(x, _step("AsSparse"))
    return graph.map_rows(graph.transpose(x), _step("AsSparse")).T


def _step(name: str) -> Any:
    return getattr(import_whole("lazyomics.kernels.steps"), name)()


def _place(name: Any) -> str:
    return "raw/X" if name in ("raw.X", ("raw", "X")) else str(name)


LAZY_KINDS = ("array", "csr_matrix", "csc_matrix")
LAZY_MAPPINGS = ("layers", "obsp", "varp")


def read_h5ad(
    filename: str | os.PathLike[str],
    backed: bool | str | None = True,
    *,
    as_sparse: Sequence[str] = (),
    as_sparse_fmt: type[Any] = sp.csr_matrix,
    chunk_size: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
    chunks: str | int = "auto",
    obs_columns: list[str] | None = None,
    var_columns: list[str] | None = None,
) -> AnnData:
    """Open an .h5ad file in place.

    Parameters
    ----------
    filename
        The file. Any number of processes may open it at once. Or a URL that fsspec knows
        (``"https://…"``, ``"s3://…"``; needs ``lazyomics[remote]``), or what ``fsspec.open`` makes
        of one: the object is read-only then, and only the parts of the file that are needed are
        fetched.
    backed
        True, ``"r"`` or ``"r+"`` open it lazily (all the same: nothing is written before
        ``write()``); False (and None) loads it into memory.
    as_sparse
        ``"X"`` and ``"raw/X"``, if they are stored dense and are to be sparse in the object. As
        they are not what the file holds then, ``write()`` leaves them there as they are.
    as_sparse_fmt
        ``scipy.sparse.csr_matrix`` or ``csc_matrix``.
    chunk_size
        Another word for a number of rows as ``chunks``.
    storage_options
        For a URL: what fsspec needs to open it, such as ``{"anon": True}`` for a public bucket.
    chunks
        Size of the blocks of X and layers: ``"auto"`` (about ``lazyomics.chunk-bytes`` of decoded
        values, by the number stored in each row), another size such as ``"8 MiB"``, or a number
        of rows.
    obs_columns, var_columns
        Read only these columns of obs or var.

    Returns
    -------
    AnnData whose X, layers, raw.X, obsp and varp are dask arrays; obs and var are read on first
    access, obsm, varm and uns entry by entry.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is not an .h5ad file or its parts do not fit together.
    RemoteFileError, PermissionError, UnsupportedError
        If a server cannot be reached, refuses access, or gives no parts of files.

    Notes
    -----
    Passes over X: 0 (1 with ``backed=False``). Peak memory: names and shapes.
    """
    if backed not in (True, False, "r", "r+", None):
        raise ValueError(
            f"backed is True, False, 'r' or 'r+', found {backed!r}. A modality of an .h5mu file is "
            "opened with read('FILE.h5mu/MODALITY')."
        )
    plan = BlockPlan.of(chunks if chunk_size is None else chunk_size)
    filename, storage_options = named_file(filename, storage_options)
    found = checked_path(filename, storage_options)
    name = backing_name(filename, found)
    with open_for_reading(found) as file, damage_named(found):
        _expect_h5ad(file, name)
        snapshot = Snapshot.of(found, file)
        adata = open_group(
            file, snapshot, plan=plan, obs_columns=obs_columns, var_columns=var_columns
        )
        adata._backing = FileBacking.of(adata, name, snapshot, file)
    if as_sparse:
        read_as_sparse(adata, as_sparse, as_sparse_fmt)
    return adata if backed else adata.to_memory()


def _expect_h5ad(file: h5py.File, path: str) -> None:
    if has_member(file, "mod") and has_member(file, "obs"):
        mod = open_member(file, "mod")
        names = sorted(mod) if isinstance(mod, h5py.Group) else []
        raise FileFormatError.at(
            path,
            "/",
            expected="an AnnData",
            found="a MuData",
            hint=f"It is an .h5mu file with the modalities {names}: open it with read_h5mu.",
        )
    if not has_member(file, "obs") or not has_member(file, "var"):
        from lazyomics.io.opening_10x import advice_for_10x

        raise FileFormatError.at(
            path,
            "/",
            expected="the elements 'obs' and 'var'",
            found=", ".join(sorted(map(str, file))[:10]) or "nothing",
            hint=advice_for_10x(file) or "It is an HDF5 file, but not an .h5ad.",
        )


def open_group(
    group: h5py.Group,
    snapshot: Snapshot,
    *,
    plan: BlockPlan,
    obs_columns: list[str] | None = None,
    var_columns: list[str] | None = None,
) -> AnnData:
    """Open the AnnData stored in a group (the root of an .h5ad, a modality of an .h5mu)."""
    old = old_layout_parts(group)
    obs = _frame(group, "obs", snapshot, obs_columns, old.obs)
    var = _frame(group, "var", snapshot, var_columns, old.var)
    shape = (len(obs), len(var))
    x = _matrix_slot(group, "X", snapshot, plan, shape)
    uns: dict[str, Any] = {}
    if old.uns is not None:
        uns = old.uns
    elif is_there(group, "uns"):
        uns_group = open_member(group, "uns")
        if not isinstance(uns_group, h5py.Group):
            raise damaged(uns_group, expected="a group", found="a dataset")
        uns = {k: StoredEntry(snapshot, f"{uns_group.name}/{k}") for k in member_names(uns_group)}
    mappings = {name: _mapping(group, name, snapshot, plan, shape, old.fields) for name in MAPPINGS}
    held = Uns(uns)
    for key, value in (old.uns or {}).items():
        held.hold(key, value, _as_read(StoredElement(snapshot, f"{group.name}/uns/{key}"), value))
    _move_graphs(group, held, mappings["obsp"], snapshot, plan)
    return AnnData._assemble(
        x=x,
        obs=obs,
        var=var,
        uns=held,
        mappings=mappings,
        raw=_raw(group, snapshot, plan, shape[0], old),
    )


def _frame(
    group: h5py.Group, name: str, snapshot: Snapshot, only: list[str] | None, loaded: Any
) -> FrameSlot:
    if not has_member(group, name):
        return FrameSlot(as_frame(None, 0, name), name)
    stored = StoredFrame.of(
        open_member(group, name), snapshot, None if only is None else tuple(only)
    )
    slot = FrameSlot(stored, name)
    if loaded is not None:
        slot.load_with(loaded if only is None else loaded[only])
    return slot


def _as_read(origin: StoredElement, value: Any) -> Baseline:
    """Describe a value that was read while the file was opened."""
    return Baseline(origin, content_of(value))


def _matrix_slot(
    group: h5py.Group, name: str, snapshot: Snapshot, plan: BlockPlan, shape: tuple[int, int]
) -> MatrixSlot:
    if not has_member(group, name):
        return MatrixSlot(None)
    obj = open_member(group, name)
    kind = element_kind(obj)
    if kind == "null":
        return MatrixSlot(None)
    found = matrix_shape(obj, kind)
    if found is None:
        raise FileFormatError.at(snapshot.path, str(obj.name), expected="a matrix", found=kind)
    if found != shape:
        raise FileFormatError.at(
            snapshot.path,
            str(obj.name),
            expected=f"shape {shape}, the lengths of obs and var",
            found=f"shape {found}",
            hint="The parts of the file do not belong together; write it again from its source.",
        )
    return MatrixSlot(StoredMatrix(snapshot, str(obj.name), plan))


def matrix_shape(obj: Any, kind: str) -> tuple[int, int] | None:
    """Shape of a stored matrix; None for anything else."""
    if kind in ("csr_matrix", "csc_matrix"):
        return sparse_info(obj)[1]
    if isinstance(obj, h5py.Dataset) and obj.shape is not None and len(obj.shape) == 2:
        return (int(obj.shape[0]), int(obj.shape[1]))
    if isinstance(obj, h5py.Dataset) and obj.shape is not None and len(obj.shape) == 1:
        return (int(obj.shape[0]), 1)  # one gene, as very old files store it
    return None


def _mapping(
    group: h5py.Group,
    name: MappingName,
    snapshot: Snapshot,
    plan: BlockPlan,
    shape: tuple[int, int],
    fields: dict[str, dict[str, Any]],
    at: str | None = None,
) -> AlignedMapping:
    mapping = AlignedMapping(name, shape, fields.get(name))
    for key, value in mapping.stored().items():
        origin = StoredElement(snapshot, f"{group.name}/{at or name}/{key}")
        mapping.hold(key, value, _as_read(origin, value))
    if name in fields or not has_member(group, at or name):
        return mapping
    members = open_member(group, at or name)
    if not isinstance(members, h5py.Group):
        return mapping  # an empty dataset stands for no members in some old files
    for key in member_names(members):
        obj = open_member(members, key) if is_text(key) else None
        kind = element_kind(obj) if is_text(key) else ""
        lazy = name in LAZY_MAPPINGS and kind in LAZY_KINDS and matrix_shape(obj, kind) is not None
        element = f"{members.name}/{key}"
        mapping._values[key] = (
            StoredMatrix(snapshot, element, plan, mapping.sizes)
            if lazy
            else StoredElement(snapshot, element, kind, mapping.sizes)
        )
    return mapping


def _move_graphs(
    group: h5py.Group, uns: Uns, obsp: AlignedMapping, snapshot: Snapshot, plan: BlockPlan
) -> None:
    """Neighbour graphs of old files are in uns["neighbors"]; today they belong to obsp."""
    if not is_there(group, "uns") or not has_member(open_member(group, "uns"), "neighbors"):
        return
    neighbors = open_member(open_member(group, "uns"), "neighbors")
    moved = [
        key
        for key in ("distances", "connectivities")
        if isinstance(neighbors, h5py.Group)
        and has_member(neighbors, key)
        and _is_matrix(open_member(neighbors, key))
    ]
    if not moved:
        return
    held = StoredElement(snapshot, str(neighbors.name))
    loaded = read_element(neighbors) if is_deferred(uns.stored()["neighbors"]) else uns["neighbors"]
    if not isinstance(loaded, Mapping):  # of another encoding: carried along as it is
        return
    for key in moved:
        if key not in obsp:
            obsp._values[key] = StoredMatrix(snapshot, f"{neighbors.name}/{key}", plan, obsp.sizes)
    left = {k: v for k, v in loaded.items() if k not in moved}
    uns.hold("neighbors", left, _as_read(held, left))


def _is_matrix(obj: Any) -> bool:
    return matrix_shape(obj, element_kind(obj)) is not None


def _raw(
    group: h5py.Group, snapshot: Snapshot, plan: BlockPlan, n_obs: int, old: Any
) -> RawParts | None:
    place = raw_place(group)
    if place is None:
        return None
    parent, x_name, var_name, varm_name = place
    var = _frame(parent, var_name, snapshot, None, old.raw_var)
    shape = (n_obs, len(var))
    x = _matrix_slot(parent, x_name, snapshot, plan, shape)
    loaded = old.fields.get("raw.varm") if parent == group else None
    fields = {} if loaded is None else {"varm": loaded}
    return RawParts(x, var, _mapping(parent, "varm", snapshot, plan, shape, fields, at=varm_name))
