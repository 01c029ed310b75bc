"""Write an object to a new file: beside the target, block by block, renamed when complete."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import scipy.sparse as sp

from lazyomics.container.anndata import AnnData
from lazyomics.container.deferred import computed, is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.mudata import MuData
from lazyomics.container.raw import RawParts
from lazyomics.io.compress import dataset_options
from lazyomics.io.encodings import (
    frame_columns,
    open_member,
    strings_to_categoricals,
    write_element,
    write_frame,
)
from lazyomics.io.encodings.damage import as_format_errors
from lazyomics.io.encodings.dataset_values import check_texts
from lazyomics.io.encodings.registry import (
    ScverseAnnData,
    check_name,
    holds_its_values,
    mark,
    refusal,
    refuses,
    writes,
)
from lazyomics.io.opening import dense
from lazyomics.io.save.verify import verify
from lazyomics.io.snapshot import Snapshot
from lazyomics.io.stored import StoredElement, StoredFrame, StoredMatrix
from lazyomics.io.stream import stream_matrix, streamable
from lazyomics.io.transaction import Stamp, atomic_replace, raise_failures
from lazyomics.lazy.kinds import is_dask_array
from lazyomics.lazy.recipe import Recipe

if TYPE_CHECKING:
    from lazyomics.io.transpose import StorageOrder

__all__ = ["dataset_options", "new_file", "write_new", "write_root", "write_value"]


refuses(MuData, instead="Store its modalities in a dict, or write it to an .h5mu of its own.")

WRITING: ContextVar[tuple[int, ...]] = ContextVar("WRITING", default=())
DEEPEST = 64  # groups inside groups; what is deeper is not copied unread


def write_new(
    adata: AnnData, path: Path, *, options: Mapping[str, Any], order: StorageOrder | None = None
) -> None:
    """Stream an object to ``path``; an existing file is replaced only by a complete one."""
    with new_file(path) as file:
        write_anndata(file, adata, options, order)


@contextmanager
def new_file(path: Path, *, user_block: bytes = b"", stamp: Stamp = None) -> Iterator[h5py.File]:
    """Open a file beside ``path`` for writing; put it in place when the block ends well.

    ``user_block`` is put before the HDF5 part; HDF5 allows lengths of 512, 1024, 2048, …. Nobody
    else saves or writes the file meanwhile; reading it goes on. ``stamp`` is its time of the last
    change then.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected the name of a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist")
    with atomic_replace(target, user_block=user_block, stamp=stamp) as file:
        yield file


def write_anndata(
    group: h5py.Group,
    adata: AnnData,
    options: Mapping[str, Any],
    order: StorageOrder | None = None,
) -> None:
    """Write all parts of an object into an empty group, sparse matrices in an order.

    Matrices come last: the file that the others are read from is opened once, and closed before
    the long work, so that others can save it meanwhile.
    """
    group.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    matrices: Matrices = []
    with _session(adata):
        _write_frame(group, "obs", adata._obs, options)
        _write_frame(group, "var", adata._var, options)
        if not adata._x.is_absent:
            write_value(group, "X", adata._x.held, options, order, matrices)
        for mapping in adata._mappings():
            _write_dict(group, mapping.name, mapping.stored(), options, order, matrices)
        _write_dict(group, "uns", adata._uns.stored(), options)
        if adata._raw is not None:
            write_raw(group, adata._raw, options, order, matrices)
    for write in matrices:
        write()
    verify(group)


#: Writes matrices whose blocks are read and computed one after the other.
Matrices = list[Callable[[], None]]


def _session(adata: AnnData) -> AbstractContextManager[None]:
    """A session of the file that an object is read from; none for one in memory."""
    parts = [adata._obs.stored, adata._var.stored, adata._x.held]
    for value in (*parts, *(v for m in adata._mappings() for v in m.stored().values())):
        snapshot = getattr(getattr(value, "base", value), "snapshot", None)
        if isinstance(snapshot, Snapshot):
            return snapshot.session()
    return nullcontext()


def write_raw(
    group: h5py.Group,
    raw: RawParts,
    options: Mapping[str, Any],
    order: StorageOrder | None = None,
    matrices: Matrices | None = None,
) -> None:
    """Write raw into a group that has none; nulls and empty groups in its place are removed."""
    for name in ("raw", "raw.X", "raw.var", "raw.varm"):
        if name in group:
            del group[name]
    made = group.create_group("raw")
    made.attrs.update({"encoding-type": "raw", "encoding-version": "0.1.0"})
    if not raw.x.is_absent:
        write_value(made, "X", raw.x.held, options, order, matrices)
    _write_frame(made, "var", raw.var, options)
    _write_dict(made, raw.varm.name, raw.varm.stored(), options)


def _write_frame(group: h5py.Group, name: str, slot: FrameSlot, options: Mapping[str, Any]) -> None:
    stored = slot.stored
    if isinstance(stored, StoredFrame) and stored.only is None:
        if options or not stored.is_as_stored or not _copied(group, name, stored):
            # nobody looked at it: its columns of text stay text, as in a copy
            write_frame(group, name, stored.load(), dataset_kwargs=options)
        return
    write_frame(group, name, strings_to_categoricals(slot.frame), dataset_kwargs=options)


def _write_dict(
    group: h5py.Group,
    name: str,
    values: Mapping[str, Any],
    options: Mapping[str, Any],
    order: StorageOrder | None = None,
    matrices: Matrices | None = None,
) -> None:
    made = group.create_group(name)
    made.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
    for key, value in values.items():
        write_value(made, key, value, options, order, matrices)


