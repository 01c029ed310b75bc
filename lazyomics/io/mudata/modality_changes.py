"""What of a modality differs from its place in the file, and which of its matrices stay there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from lazyomics import graph
from lazyomics.container.anndata import AnnData
from lazyomics.errors import ShapeError, XNotWrittenWarning, warn_user
from lazyomics.graph.kinds import is_in_memory
from lazyomics.io.backing import FileBacking
from lazyomics.io.encodings import element_kind
from lazyomics.io.legacy import raw_place
from lazyomics.io.readers import reader_of
from lazyomics.io.saving.changes import Changes, compare_mapping, in_file
from lazyomics.io.saving.frames import frame_change

__all__ = ["check_modality", "modality_changes", "warn_left_out", "warn_removed"]


def check_modality(mod: str, adata: AnnData, home: FileBacking, overwrite_x: bool) -> bool:
    """Whether a modality has the rows and columns of its place in the file.

    Raises
    ------
    ShapeError
        If it has not and may not replace what is there.
    """
    backing = adata._backing
    selected = isinstance(backing, FileBacking) and backing.is_selection
    fits = adata.shape == home.shape and not selected
    if not fits and not overwrite_x:
        raise ShapeError(
            f"modality {mod!r} has shape {adata.shape} now and {home.shape} in {home.path}: "
            "saving it would need to replace its matrices. Write to a new file, or replace the "
            "modality with write(overwrite_x=True)."
        )
    return fits


def modality_changes(
    adata: AnnData, home: FileBacking, group: h5py.Group
) -> tuple[Changes, list[str]]:
    """Compare a modality with the file.

    Returns
    -------
    Changes to write, and the names of matrices (``"X"``, ``"raw.X"``) that differ from those in
    the file.
    """
    changes = Changes()
    if adata.shape != home.shape:
        return changes, ["X"]
    for name, slot in (("obs", adata._obs), ("var", adata._var)):
        if slot.is_loaded:
            changes.frames[name] = frame_change(group, name, slot.frame, home.names[name])
    for mapping in adata._mappings():
        compare_mapping(changes, group, mapping.name, mapping.stored(), home)
    compare_mapping(changes, group, "uns", adata._uns.stored(), home)
    left_out = []
    if "X" not in group or element_kind(group["X"]) == "null":
        if not adata._x.is_absent:
            changes.written["X"] = adata.X
    elif not _holds(group["X"], adata._x.held, home, "X"):
        left_out.append("X")
    if raw_place(group) is None:
        changes.raw = adata._raw is not None
    elif adata._raw is None or not _holds(group["raw/X"], adata._raw.x.held, home, "raw/X"):
        left_out.append("raw.X")
    elif adata._raw.var.is_loaded:
        frame, known = adata._raw.var.frame, frozenset(adata._raw.var.columns)
        changes.frames["raw/var"] = frame_change(group, "raw/var", frame, known)
    return changes, left_out


def _holds(stored: Any, value: Any, home: FileBacking, name: str) -> bool:
    """Whether the file holds a matrix already; one in memory is compared a window at a time."""
    if in_file(value, home, name):
        return True
    if value is None or not is_in_memory(value):
        return False
    source = reader_of(stored)
    if source.shape != tuple(value.shape) or source.dtype != value.dtype:
        return False
    x = graph.lazy(graph.from_source(source))
    mine = value.tocsr() if hasattr(value, "tocsr") else value
    start = 0
    for window in graph.windows(x):
        for block in window:
            stop = start + block.shape[0]
            if not _same_block(block, mine[start:stop]):
                return False
            start = stop
    return True


def _same_block(block: Any, mine: Any) -> bool:
    if isinstance(block, np.ndarray):
        dense = mine.toarray() if hasattr(mine, "toarray") else np.asarray(mine)
        return bool(np.array_equal(block, dense, equal_nan=block.dtype.kind in "fc"))
    other = block.to_scipy()
    difference = other != mine if hasattr(mine, "tocsr") else other.toarray() != mine
    return int(difference.sum()) == 0


def warn_left_out(names: Sequence[str], path: object) -> None:
    """Say which matrices the file keeps as they were, and how to write them."""
    warn_user(
        f"{', '.join(names)} was changed, but {path} keeps it as it is: everything else is saved. "
        "To replace it, use write(overwrite_x=True); to keep the change beside it, save it as a "
        "layer or write to a new file.",
        XNotWrittenWarning,
    )


def warn_removed(mods: Sequence[str], path: object) -> None:
    """Say which modalities stay in the file, and how to delete them or get them back."""
    many = ", ".join(f"mod/{mod}" for mod in mods)
    warn_user(
        f"{many} was removed from the object, but its data stays in {path}: the file does not "
        "list it any more, and everything else is saved. To delete it, use "
        f"write(remove_modalities=True); to get it back, mdata.mod[{mods[0]!r}] = "
        f"lazyomics.read('{path}/{mods[0]}') and write().",
        XNotWrittenWarning,
    )
