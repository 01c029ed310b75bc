"""ZarrArray: an array of a zarr store, a picklable value that reads and counts what it reads."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from lazyomics.errors import FileFormatError, StaleFileError
from lazyomics.io.hdf5.array import NumberReads, record
from lazyomics.io.hdf5.codecs import DamagedChunkError
from lazyomics.io.hdf5.fetch import ChunkRequest
from lazyomics.io.hdf5.layout import Grid
from lazyomics.io.hdf5.pipeline import Place
from lazyomics.io.hdf5.ranges import Axis, Pieces, fetch_pieces, read_boxes, scatter
from lazyomics.io.zarr.codecs import ABSENT, ChunkCodec, codec_of_metadata
from lazyomics.io.zarr.stores import ZarrStore, damaged, readable
from lazyomics.lazy.indexer import Selector, positions

__all__ = ["ZarrArray"]

WINDOW_BYTES = 32 << 20  # that zarr is asked for at once, of stores that it reads itself


@dataclass(frozen=True)
class ZarrArray(NumberReads):
    """An array of numbers in a zarr store.

    Chunks of local folders are read and decoded in the calling thread; of other stores, and with
    codecs that are unknown here, by zarr.

    Parameters
    ----------
    store
        The store.
    name
        Path of the array in it, such as ``"X/data"``.
    shape
        Elements along each axis.
    dtype
        NumPy's name of the type that reads return, in the machine's byte order.
    chunk
        Elements of a chunk, which is decoded as a whole.
    codec
        How chunks are decoded here; None if zarr does it.
    state
        What tells the metadata of a local array from that of another; None for other stores.
    opened_ns
        Time stamp of the metadata in nanoseconds.
    """

    store: ZarrStore
    name: str
    shape: tuple[int, ...]
    dtype: str
    chunk: tuple[int, ...]
    codec: ChunkCodec | None
    state: tuple[int, int] | None = None
    opened_ns: int = field(default=0, compare=False)

    @classmethod
    def of(cls, array: Any, store: ZarrStore) -> ZarrArray:
        """Describe an open array; reads its metadata.

        Raises
        ------
        FileFormatError
            If it does not hold numbers.
        """
        name = str(array.path).strip("/")
        dtype = np.dtype(getattr(array.dtype, "str", "O"))
        if dtype.kind not in "biufc":
            raise damaged(store, name, expected="numbers", found=f"values of {array.dtype}")
        folder = _folder_of(store, array)
        codec = None if folder is None else codec_of_metadata(folder)
        if codec is not None and len(codec.chunk) != len(array.shape):
            raise damaged(
                store,
                name,
                expected=f"chunks of {len(array.shape)} dimensions",
                found=str(codec.chunk),
            )
        chunk = tuple(int(n) for n in array.chunks) if codec is None else codec.chunk
        state = None if folder is None else _state(folder)
        return cls(
            store,
            name,
            tuple(int(n) for n in array.shape),
            dtype.newbyteorder("=").str,
            tuple(max(1, n) for n in chunk),
            codec,
            state,
            0 if state is None else state[1],
        )

    @property
    def path(self) -> str:
        """The store, for messages."""
        return str(self.store)

    @property
    def chunk_rows(self) -> int:
        """Rows of a chunk."""
        return self.chunk[0]

    @property
    def grain_bytes(self) -> int:
        """Decoded bytes of a row of chunks, which are decoded whole."""
        return self.chunk_rows * math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    def read_ranges(self, starts: npt.ArrayLike, stops: npt.ArrayLike) -> NDArray[Any]:
        """Many ranges of a one-dimensional array, one behind the other in the given order."""
        low, high = self.checked_ranges(starts, stops)
        pieces = Pieces.of(low, high, self.chunk[0])
        out = np.empty(pieces.total, self.dtype)
        if out.size:
            chunks = _Chunks.of(self)
            if self.codec is None:
                chunks.fill_ranges(pieces, out)
            else:
                fetch_pieces(chunks, pieces, out)
            self._record(chunks)
        return out

    def read_2d(
        self, rows: npt.ArrayLike | slice, cols: npt.ArrayLike | slice | None = None
    ) -> NDArray[Any]:
        """Rows and columns of an array; the outer product of both selections."""
        picks: list[Selector] = [
            positions(rows, self.shape[0], "rows"),
            *(slice(0, n) for n in self.shape[1:]),
        ]
        if cols is not None:
            picks[1] = positions(cols, self.shape[1], "columns")
        axes = tuple(Axis.of(pick, c) for pick, c in zip(picks, self.chunk, strict=True))
        out = np.empty(tuple(axis.length for axis in axes), self.dtype)
        if out.size:
            chunks = _Chunks.of(self)
            if self.codec is None:
                chunks.fill_box(picks, out)
            else:
                read_boxes(chunks, axes, out)
            self._record(chunks)
        return out

    def cost_of_ranges(self, starts: npt.ArrayLike, stops: npt.ArrayLike) -> tuple[int, int]:
        """Chunks that ``read_ranges`` would decode, and their decoded bytes, at most."""
        low, high = self.checked_ranges(starts, stops)
        hit = len(Pieces.of(low, high, self.chunk[0]).numbers)
        return hit, hit * math.prod(self.chunk) * np.dtype(self.dtype).itemsize

    def cost_of_box(self, rows: Any, cols: Any = None) -> tuple[int, int]:
        """Chunks that ``read_2d`` would decode, and their decoded bytes, at most."""
        picks = [positions(rows, self.shape[0], "rows"), *(slice(0, n) for n in self.shape[1:])]
        if cols is not None:
            picks[1] = positions(cols, self.shape[1], "columns")
        axes = [Axis.of(pick, c) for pick, c in zip(picks, self.chunk, strict=True)]
        hit = math.prod(len(axis.chunks) for axis in axes)
        return hit, hit * math.prod(self.chunk) * np.dtype(self.dtype).itemsize

    def _record(self, chunks: _Chunks) -> None:
        decoded = chunks.decoded * math.prod(self.chunk) * np.dtype(self.dtype).itemsize
        record(
            self.path,
            self.name,
            chunks=chunks.decoded,
            bytes_read=chunks.bytes_read,
            bytes_decoded=decoded,
        )


def _folder_of(store: ZarrStore, array: Any) -> Path | None:
    """The folder of an array of a local store."""
    root = store.folder
    return None if root is None else root / str(array.path).strip("/")


def _state(folder: Path) -> tuple[int, int] | None:
    for name in ("zarr.json", ".zarray"):
        try:
            found = os.stat(folder / name)
        except OSError:
            continue
        return found.st_ino, found.st_mtime_ns
    return None


@dataclass(eq=False)
class _Chunks:
    """The chunks of one array while it is read."""

    array: ZarrArray
    grid: Grid
    folder: Path | None
    decoded: int = 0
    bytes_read: int = 0

    @classmethod
    def of(cls, array: ZarrArray) -> _Chunks:
        """Make sure that the array is what it was."""
        folder = array.store.folder
        folder = None if folder is None else folder / array.name
        if array.state is not None and (folder is None or _state(folder) != array.state):
            raise StaleFileError(
                f"{array.path}: {array.name!r} was replaced or changed after the store was opened; "
                "open it again"
            )
        return cls(array, Grid(array.shape, array.chunk), folder)

    def fetch(self, wanted: ChunkRequest, out: NDArray[Any], place: Place) -> None:
        """Decode the wanted chunks into ``out``, or hand them to ``place``."""
        codec, counts = self.array.codec, self.grid.counts
        assert codec is not None
        assert self.folder is not None
        flat, itemsize = out.reshape(-1), out.itemsize
        size = math.prod(self.array.chunk)

        def put(k: int, values: NDArray[Any]) -> None:
            goal = int(wanted.targets[k])
            if goal >= 0:
                flat[goal // itemsize : goal // itemsize + size] = values.reshape(-1)
            if goal < 0 or wanted.shared[k]:
                place(k, values)

        corners = np.stack(np.unravel_index(wanted.numbers, counts), axis=1)
        if codec.shard is None:
            for k, corner in enumerate(corners.tolist()):
                put(k, self._whole(codec, tuple(corner)))
            return
        inner = np.array(codec.chunks_in_shard)
        shards = (corners // inner).tolist()
        for shard, group in groupby(range(len(shards)), key=lambda k: tuple(shards[k])):
            self._from_shard(codec, shard, [(k, corners[k] % inner) for k in group], put)

    def _whole(self, codec: ChunkCodec, corner: tuple[int, ...]) -> NDArray[Any]:
        """One chunk in a file of its own."""
        assert self.folder is not None
        key = codec.key(corner)
        try:
            content = (self.folder / key).read_bytes()
        except FileNotFoundError:
            return self._absent(codec)
        return self._decoded(codec, content, key)

    def _absent(self, codec: ChunkCodec) -> NDArray[Any]:
        return np.broadcast_to(np.asarray(codec.fill, codec.dtype), codec.chunk)

    def _decoded(self, codec: ChunkCodec, content: bytes, key: str) -> NDArray[Any]:
        self.decoded += 1
        self.bytes_read += len(content)
        try:
            return codec.decode(content)
        except DamagedChunkError as error:
            raise self._damaged(key, error) from error

    def _damaged(self, key: str, error: DamagedChunkError) -> FileFormatError:
        return damaged(
            self.array.store,
            f"{self.array.name}/{key}",
            expected=error.expected,
            found=error.found,
        )

    def _from_shard(self, codec: ChunkCodec, shard: tuple[int, ...], wanted: Any, put: Any) -> None:
        """Chunks of one file."""
        assert self.folder is not None
        key = codec.key(shard)
        path = self.folder / key
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
                try:
                    places = _shard_index(str(path), stamp, codec)
                except DamagedChunkError as error:
                    raise self._damaged(key, error) from error
                for k, inner in wanted:
                    number = np.ravel_multi_index(tuple(inner), codec.chunks_in_shard)
                    offset, length = (int(n) for n in places[number])
                    if offset == ABSENT and length == ABSENT:
                        put(k, self._absent(codec))
                        continue
                    content = b""
                    if offset + length <= status.st_size:
                        content = os.pread(file.fileno(), length, offset)
                    if len(content) != length:
                        raise self._damaged(
                            key,
                            DamagedChunkError(
                                f"{length} bytes at {offset} for chunk {number} of the shard",
                                f"a file of {status.st_size} bytes",
                            ),
                        )
                    put(k, self._decoded(codec, content, key))
        except FileNotFoundError:
            for k, _ in wanted:
                put(k, self._absent(codec))

    def fill_ranges(self, pieces: Pieces, out: NDArray[Any]) -> None:
        """Fill ``out`` with ranges of an array that zarr reads, a run of chunks at a time."""
        array, chunk, length = self._opened(), self.grid.chunk[0], self.grid.shape[0]
        most = max(1, WINDOW_BYTES // max(1, chunk * out.itemsize))
        numbers = pieces.numbers
        breaks = [0, *(np.flatnonzero(np.diff(numbers) > 1) + 1).tolist(), len(numbers)]
        for first, last in pairwise(breaks):
            for a in range(first, last, most):
                b = min(a + most, last)
                start, stop = (
                    int(numbers[a]) * chunk,
                    min((int(numbers[b - 1]) + 1) * chunk, length),
                )
                values = self._read(array, slice(start, stop))
                part = slice(int(pieces.first[a]), int(pieces.first[b]))
                owner = np.repeat(numbers[a:b], np.diff(pieces.first[a : b + 1]))
                inner = pieces.source[part] + owner * chunk - start
                scatter(out, pieces.target[part], values, inner, pieces.length[part])
                self.decoded += b - a

    def fill_box(self, picks: list[Selector], out: NDArray[Any]) -> None:
        """Fill ``out`` with rows and columns of an array that zarr reads."""
        array = self._opened()
        key = tuple(slice(p.start, p.stop) if isinstance(p, slice) else p for p in picks)
        with readable(self.array.store, self.array.name):
            plain = all(isinstance(part, slice) for part in key)
            out[...] = array[key] if plain else array.oindex[key]
        self.decoded += math.prod(
            len(Axis.of(p, c).chunks) for p, c in zip(picks, self.grid.chunk, strict=True)
        )
        self.bytes_read += out.nbytes

    def _opened(self) -> Any:
        with readable(self.array.store, self.array.name):
            array = self.array.store.open()[self.array.name]
        if tuple(array.shape) != self.array.shape:
            raise StaleFileError(
                f"{self.array.path}: {self.array.name!r} has shape {tuple(array.shape)}, it had "
                f"{self.array.shape} when the store was opened; open it again"
            )
        return array

    def _read(self, array: Any, key: slice) -> NDArray[Any]:
        with readable(self.array.store, self.array.name):
            values = np.asarray(array[key])
        self.bytes_read += values.nbytes
        return values


@lru_cache(maxsize=256)
def _shard_index(path: str, stamp: tuple[int, int, int], codec: ChunkCodec) -> NDArray[np.uint64]:
    """Offsets and lengths of the chunks in a shard, read once for each state of the file."""
    size = codec.index_bytes
    with open(path, "rb") as file:
        if not codec.index_first:
            file.seek(max(0, stamp[2] - size))
        return codec.places_in_shard(file.read(size))
