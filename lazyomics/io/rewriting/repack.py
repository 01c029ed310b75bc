"""Write a file anew: without unused space, with another codec, other chunks, another order."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lazyomics import config
from lazyomics.container.urls import writable_path
from lazyomics.errors import UnsupportedError
from lazyomics.graph import from_source, threads
from lazyomics.io.dataset_options import DatasetOptions, dataset_options
from lazyomics.io.encodings import element_kind, sparse_info
from lazyomics.io.files import checked_path, open_for_reading
from lazyomics.io.readers import reader_of
from lazyomics.io.rewriting.copying import Copying
from lazyomics.io.rewriting.recoding import (
    Recoder,
    copy_by_hdf5,
    holds_numbers,
    is_everywhere,
    kept_filters,
    recoder,
)
from lazyomics.io.save_records import ATTRIBUTE, SaveRecord, add_record, read_records
from lazyomics.io.transaction import claimed
from lazyomics.io.transposition.scratch import ScratchPlan
from lazyomics.io.transposition.storage_order import StorageOrder, checked_order
from lazyomics.io.writing import new_file

__all__ = ["Repacked", "repack"]

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
    if config.progress():
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

    recoding: Recoder
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
