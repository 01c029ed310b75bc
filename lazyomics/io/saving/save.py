"""Save into the opened file what changed: everything else stays as it is, byte for byte."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from lazyomics.container.anndata import AnnData
from lazyomics.container.ports import OnConflict
from lazyomics.errors import ShapeError, XNotWrittenWarning, warn_user
from lazyomics.io.backing import FileBacking
from lazyomics.io.files import open_for_reading
from lazyomics.io.opening import read_h5ad
from lazyomics.io.save_records import EVERYTHING, SaveRecord, read_records
from lazyomics.io.saving.applying import apply_changes, streamed_beside
from lazyomics.io.saving.changes import in_file
from lazyomics.io.saving.compare import (
    check_axes,
    compare_matrices,
    compare_parts,
    lazy_values,
    matrix_changes,
)
from lazyomics.io.saving.merge import Merge, raise_conflicts
from lazyomics.io.saving.merged import merged
from lazyomics.io.saving.rebind import rebind
from lazyomics.io.saving.recorded import complete, record_replacement, recorded_file
from lazyomics.io.saving.rescue import read_before_replaced
from lazyomics.io.saving.verify import verify
from lazyomics.io.transaction import exclusively
from lazyomics.io.writing import write_anndata

__all__ = ["check_is_there", "save"]


def save(
    adata: AnnData,
    *,
    overwrite_x: bool,
    on_conflict: OnConflict,
    options: Mapping[str, Any],
) -> None:
    """Write what changed or is new into the file that the object was opened from.

    Lazy matrices are streamed to a file beside it first. Then, while nobody else may save the
    file, the object is compared with it as it is now, and the difference is put in place: all of
    it, or nothing. The object is the state of the file afterwards.
    """
    backing = adata._backing
    assert isinstance(backing, FileBacking)
    check_is_there(backing)
    _check_shape(adata, backing, overwrite_x)
    if overwrite_x and (backing.is_selection or _x_changed(adata, backing)):
        with exclusively(backing.absolute):
            _replace_file(adata, backing, on_conflict, options)
        return
    lazy = lazy_values(adata, backing)
    with (
        streamed_beside(lazy, backing.absolute, options) as prepared,
        exclusively(backing.absolute),
    ):
        _save_parts(adata, backing, on_conflict, prepared, options)


def check_is_there(backing: FileBacking) -> None:
    """Make sure that the file still exists.

    Raises
    ------
    FileNotFoundError
        If it is gone.
    """
    if not os.path.exists(backing.absolute):
        raise FileNotFoundError(f"{backing.path} is gone; write to a new file instead")


def _check_shape(adata: AnnData, backing: FileBacking, overwrite_x: bool) -> None:
    if backing.is_selection and not overwrite_x:
        raise ValueError(
            f"this object is a selection of {backing.path}: saving it would need to replace the "
            "matrices there. Write it to a new file with write(filename), or replace the file "
            "with write(overwrite_x=True)."
        )
    if not backing.is_selection and adata.shape != backing.shape:
        raise ShapeError(f"{backing.path} has shape {backing.shape}, the object {adata.shape}")


def _x_changed(adata: AnnData, backing: FileBacking) -> bool:
    """Tell whether X or raw differ from those of the file that the object was opened from."""
    held, raw = adata._x.held, adata._raw
    if (held is not None or "X" in backing.names) and not in_file(held, backing, "X"):
        return True
    if raw is None:
        return bool(backing.names["raw"])
    return not in_file(raw.x.held, backing, "raw/X") and not (
        raw.x.is_absent and bool(backing.names["raw"])
    )


def _save_parts(
    adata: AnnData,
    backing: FileBacking,
    on_conflict: OnConflict,
    prepared: h5py.File | None,
    options: Mapping[str, Any],
) -> None:
    path = backing.absolute
    theirs = read_h5ad(path)
    with open_for_reading(path) as file:
        merge = Merge(backing, file["/"], backing.saves_since(file), on_conflict)
        check_axes(merge, adata, theirs)
        changes = compare_parts(merge, adata, theirs)
        left_out = matrix_changes(merge, adata, theirs)
        raise_conflicts(backing.path, changes.conflicts)
    keep = {"keep_x": "X" in left_out, "keep_raw": "raw.X" in left_out}

    def write() -> None:
        record = SaveRecord.now(0, 0, changes.elements())
        read_before_replaced(path, record, [adata])
        with recorded_file(path, theirs._backing) as opened:
            apply_changes(opened.file["/"], adata, changes, prepared, options)
            verify(opened.file["/"], changes.elements())
            opened.record(changes.elements())

    if changes.is_empty:
        rebind(adata, theirs, changes.taken, **keep)
    else:
        complete(path, write, lambda: rebind(adata, read_h5ad(path), changes.taken, **keep))
    if left_out:
        _warn_not_written(left_out, backing)


def _replace_file(
    adata: AnnData, backing: FileBacking, on_conflict: OnConflict, options: Mapping[str, Any]
) -> None:
    """Write the object anew, with what others saved meanwhile, in the place of the file."""
    path = backing.absolute
    theirs = read_h5ad(path)
    with open_for_reading(path) as file:
        merge = Merge(backing, file["/"], backing.saves_since(file), on_conflict)
        check_axes(merge, adata, theirs)
        if backing.selection is not None:
            theirs = theirs._take(*backing.selection)
        changes = compare_parts(merge, adata, theirs)
        replaced = compare_matrices(merge, adata)
        raise_conflicts(backing.path, changes.conflicts)
        earlier = read_records(file)
    elements = [EVERYTHING] if backing.is_selection else [*changes.elements(), *replaced]
    made = merged(adata, theirs, changes, replaced)

    def write() -> None:
        read_before_replaced(path, SaveRecord.now(0, 0, elements), [adata, made, theirs])
        with record_replacement(Path(path), elements, earlier) as file:
            write_anndata(file, made, options)

    complete(path, write, lambda: rebind(adata, read_h5ad(path), changes.taken))


def _warn_not_written(names: list[str], backing: FileBacking) -> None:
    for name in names:
        warn_user(
            f"{name} was changed, but {backing.path} holds {name} already and keeps it: everything "
            "else is saved. To keep the change, use write(overwrite_x=True), save it as a layer "
            f"(adata.layers['changed'] = adata.{name}) or write to a new file.",
            XNotWrittenWarning,
        )
