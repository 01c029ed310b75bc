"""Open an .h5mu lazily, one modality of it, or whatever a path names."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lazyomics.container.anndata import AnnData
from lazyomics.container.frames import FrameSlot, as_frame
from lazyomics.container.mudata import MuData
from lazyomics.container.mudata.axis import Axis, AxisName, empty_mapping, is_shared
from lazyomics.container.mudata.modalities import Modalities
from lazyomics.container.mudata.position_maps import PositionMaps
from lazyomics.container.uns import Uns
from lazyomics.errors import FileFormatError
from lazyomics.io.backing import FileBacking
from lazyomics.io.encodings import child, element_kind
from lazyomics.io.files import checked_path, open_for_reading
from lazyomics.io.mudata.backing import MuDataBacking
from lazyomics.io.opening import _plan, open_group, read_h5ad
from lazyomics.io.stored import BlockPlan, StoredElement, StoredFrame, StoredMatrix

__all__ = ["open_modality", "read", "read_h5mu"]

MODALITY_PATH = re.compile(r"^(.+\.h5mu)/(?:mod/)?([^/]+)/?$")
MATRICES = ("array", "csr_matrix", "csc_matrix")


def read_h5mu(
    path: str | os.PathLike[str],
    *,
    backed: bool | str = True,
    chunks: str | int = "auto",
) -> MuData:
    """Open an .h5mu file in place.

    Parameters
    ----------
    path
        The file. Any number of processes may open it at once.
    backed
        True, ``"r"`` or ``"r+"`` open it lazily (all the same: nothing is written before
        ``write()``); False loads it into memory.
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
    plan = _plan(chunks)
    found = checked_path(path)
    with open_for_reading(found) as file:
        _expect_h5mu(file, str(path))
        names = modality_names(file)
        mods = Modalities({m: _modality(file, m, path, str(found), plan) for m in names})
        mdata = _assembled(file, str(found), mods)
    mdata._backing = MuDataBacking.of_mudata(mdata, os.fspath(path))
    return mdata if backed else mdata.to_memory()


def open_modality(path: str | os.PathLike[str], mod: str, *, chunks: str | int = "auto") -> AnnData:
    """Open one modality of an .h5mu file.

    Raises
    ------
    KeyError
        If the file has no such modality.
    """
    found = checked_path(path)
    with open_for_reading(found) as file:
        _expect_h5mu(file, str(path))
        if mod not in file["mod"]:
            known = ", ".join(repr(m) for m in modality_names(file))
            raise KeyError(f"{path} has no modality {mod!r}; there are {known}")
        return _modality(file, mod, path, str(found), _plan(chunks))


def read(
    path: str | os.PathLike[str], *, backed: bool | str = True, chunks: str | int = "auto"
) -> AnnData | MuData:
    """Open an .h5ad or .h5mu file, or one modality as ``"file.h5mu/rna"``.

    Parameters
    ----------
    path
        ``FILE.h5ad``, ``FILE.h5mu``, ``FILE.h5mu/MODALITY`` or ``FILE.h5mu/mod/MODALITY``. A file
        of another name is opened by what it holds.
    backed, chunks
        As in ``read_h5ad``.

    Returns
    -------
    AnnData, or MuData for a whole .h5mu file.
    """
    name = os.fspath(path)
    matched = MODALITY_PATH.match(str(name))
    if matched is not None and not Path(name).exists():
        adata = open_modality(matched[1], matched[2], chunks=chunks)
        return adata if backed else adata.to_memory()
    with open_for_reading(checked_path(name)) as file:
        is_mudata = "mod" in file
    if is_mudata:
        return read_h5mu(name, backed=backed, chunks=chunks)
    return read_h5ad(name, backed=backed, chunks=chunks)