def write_value(
    group: h5py.Group,
    name: str,
    value: Any,
    options: Mapping[str, Any],
    order: StorageOrder | None = None,
    matrices: Matrices | None = None,
) -> None:
    """Write one value, held in memory, lazy, or still in another file.

    With ``matrices``, what writes a lazy matrix is put there and is called later.
    """
    raise_failures()  # so that nothing is computed for a disk that is full
    place = f"{group.name}/{name}".removeprefix("/").lstrip("/")
    if place in getattr(options, "dense", ()):
        value = dense(value)
    if order is not None and order.covers(place):
        if matrices is not None:
            matrices.append(partial(write_value, group, name, value, options, order))
            return
        if order.write(group, name, value, options):
            return
    stored = isinstance(value, StoredElement | StoredMatrix)
    if stored and not options and _copied(group, name, value):
        return
    if is_deferred(value):
        value = streamable(value)
    value = computed(value) if isinstance(value, Mapping) else value
    if isinstance(value, Recipe) or (is_dask_array(value) and value.ndim == 2):
        _stream(group, name, value, options, matrices)
        return
    if is_dask_array(value):
        value = value.compute()
    if options and _is_matrix(value):
        stream_matrix(group, name, value, dataset_kwargs=options)  # compresses in threads
        return
    write_element(group, name, value, dataset_kwargs=options)


def _stream(
    group: h5py.Group,
    name: str,
    value: Any,
    options: Mapping[str, Any],
    matrices: Matrices | None,
) -> None:
    write = partial(stream_matrix, group, name, value, dataset_kwargs=options)
    if matrices is None:
        write()
    else:
        matrices.append(write)


def _is_matrix(value: Any) -> bool:
    """Whether a value in memory is a matrix of numbers that can be cut into blocks."""
    if sp.issparse(value):
        return value.ndim == 2 and value.format in ("csr", "csc")
    return type(value) is np.ndarray and value.ndim == 2 and value.dtype.kind in "iuf"


def _copied(
    group: h5py.Group, name: str, stored: StoredElement | StoredMatrix | StoredFrame
) -> bool:
    """Copy an unchanged element as it is stored, without decoding it.

    Only elements of today's encodings: older ones are written anew, so that a new file is new
    throughout. And only such that hold their values: what they refer to would stay behind.
    """
    with stored.snapshot.open() as source:
        if isinstance(stored, StoredFrame):
            if not stored.snapshot.holds(source, stored.name):
                return False  # others may have added columns, which the object does not show
        else:
            stored.snapshot.check(source, stored.name)
        obj = open_member(source, stored.name.lstrip("/"))
        if not _is_current(obj) or not holds_its_values(obj):
            return False
        _copy_as_stored(obj, group, name)
    return True


@as_format_errors
def _copy_as_stored(obj: Any, group: h5py.Group, name: str) -> None:
    check_texts(obj)
    obj.file.copy(obj, group, name)


@as_format_errors
def _is_current(obj: Any, depth: int = 0) -> bool:
    """Whether an element, and all that is in it, says its encoding."""
    if "encoding-type" not in obj.attrs:
        return False
    kind = str(obj.attrs["encoding-type"])
    if kind in ("csr_matrix", "csc_matrix"):
        indices = open_member(obj, "indices")
        if not isinstance(indices, h5py.Dataset) or indices.dtype == np.uint64:
            return False  # damaged, or of a type that scipy cannot work with
    if kind not in ("anndata", "categorical", "dataframe", "dict", "raw"):
        return kind in (
            "array",
            "null",
            "csr_matrix",
            "csc_matrix",
            "string-array",
            "string",
            "numeric-scalar",
            "rec-array",
            "nullable-integer",
            "nullable-boolean",
        )
    if kind == "dataframe" and not _is_current_frame(obj):
        return False
    if depth == DEEPEST:
        return False  # a cycle, or damage: reading it will say so
    return all(_is_current(open_member(obj, key), depth + 1) for key in obj)


def _is_current_frame(obj: Any) -> bool:
    """Whether a table has today's layout, and all columns that it says it has."""
    if "_index" not in obj.attrs or "column-order" not in obj.attrs:
        return False
    columns = frame_columns(obj)
    whole = all(column in obj for column in columns)
    distinct = len(columns) == np.size(obj.attrs["column-order"])
    return whole and distinct and str(obj.attrs["encoding-version"]) == "0.2.0"


@writes(AnnData)
def write_nested(parent: h5py.Group, name: str, value: AnnData, options: Mapping[str, Any]) -> None:
    """Write an AnnData into a group of its own."""
    above = WRITING.get()
    if id(value) in above:
        raise refusal(parent, name, value, "It holds itself: store a copy of it without that.")
    token = WRITING.set((*above, id(value)))
    try:
        value._align_tables(strict=True)
        write_anndata(parent.create_group(name), value, options)
    finally:
        WRITING.reset(token)


def write_root(group: h5py.Group, value: Any, options: Mapping[str, Any]) -> None:
    """Write an AnnData or a mapping as an open group itself, in the place of what it holds."""
    if isinstance(value, Mapping):
        for key in value:
            check_name(str(group.name), key)
        group.clear()
        mark(group, "dict", "0.1.0")
        for key, item in value.items():
            write_element(group, key, item, dataset_kwargs=options)
        return
    adata = value if isinstance(value, AnnData) else AnnData.from_anndata(value)
    adata._align_tables(strict=True)
    group.clear()
    write_anndata(group, adata, options)


@writes(ScverseAnnData)
def write_scverse(parent: h5py.Group, name: str, value: Any, options: Mapping[str, Any]) -> None:
    """Write an object of the package anndata."""
    write_nested(parent, name, AnnData.from_anndata(value), options)
