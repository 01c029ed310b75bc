"""Copy a dataset into other chunks and another filter: decoded and compressed in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

import h5py
import numpy as np

from lazyomics.errors import FileFormatError
from lazyomics.io.chunk_writer import CHUNK_BYTES, encoded
from lazyomics.io.chunks import StoredArray
from lazyomics.io.chunks.layout import fingerprint_of
from lazyomics.io.compress import ChunkEncoder, Encoded, chunk_encoder
from lazyomics.io.dataset_options import DatasetOptions, chunk_bytes_of, kwargs_for
from lazyomics.io.encodings.filters import load_filters
from lazyomics.io.stream import chunk_shape

__all__ = ["Recoder", "copy_by_hdf5", "holds_numbers", "is_everywhere", "kept_filters", "recoder"]

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
class Recoder:
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
def recoder(path: str, threads: int) -> Iterator[Recoder]:
    """Open a recoder; leaving it well writes everything, leaving it with an error drops the rest.

    Notes
    -----
    Peak memory: for each thread two runs of 8 MiB (or of one chunk of the source, or one row of
    chunks of the target, if that is more), decoded and compressed.
    """
    executor = ThreadPoolExecutor(threads)
    made = Recoder(path, executor, most=threads + 1)
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
