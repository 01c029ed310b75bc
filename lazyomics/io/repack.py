"""Write a file anew with another compression, chunk size or order."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lazyomics import config
from lazyomics.container.annotated import writable_path
from lazyomics.errors import FileFormatError, UnsupportedError
from lazyomics.io.compress import (
    CHUNK_BYTES,
    ChunkEncoder,
    DatasetOptions,
    Encoded,
    chunk_bytes_of,
    chunk_encoder,
    dataset_options,
    encoded,
    kwargs_for,
)
from lazyomics.io.encodings import element_kind, sparse_info
from lazyomics.io.encodings.dataset_values import load_filters
from lazyomics.io.files import checked_path, open_for_reading
from lazyomics.io.hdf5 import StoredArray
from lazyomics.io.hdf5.layout import fingerprint_of
from lazyomics.io.readers import reader_of
from lazyomics.io.save_records import ATTRIBUTE, SaveRecord, add_record, read_records
from lazyomics.io.stream import chunk_shape
from lazyomics.io.transaction import claimed
from lazyomics.io.transpose import ScratchPlan, StorageOrder, checked_order
from lazyomics.io.writing import new_file
from lazyomics.lazy import from_source, threads

__all__ = [
    "Copying",
    "Repacked",
    "Transcoder",
    "copy_by_hdf5",
    "holds_numbers",
    "is_everywhere",
    "kept_filters",
    "recoder",
    "repack",
]


RUN_BYTES = 8 << 20  # decoded by one task: chunks of the source that it shares with its neighbours
# are decoded twice, so it should hold many of them
ROWS_AT_A_TIME = 1 << 17  # of texts and records

EVERYWHERE = frozenset(  # filters that any HDF5 with h5py can undo
    {
        h5py.h5z.FILTER_DEFLATE,
        h5py.h5z.FILTER_SHUFFLE,
        h5py.h5z.FILTER_FLETCHER32,
        h5py.h5z.FILTER_LZF,
    }
)

_Tiles = list[tuple[tuple[int, ...], Encoded]]


def holds_numbers(dataset: h5py.Dataset) -> bool:
    """Whether a dataset holds numbers, in this file, that can be stored in other chunks."""
    if not dataset.shape or not dataset.size or dataset.dtype.kind == "V":
        return False
    return fingerprint_of(dataset, 0).kind != "other"


def is_everywhere(dataset: h5py.Dataset) -> bool:
    """Whether its filters need no plugin."""
    properties = dataset.id.get_create_plist()
    codes = {properties.get_filter(k)[0] for k in range(properties.get_nfilters())}
    return codes <= EVERYWHERE


def copy_by_hdf5(dataset: h5py.Dataset, parent: h5py.Group, name: str) -> None:
    """Copy texts and records without their filter: who reads the copy may not have it."""
    load_filters(dataset)
    made = {"maxshape": dataset.maxshape, "chunks": dataset.chunks}
    target = parent.create_dataset(name, shape=dataset.shape, dtype=dataset.dtype, **made)
    for start in range(0, dataset.shape[0], ROWS_AT_A_TIME):
        target[start : start + ROWS_AT_A_TIME] = dataset[start : start + ROWS_AT_A_TIME]


@dataclass
class Transcoder:
    """Recodes datasets of one file, one after the other.

    Parameters
    ----------
    path
        The file that is read.
    executor
        Threads that decode and compress.
    most
        Runs that may be in flight.
    """

    path: str
    executor: ThreadPoolExecutor
    most: int
    _waiting: deque[tuple[h5py.Dataset, slice, Future[Any]]] = field(default_factory=deque)

    def recode(
        self,
        source: h5py.Dataset,
        parent: h5py.Group,
        name: str,
        options: DatasetOptions,
        dtype: np.dtype[Any] | None = None,
    ) -> None:
        """Write the values of ``source`` as a new dataset of ``parent``, without attributes.

        Parameters
        ----------
        source
            Open, of the file at ``path``; :func:`holds_numbers` says whether it can be recoded.
        parent, name
            Open group, writable, and the name of the new dataset.
        options
            Its filter and chunks. Without a codec it keeps its filters.
        dtype
            An integer type for the new dataset; by default that of the source.

        Raises
        ------
        FileFormatError
            If stored bytes are damaged, or a value does not fit ``dtype``.
        """
        dtype = dtype or source.dtype
        target = parent.create_dataset(
            name, shape=source.shape, dtype=dtype, **_layout(source, dtype, options)
        )
        stored = StoredArray.of(source, self.path)
        encode = chunk_encoder(target)
        for rows in _runs(source, target):
            future: Future[Any] = (
                self.executor.submit(_read, stored, rows, dtype)
                if encode is None
                else self.executor.submit(_recoded, stored, rows, dtype, encode, target.chunks)
            )
            self._waiting.append((target, rows, future))
            while len(self._waiting) > self.most:
                self._write_next()

    def finish(self) -> None:
        """Write all that waits."""
        while self._waiting:
            self._write_next()

    def _write_next(self) -> None:
        target, rows, future = self._waiting.popleft()
        made = future.result()
        if isinstance(made, np.ndarray):
            target[rows] = made
            return
        for place, (stored, mask) in made:
            target.id.write_direct_chunk(place, stored, mask)


@contextmanager
def recoder(path: str, threads: int) -> Iterator[Transcoder]:
    """Open a recoder; leaving it well writes everything, leaving it with an error drops the rest.

    Notes
    -----
    Peak memory: for each thread two runs of 8 MiB (or of one chunk of the source, or one row of
    chunks of the target, if that is more), decoded and compressed.
    """
    executor = ThreadPoolExecutor(threads)
    made = Transcoder(path, executor, most=threads + 1)
    try:
        yield made
        made.finish()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _layout(source: h5py.Dataset, dtype: np.dtype[Any], options: DatasetOptions) -> dict[str, Any]:
    """Filters, chunks, limits and fill value of the new dataset."""
    made = kwargs_for(options, dtype) if options.codec is not None else kept_filters(source)
    if source.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED:
        made["fillvalue"] = source.fillvalue
    if source.fletcher32:
        made["fletcher32"] = True
    resizable = source.maxshape != source.shape
    if resizable:
        made["maxshape"] = source.maxshape
    if made or resizable or options.chunk_bytes is not None:
        size = chunk_bytes_of(options, CHUNK_BYTES)
        made["chunks"] = chunk_shape(source.shape, dtype.itemsize, size)
    return made


def kept_filters(source: h5py.Dataset) -> dict[str, Any]:
    """The compression that a dataset has."""
    properties = source.id.get_create_plist()
    made: dict[str, Any] = {}
    for k in range(properties.get_nfilters()):
        code, _, values, _ = properties.get_filter(k)
        if code == h5py.h5z.FILTER_SHUFFLE:
            made["shuffle"] = True
        elif code == h5py.h5z.FILTER_DEFLATE:
            made.update(compression="gzip", compression_opts=values[0])
        elif code == h5py.h5z.FILTER_LZF:
            made["compression"] = "lzf"
        elif code > h5py.h5z.FILTER_RESERVED:
            made.update(compression=code, compression_opts=tuple(values))
    return made


def _runs(source: h5py.Dataset, target: h5py.Dataset) -> Iterator[slice]:
    """Rows of whole chunks of the target, for one task each."""
    row = prod(source.shape[1:]) * max(source.dtype.itemsize, 1)
    unit = target.chunks[0] if target.chunks else 1
    least = max(source.chunks[0] if source.chunks else 1, RUN_BYTES // row)
    step = -(-least // unit) * unit
    for start in range(0, source.shape[0], step):
        yield slice(start, min(start + step, source.shape[0]))


def _read(stored: StoredArray, rows: slice, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    values = stored.read_rows(rows.start, rows.stop)
    return values if values.dtype == dtype else _fitted(stored, values, dtype)


def _recoded(
    stored: StoredArray,
    rows: slice,
    dtype: np.dtype[Any],
    encode: ChunkEncoder,
    chunk: tuple[int, ...],
) -> _Tiles:
    """Decode a run of rows and encode it chunk by chunk."""
    values = _read(stored, rows, dtype)
    tiles: _Tiles = []
    for corner in product(*(range(0, n, c) for n, c in zip(values.shape, chunk, strict=True))):
        tile = values[tuple(slice(a, a + c) for a, c in zip(corner, chunk, strict=True))]
        place = (rows.start + corner[0], *corner[1:])
        tiles.append((place, encoded(encode, tile, chunk)))
    return tiles


def _fitted(
    stored: StoredArray, values: np.ndarray[Any, Any], dtype: np.dtype[Any]
) -> np.ndarray[Any, Any]:
    if dtype.kind in "iu" and len(values):
        limits, low, high = np.iinfo(dtype), int(values.min()), int(values.max())
        if low < limits.min or high > limits.max:
            raise FileFormatError.at(
                stored.path,
                stored.name,
                expected=f"integers from {limits.min} to {limits.max}",
                found=f"{low} to {high}",
                hint="The file is damaged; write it again from its source.",
            )
    return values.astype(dtype)


#: ``write(obj, parent, name)`` -> whether it wrote the object anew, without attributes
Rewrite = Callable[[Any, h5py.Group, str], bool]


@dataclass
class Copying:
    """One copy of a file.

    Parameters
    ----------
    source, target
        Both open; the target is empty and writable.
    rewrite
        Called with each group and dataset and where it goes; by default all is copied as stored.
    """

    source: h5py.File
    target: h5py.File
    rewrite: Rewrite | None = None
    _seen: dict[Any, str] = field(default_factory=dict)

    def run(self) -> None:
        """Copy the root's members, links and attributes, and let references refer to the copies.

        Raises
        ------
        UnsupportedError
            If there are references among the values.
        """
        renew = _holds_references(self.source)
        self._members(self.source, self.target)
        if renew:
            _renew_references(self.source, self.target)

    def _members(self, source: h5py.Group, target: h5py.Group) -> None:
        for key in source:
            link = source.get(key, getlink=True)
            if isinstance(link, h5py.HardLink):
                self._object(source[key], target, key)
            else:
                target[key] = link
        _copy_attributes(source, target)

    def _object(self, obj: Any, target: h5py.Group, key: str) -> None:
        if self.rewrite is None or not isinstance(obj, h5py.Group | h5py.Dataset):
            self.source.copy(obj, target, key)
            return
        info = h5py.h5o.get_info(obj.id)
        seen = self._seen.get((info.fileno, info.addr))
        if seen is not None:  # one object under several names
            target[key] = self.target[seen]
            return
        self._seen[info.fileno, info.addr] = f"{str(target.name).rstrip('/')}/{key}"
        if self.rewrite(obj, target, key):
            _copy_attributes(obj, target[key])
        elif isinstance(obj, h5py.Group):
            self._members(obj, _like(obj, target, key))
        else:
            self.source.copy(obj, target, key)


def _like(group: h5py.Group, parent: h5py.Group, key: str) -> h5py.Group:
    """An empty group that keeps the order of its members where the other one does."""
    made = h5py.h5g.create(parent.id, key.encode(), gcpl=group.id.get_create_plist())
    return h5py.Group(made)


def _copy_attributes(source: Any, target: Any) -> None:
    """Copy the attributes that the target does not have yet."""
    for key in source.attrs:
        if key in target.attrs:
            continue
        attribute = h5py.h5a.open(source.id, key.encode())
        value = source.attrs[key]
        target.attrs.create(key, value, shape=attribute.shape, dtype=attribute.dtype)


def _holds_references(source: h5py.File) -> bool:
    """Whether any attribute refers to an object, as categories did before anndata 0.8."""

    def look(name: str, obj: Any) -> bool | None:
        if isinstance(obj, h5py.Dataset) and h5py.check_ref_dtype(obj.dtype) is not None:
            raise UnsupportedError(
                f"{source.filename}: {name!r} holds references to other elements"
            )
        return True if any(isinstance(obj.attrs[k], h5py.Reference) for k in obj.attrs) else None

    return bool(source.visititems(look))


def _renew_references(source: h5py.File, target: h5py.File) -> None:
    def renew(name: str, obj: Any) -> None:
        for key in obj.attrs:
            value = obj.attrs[key]
            if isinstance(value, h5py.Reference) and value:
                target[name].attrs[key] = target[source[value].name].ref

    source.visititems(renew)


SMALL = 1 << 16  # unfiltered datasets of fewer bytes stay as they are
INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Repacked:
    """What `repack` did.

    Attributes
    ----------
    path
        The file that was written.
    before, after
        Bytes of the file that was read, and of the one that was written.

    Examples
    --------
    >>> Repacked(Path("counts.h5ad"), 532_000_000, 344_000_000)
    counts.h5ad: 532.0 MB → 344.0 MB (-35.3 %)
    """

    path: Path
    before: int
    after: int

    @property
    def given_back(self) -> int:
        """Bytes that the new file is smaller."""
        return self.before - self.after

    def __repr__(self) -> str:
        change = 100 * (self.after / self.before - 1) if self.before else 0.0
        sizes = f"{self.before / 1e6:,.1f} MB → {self.after / 1e6:,.1f} MB"
        return f"{self.path}: {sizes} ({change:+.1f} %)"


def repack(
    path: str | os.PathLike[str],
    *,
    codec: str | int | None = None,
    level: Any = None,
    shuffle: bool | None = None,
    chunk_bytes: int | str | None = None,
    storage: str | None = None,
    out: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
) -> Repacked:
    """Write a file anew: smaller, or faster to read, and readable by anndata as before.

    Without options everything is copied as it is stored, without decoding, which gives back the
    space that replaced and removed elements left. With a codec or a size of chunks all numbers are
    decoded and compressed again, in threads; everything else is copied. The new file is written
    beside its target and takes its place in one step: whatever is interrupted leaves the file as
    it was. Objects that were opened from it must be opened again.

    Parameters
    ----------
    path
        An .h5ad, .h5mu or other HDF5 file.
    codec
        Filter of all numbers: ``"gzip"``, ``"lzf"`` or ``"none"``, which every HDF5 reads;
        ``"zstd"``, ``"lz4"`` or ``"blosc"``, for which this and any program that reads the file
        needs hdf5plugin (``pip install 'lazyomics[codecs]'``, then ``import hdf5plugin`` before
        anndata opens the file). By default each element keeps its own. For fast passes
        ``"lz4"``, for small files that everyone opens ``"gzip"``.
    level
        Level of the codec, as ``compression_opts`` of :meth:`AnnData.write_h5ad`.
    shuffle
        Whether bytes are shuffled before they are compressed; by default those of integers.
    chunk_bytes
        Decoded bytes of a chunk; by default 1 MiB where numbers are written anew.
    storage
        ``"csr"`` or ``"csc"``: store X, raw.X and layers that are sparse by rows or by columns.
    out
        The new file; by default it takes the place of the old one.
    timeout
        Seconds to wait for another process that saves the file; ``lazyomics.lock-timeout`` (30) by
        default. 0 for an error at once.

    Returns
    -------
    Sizes before and after. With ``lazyomics.progress`` they are printed, too.

    Raises
    ------
    ValueError
        If there is no such codec, level or storage order.
    MissingDependencyError
        If the codec, or a filter in the file, is a plugin of HDF5 and hdf5plugin is not installed.
    BlockingIOError
        If another process saves the file, or keeps it open for writing, for the whole time.
    PermissionError
        If the file or its folder cannot be written.
    FileFormatError
        If stored bytes are damaged (only where they are decoded).
    UnsupportedError
        If it is an unusual HDF5 file with references among its values; for ``storage``, if a
        matrix has the layout of anndata before 0.7.

    Notes
    -----
    Values keep their types. Column positions and row pointers become int32 where they fit, and
    nothing smaller: anndata opens files with uint16 positions, but scanpy refuses to work on them.

    Passes over X: 1, of the stored bytes; of a matrix that ``storage`` turns over as
    :func:`transpose_storage`. Peak memory: a few chunks, for each thread two runs of 8 MiB where
    numbers are decoded, or ``lazyomics.memory`` while a matrix is turned over. The folder needs
    room for the new file beside the old one.

    Examples
    --------
    >>> import tempfile
    >>> import lazyomics as lo
    >>> folder = tempfile.TemporaryDirectory()
    >>> adata = lo.AnnData(obs={"n": [1, 2]}, var={"n": [3]})
    >>> adata.write_h5ad(f"{folder.name}/a.h5ad")
    >>> lo.repack(f"{folder.name}/a.h5ad", codec="gzip").given_back >= 0
    True
    >>> folder.cleanup()
    """
    found = Path(checked_path(writable_path(os.fspath(path))))
    goal = found if out is None else Path(writable_path(os.fspath(out)))
    options = dataset_options(codec, level, shuffle=shuffle, chunk_bytes=chunk_bytes)
    order = None
    if storage is not None:
        order = StorageOrder(checked_order(storage), ScratchPlan(goal.absolute().parent))
    with _opened(found, goal, timeout) as source:
        before = os.stat(found).st_size
        with open(found, "rb") as raw:
            user_block = raw.read(int(source.userblock_size))
        follows = goal.exists() and os.path.samefile(found, goal)
        stamps: list[int] = []
        with new_file(
            goal, user_block=user_block, stamp=lambda: stamps[0] if stamps else None
        ) as target:
            _write(source, target, str(found), options, order)
            if follows and ATTRIBUTE in source.attrs:
                stamps.append(_record(source, target, os.stat(found).st_mtime_ns))
            elif ATTRIBUTE in target.attrs:  # it is the beginning of another file
                del target.attrs[ATTRIBUTE]
    made = Repacked(goal, before, os.stat(goal).st_size)
    if config.progress_after() is not None:
        print(made)
    return made


def _record(source: h5py.File, target: h5py.File, before: int) -> int:
    """Record that the new file holds what the old one did; return its time stamp."""
    stamp = max(time.time_ns(), before + 1)
    add_record(target, SaveRecord.now(stamp, before, ()), read_records(source))
    return stamp


@contextmanager
def _opened(found: Path, goal: Path, timeout: float | None) -> Iterator[h5py.File]:
    """The file to read; nobody else may change it if it is to be replaced."""
    if goal.exists() and os.path.samefile(found, goal):
        with claimed(found, timeout=timeout), open_for_reading(found) as source:
            yield source
    else:
        with open_for_reading(found) as source:
            yield source


def _write(
    source: h5py.File,
    target: h5py.File,
    path: str,
    options: DatasetOptions,
    order: StorageOrder | None,
) -> None:
    if not options and order is None:
        Copying(source, target).run()
        return
    with recoder(path, threads()) as recoding:
        Copying(source, target, _Rewriting(recoding, options, order)).run()


@dataclass(frozen=True)
class _Rewriting:
    """What is written anew, and how."""

    recoding: Transcoder
    options: DatasetOptions
    order: StorageOrder | None

    def __call__(self, obj: Any, parent: h5py.Group, name: str) -> bool:
        if isinstance(obj, h5py.Group):
            return self.order is not None and self._turned(obj, parent, name, self.order)
        if not self.options:
            return False
        if not holds_numbers(obj):
            copied = self.options.codec is None or is_everywhere(obj)
            if not copied:
                copy_by_hdf5(obj, parent, name)
            return not copied
        dtype = _narrowest(obj)
        plain = obj.id.get_create_plist().get_nfilters() == 0
        if plain and obj.nbytes < SMALL and dtype == obj.dtype:
            return False
        self.recoding.recode(obj, parent, name, self.options, dtype)
        return True

    def _turned(
        self, group: h5py.Group, parent: h5py.Group, name: str, order: StorageOrder
    ) -> bool:
        """Write a sparse matrix by its other axis; False for what is none, or is as it should."""
        if not order.covers(str(group.name).strip("/")) or _order_of(group) in (None, order.to):
            return False
        if "encoding-type" not in group.attrs:
            raise UnsupportedError(
                f"{group.file.filename}: {group.name!r} has the layout of anndata before 0.7: "
                "write the file anew with lo.read_h5ad(path).write_h5ad(new, storage=…)"
            )
        options = self.options if self.options.codec is not None else _kept(group, self.options)
        return order.write(parent, name, from_source(reader_of(group)), options)


def _order_of(group: h5py.Group) -> str | None:
    return {"csr_matrix": "csr", "csc_matrix": "csc"}.get(element_kind(group))


def _kept(group: h5py.Group, options: DatasetOptions) -> DatasetOptions:
    """The filter of a matrix's values."""
    filters = kept_filters(group["data"])
    return DatasetOptions(
        codec=filters.get("compression", "none"),
        level=filters.get("compression_opts"),
        shuffle=filters.get("shuffle") or options.shuffle,
        chunk_bytes=options.chunk_bytes,
    )


def _narrowest(dataset: h5py.Dataset) -> np.dtype[Any]:
    """The type of a new dataset: int32 for indices and pointers of a matrix, if both fit."""
    group = dataset.parent
    name = str(dataset.name).rpartition("/")[2]
    if name not in ("indices", "indptr") or _order_of(group) is None:
        return dataset.dtype
    pair = [group.get(part) for part in ("indices", "indptr")]
    whole = all(isinstance(part, h5py.Dataset) and holds_numbers(part) for part in pair)
    if not whole or any(part.dtype.kind not in "iu" for part in pair):
        return dataset.dtype
    _, shape = sparse_info(group)
    fits = max(*shape, *(part.size for part in pair)) <= INT32.max
    return np.dtype(np.int32) if fits else dataset.dtype
