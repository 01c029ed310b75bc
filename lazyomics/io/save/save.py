"""Save an object in place: merge, stream, apply, verify, commit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from lazyomics.container.anndata import AnnData
from lazyomics.container.ports import OnConflict
from lazyomics.errors import ShapeError, StaleFileError, XNotWrittenWarning, warn_user
from lazyomics.io.backing import FileBacking
from lazyomics.io.files import open_for_reading, open_for_saving
from lazyomics.io.opening import read_h5ad
from lazyomics.io.save.apply import apply_changes, streamed_beside
from lazyomics.io.save.compare import (
    check_axes,
    compare_matrices,
    compare_parts,
    lazy_values,
    matrix_changes,
)
from lazyomics.io.save.merge import Merge, in_file, raise_conflicts
from lazyomics.io.save.rebind import merged, read_before_replaced, rebind
from lazyomics.io.save.verify import verify
from lazyomics.io.save_records import EVERYTHING, SaveRecord, add_record, read_records
from lazyomics.io.snapshot import state_of
from lazyomics.io.transaction import exclusively
from lazyomics.io.transaction.defer_sigint import defer_sigint
from lazyomics.io.writing import new_file, write_anndata

__all__ = [
    "Recorded",
    "check_is_there",
    "complete",
    "record_replacement",
    "recorded_file",
    "save",
]


@dataclass
class Recorded:
    """A file that is being saved, and the record that the save leaves in it.

    Attributes
    ----------
    file
        The open file.
    before
        Its time stamp before the save.
    earlier
        Records of saves before.
    stamp
        The time stamp that it gets, once the record is written.
    """

    file: h5py.File
    before: int
    earlier: tuple[SaveRecord, ...]
    stamp: int | None = None

    def record(self, elements: Any) -> SaveRecord:
        """Write the record of what the save changes."""
        self.stamp = max(time.time_ns(), self.before + 1)
        made = SaveRecord.now(self.stamp, self.before, elements)
        add_record(self.file, made, self.earlier)
        return made


@contextmanager
def recorded_file(path: str, backing: Any) -> Iterator[Recorded]:
    """Open a file to save into it; this thread holds its lock.

    Parameters
    ----------
    path
        The file.
    backing
        That of the object that was opened from the file when the changes were decided.

    Raises
    ------
    StaleFileError
        If it has another one by now.
    """
    expected = backing.snapshot.state
    opened: list[Recorded] = []
    with open_for_saving(path, stamp=lambda: opened[0].stamp if opened else None) as file:
        if state_of(path) != expected:
            raise StaleFileError(
                f"{path} was changed by another program while it was saved; nothing was saved. "
                "Try again"
            )
        opened.append(Recorded(file, expected.mtime_ns, read_records(file)))
        yield opened[0]


@contextmanager
def record_replacement(
    path: Path,
    elements: Sequence[str],
    earlier: tuple[SaveRecord, ...],
    *,
    user_block: bytes = b"",
) -> Iterator[h5py.File]:
    """Write a new file in the place of one; it carries the records of the old one on.

    Parameters
    ----------
    path
        The file; this thread holds its lock.
    elements
        What differs in the new one.
    earlier
        Records in the old one.
    user_block
        Bytes in front of the HDF5 part.

    Raises
    ------
    StaleFileError
        If another program changed the file meanwhile.
    """
    state = state_of(os.fspath(path))
    assert state is not None
    opened: list[Recorded] = []
    stamp = lambda: opened[0].stamp if opened else None  # noqa: E731
    with new_file(path, user_block=user_block, stamp=stamp) as file:
        opened.append(Recorded(file, state.mtime_ns, earlier))
        yield file
        if state_of(os.fspath(path)) != state:
            raise StaleFileError(
                f"{path} was changed by another program while it was written anew; nothing was "
                "saved. Try again"
            )
        opened[0].record(elements)


def complete(path: str, write: Callable[[], None], follow: Callable[[], None]) -> None:
    """Save, and let the object follow its file, also if Ctrl-C came when the save counted already.

    Parameters
    ----------
    path
        The file; this thread holds its lock.
    write
        Saves.
    follow
        Lets the object be the new state of the file.
    """
    before = state_of(path)
    with defer_sigint(held=True):
        try:
            write()
        except KeyboardInterrupt:
            if state_of(path) != before:
                follow()
            raise
        follow()


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