def _expect_h5mu(file: h5py.File, path: str) -> None:
    if "mod" in file and isinstance(file["mod"], h5py.Group):
        return
    is_anndata = "obs" in file and "var" in file
    raise FileFormatError.at(
        path,
        "mod",
        expected="a group with modalities",
        found="an AnnData" if is_anndata else (", ".join(sorted(file)[:10]) or "nothing"),
        hint="Open it with read_h5ad." if is_anndata else "It is HDF5, but not an .h5mu file.",
    )


def modality_names(file: h5py.File) -> list[str]:
    """Modalities in their order: as the file states it, unless it names some that are missing."""
    group = file["mod"]
    present = [name for name in group if isinstance(child(group, name), h5py.Group)]
    stated = np.atleast_1d(np.asarray(group.attrs.get("mod-order", [])))
    order = [n.decode() if isinstance(n, bytes) else str(n) for n in stated if n is not None]
    return order if order and set(order) <= set(present) else present


def _modality(
    file: h5py.File, mod: str, path: str | os.PathLike[str], absolute: str, plan: BlockPlan
) -> AnnData:
    group = child(file["mod"], mod)
    if "obs" not in group or "var" not in group:
        raise FileFormatError.at(
            path,
            str(group.name),
            expected="the elements 'obs' and 'var'",
            found=", ".join(sorted(group)[:10]) or "nothing",
        )
    adata = open_group(group, absolute, plan=plan)
    adata._backing = FileBacking.of(adata, os.fspath(path), f"/mod/{mod}")
    return adata


def _assembled(file: h5py.File, path: str, mods: Modalities) -> MuData:
    axis = int(np.ravel(file.attrs.get("axis", 0))[0])
    if axis not in (0, 1, -1):
        raise FileFormatError.at(path, "/", expected="axis 0, 1 or -1", found=str(axis))
    axes: dict[AxisName, Axis] = {}
    for name in ("obs", "var"):
        axes[name] = _axis(file, path, name, mods, axis)
    uns: dict[str, Any] = {}
    if isinstance(file.get("uns"), h5py.Group):
        uns = {key: StoredElement(path, f"/uns/{key}") for key in file["uns"]}
    return MuData._assemble(mod=mods, axis=axis, axes=axes, uns=Uns(uns))


def _axis(file: h5py.File, path: str, name: AxisName, mods: Modalities, axis: int) -> Axis:
    """One axis as it is stored; derived from the names where the file does not say enough."""
    table = FrameSlot(as_frame(None, 0, name))
    if name in file:
        table = FrameSlot(StoredFrame.of(child(file, name), path))
    maps = _stored_maps(file, path, name, mods, len(table))
    made = Axis(
        name,
        table,
        _arrays(file, path, f"{name}m", len(table), skip=set(mods)),
        _arrays(file, path, f"{name}p", len(table), skip=set()),
        maps,
    )
    made.note(mods)
    shared = is_shared(name, axis)
    if _is_complete(made, mods, shared):
        return made.with_memberships()
    made.maps = PositionMaps(maps.name, len(table), {}, {})
    return made.updated(mods, is_shared=shared)


def _stored_maps(
    file: h5py.File, path: str, name: AxisName, mods: Modalities, size: int
) -> PositionMaps:
    group = file.get(f"{name}map")
    there = set(group) if isinstance(group, h5py.Group) else set()
    values = {m: StoredElement(path, f"/{name}map/{m}") for m in mods if m in there}
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


def _arrays(file: h5py.File, path: str, name: str, length: int, *, skip: set[str]) -> Any:
    """Obsm or obsp as stored; memberships of modalities are derived from the positions."""
    mapping = empty_mapping(name, length)
    group = file.get(name)
    if not isinstance(group, h5py.Group):
        return mapping
    for key in group:
        if key in skip:
            continue
        element = f"/{name}/{key}"
        lazy = name.endswith("p") and element_kind(child(group, key)) in MATRICES
        stored = StoredMatrix(path, element) if lazy else StoredElement(path, element)
        mapping._values[key] = stored
    return mapping
