"""Compress chunks in threads, and hand them to HDF5 in order."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import h5py
import numpy as np
from dask.utils import parse_bytes

from lazyomics.errors import MissingDependencyError, require
from lazyomics.io.hdf5.codecs import (
    BLOSC,
    DEFLATE,
    LZ4,
    LZF,
    ZSTD,
    Buffer,
    NativeEncoder,
    native_blosc,
    native_deflate,
    native_lz4,
    native_lzf,
    native_shuffle,
    native_zstd,
)

__all__ = [
    "CHUNK_BYTES",
    "CODECS",
    "PLUGIN_CODECS",
    "ChunkEncoder",
    "ChunkPool",
    "ChunkWriter",
    "DatasetOptions",
    "Encoded",
    "chunk_bytes_of",
    "chunk_encoder",
    "chunk_pool",
    "dataset_options",
    "encoded",
    "filter_options",
    "kwargs_for",
]


SHUFFLE = 2

#: Names of filters that HDF5 has as plugins, and of the classes of hdf5plugin that describe them.
PLUGIN_CODECS = {"blosc": "Blosc", "lz4": "LZ4", "zstd": "Zstd"}

CODECS = ("none", "gzip", "lzf", "zstd", "lz4", "blosc")

_LEVEL_OF = {"blosc": "clevel", "zstd": "clevel", "lz4": "nbytes"}
_OVERHEAD = 1 << 12  # beyond one part in 64, more than any of the formats adds

#: Stored bytes, and the mask of the filters that were skipped.
Encoded = tuple[Any, int]

#: One filter: returns the filtered bytes, or None where they would not be smaller.
_Filter = Callable[[Buffer], "Buffer | None"]


def filter_options(
    compression: str | int | None = None, compression_opts: Any = None, *, shuffle: bool = False
) -> dict[str, Any]:
    """Options of ``h5py.Group.create_dataset`` for a filter by its name.

    Parameters
    ----------
    compression
        One of `CODECS`, a filter's number in HDF5's registry, or None for no filter.
    compression_opts
        Level of the filter (of lz4: bytes of a block; of a filter by number: its values).
    shuffle
        Store first bytes, second bytes, … of a chunk together, before compressing; without a
        filter this has no use and is left out. Blosc does it by itself.

    Raises
    ------
    ValueError
        If there is no such filter, or level for it.
    MissingDependencyError
        If the filter is a plugin and hdf5plugin is not installed, or does not offer it.
    """
    name = compression.lower() if isinstance(compression, str) else compression
    if name is None or name == "none":
        if compression_opts is not None:
            raise ValueError(f"a level ({compression_opts!r}) needs a codec: one of {CODECS[1:]}")
        return {}
    if isinstance(name, str) and name in PLUGIN_CODECS:
        return _plugin_options(name, compression_opts, shuffle)
    _check(name, compression_opts)
    options = {"compression": name, "compression_opts": compression_opts}
    if shuffle and name != BLOSC:
        options["shuffle"] = True
    return {key: value for key, value in options.items() if value is not None}


def _check(name: str | int, level: Any) -> None:
    if isinstance(name, int):
        if not h5py.h5z.filter_avail(name):
            require("hdf5plugin", extra="codecs", purpose=f"compression={name!r}")
    elif name not in CODECS:
        raise ValueError(f"compression: expected one of {CODECS} or None, found {name!r}")
    elif name == "lzf" and level is not None:
        raise ValueError(f"lzf has no levels, found {level!r}")
    elif name == "gzip" and level not in (None, *range(10)):
        raise ValueError(f"levels of gzip go from 0 to 9, found {level!r}")


def _plugin_options(name: str, level: int | None, shuffle: bool) -> dict[str, Any]:
    plugins = require("hdf5plugin", extra="codecs", purpose=f"compression={name!r}")
    chosen: dict[str, Any] = {} if level is None else {_LEVEL_OF[name]: level}
    if name == "blosc":
        chosen["shuffle"] = plugins.Blosc.SHUFFLE if shuffle else plugins.Blosc.NOSHUFFLE
    described = getattr(plugins, PLUGIN_CODECS[name])
    if not h5py.h5z.filter_avail(described.filter_id):
        raise MissingDependencyError(
            f"compression={name!r}: this build of hdf5plugin does not offer it. Install it with: "
            "pip install 'lazyomics[codecs]'"
        )
    options = dict(described(**chosen))
    return options if name == "blosc" or not shuffle else {**options, "shuffle": True}


@dataclass
class ChunkEncoder:
    """The filters of a dataset, for chunks of its dtype; any number of threads may call it.

    Parameters
    ----------
    make
        Makes the filters with the state that one thread needs, in the order of the dataset.
    """

    make: Callable[[], list[_Filter]]
    _idle: deque[list[_Filter]] = field(default_factory=deque)

    def __call__(self, chunk: np.ndarray[Any, Any]) -> Encoded:
        """Stored form of one whole C-contiguous chunk."""
        try:
            filters = self._idle.pop()
        except IndexError:
            filters = self.make()
        memory, mask = Buffer(chunk), 0
        for k, apply in enumerate(filters):
            made = apply(memory)
            if made is None:
                mask |= 1 << k
            else:
                memory = made
        self._idle.append(filters)
        return memory.view, mask


def chunk_encoder(dataset: h5py.Dataset) -> ChunkEncoder | None:
    """Encoder of a dataset's chunks; None where only HDF5 itself can apply its filters.

    Parameters
    ----------
    dataset
        Chunked, of plain numbers.
    """
    if dataset.chunks is None or dataset.dtype.kind not in "biuf" or not dataset.dtype.isnative:
        return None
    properties = dataset.id.get_create_plist()
    factories = []
    for k in range(properties.get_nfilters()):
        code, _, values, _ = properties.get_filter(k)
        factory = _FACTORIES.get(code)
        if factory is None:
            return None
        factories.append(partial(factory, tuple(values), dataset.dtype.itemsize))
    made = [factory() for factory in factories]
    filters = [f for f in made if f is not None]
    if len(filters) != len(made):
        return None
    first = deque([filters])
    return ChunkEncoder(lambda: [f for f in (make() for make in factories) if f], first)


def _compressing(encode: NativeEncoder, *, must_shrink: bool = False) -> _Filter:
    def apply(source: Buffer) -> Buffer | None:
        size = len(source)
        target = Buffer.empty(size if must_shrink else size + size // 64 + _OVERHEAD)
        written = encode(source.address, size, target.address, len(target))
        return Buffer(target.bytes[:written]) if written > 0 else None

    return apply


def _deflate(values: tuple[int, ...], width: int) -> _Filter | None:
    level = values[0] if values else 4
    native = native_deflate(level)
    if native is not None:
        return _compressing(native)
    try:
        import deflate
    except ImportError:
        compress: Callable[[Any], Any] = partial(zlib.compress, level=level)
    else:
        compress = partial(deflate.zlib_compress, compresslevel=level)
    return lambda source: Buffer(np.frombuffer(compress(source.view), np.uint8))


def _zstd(values: tuple[int, ...], width: int) -> _Filter | None:
    native = native_zstd(values[0] if values else 3)
    return None if native is None else _compressing(native)


def _lzf(values: tuple[int, ...], width: int) -> _Filter | None:
    native = native_lzf()
    return None if native is None else _compressing(native, must_shrink=True)


def _blosc(values: tuple[int, ...], width: int) -> _Filter | None:
    if len(values) < 7:  # the filter completes its values when a dataset is made
        return None
    native = native_blosc(values[4], values[5], values[6], width)
    return None if native is None else _compressing(native)


def _lz4(values: tuple[int, ...], width: int) -> _Filter | None:
    """HDF5's own framing: total size, block size, then each block behind its stored size."""
    native = native_lz4()
    if native is None:
        return None
    most = values[0] if values and values[0] else 1 << 30

    def apply(source: Buffer) -> Buffer:
        size = len(source)
        block = max(1, min(most, size))
        count = -(-size // block)
        target = Buffer.empty(12 + size + count * 4 + size // 64 + _OVERHEAD)
        target.view[:12] = size.to_bytes(8, "big") + block.to_bytes(4, "big")
        end = 12
        for start in range(0, size, block):
            length = min(block, size - start)
            room = len(target) - end - 4
            stored = native(source.address + start, length, target.address + end + 4, room)
            if not 0 < stored < length:  # a block that does not shrink is stored as it is
                stored = length
                target.view[end + 4 : end + 4 + length] = source.view[start : start + length]
            target.view[end : end + 4] = stored.to_bytes(4, "big")
            end += 4 + stored
        return Buffer(target.bytes[:end])

    return apply


def _shuffle(values: tuple[int, ...], width: int) -> _Filter | None:
    native = native_shuffle()

    def apply(source: Buffer) -> Buffer:
        if native is None or len(source) >= 2**31:
            planes = source.bytes.reshape(-1, width).T
            return Buffer(np.ascontiguousarray(planes).reshape(-1))
        target = Buffer.empty(len(source))
        native(width, len(source), source.address, target.address)
        return target

    return apply


_FACTORIES: dict[int, Callable[[tuple[int, ...], int], _Filter | None]] = {
    DEFLATE: _deflate,
    SHUFFLE: _shuffle,
    LZF: _lzf,
    LZ4: _lz4,
    BLOSC: _blosc,
    ZSTD: _zstd,
}


CHUNK_BYTES = 1 << 20  # few chunks to look up, and still quick to decode one


class ChunkPool:
    """Compresses chunks in threads and writes them in the order they were given."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads)
        self._most = 2 * threads
        self._waiting: deque[tuple[Any, tuple[int, ...], Future[Encoded]]] = deque()

    def submit(self, target: Any, place: tuple[int, ...], encode: Any, *args: Any) -> None:
        """Have a chunk compressed; write those that are ready when many wait."""
        self._waiting.append((target, place, self._executor.submit(encode, *args)))
        while len(self._waiting) > self._most:
            self._write_next()

    def finish(self) -> None:
        """Write all that waits."""
        while self._waiting:
            self._write_next()

    def stop(self) -> None:
        """Drop what waits and wait for the threads."""
        self._waiting.clear()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _write_next(self) -> None:
        target, place, future = self._waiting.popleft()
        stored, mask = future.result()
        target.write_direct_chunk(place, stored, mask)


@contextmanager
def chunk_pool(threads: int) -> Iterator[ChunkPool]:
    """Open a pool; leaving it well writes everything, leaving it with an error drops the rest."""
    pool = ChunkPool(threads)
    try:
        yield pool
        pool.finish()
    finally:
        pool.stop()


class ChunkWriter:
    """Appends along the first axis of a dataset.

    Parameters
    ----------
    dataset
        Of one or two dimensions. It grows with the values where its first axis is unlimited.
    pool
        Where chunks are compressed.

    Notes
    -----
    Memory: less than one row of chunks, and two chunks for each thread of the pool. Datasets
    that are not chunked, or have filters that only HDF5 knows, are written by HDF5.
    """

    def __init__(self, dataset: h5py.Dataset, pool: ChunkPool) -> None:
        self._dataset, self._pool = dataset, pool
        self._encode: ChunkEncoder | None = chunk_encoder(dataset)
        self._grows = dataset.maxshape[0] is None
        self._rest: list[np.ndarray[Any, Any]] = []
        self._start = 0  # of the first row that is in no written chunk
        self._length = 0

    @property
    def length(self) -> int:
        """Rows that were appended."""
        return self._length

    def append(self, values: np.ndarray[Any, Any]) -> None:
        """Add rows behind those that are there."""
        if len(values) == 0:
            return
        values = np.ascontiguousarray(values, dtype=self._dataset.dtype)
        before, self._length = self._length, self._length + len(values)
        if self._grows:
            self._dataset.resize(self._length, axis=0)
        if self._encode is None:
            self._dataset[before : self._length] = values
            return
        self._cut(values)

    def close(self) -> None:
        """Hand over the last chunk, which may be partial."""
        if self._rest:
            self._emit(np.concatenate(self._rest))
            self._rest.clear()

    def _cut(self, values: np.ndarray[Any, Any]) -> None:
        step = self._dataset.chunks[0]
        held = sum(len(part) for part in self._rest)
        if held:
            self._rest.append(values[: step - held].copy())
            values = values[step - held :]
            if held + len(self._rest[-1]) < step:
                return
            self.close()
        whole = len(values) - len(values) % step
        for a in range(0, whole, step):
            self._emit(values[a : a + step])
        if whole < len(values):
            self._rest.append(values[whole:].copy())

    def _emit(self, rows: np.ndarray[Any, Any]) -> None:
        """Hand over one row of chunks, ``rows`` being at most as many as a chunk has."""
        chunk, start = self._dataset.chunks, self._start
        self._start += len(rows)
        if rows.ndim == 1:
            self._pool.submit(self._dataset.id, (start,), encoded, self._encode, rows, chunk)
            return
        for a in range(0, rows.shape[1], chunk[1]):
            tile = rows[:, a : a + chunk[1]]
            self._pool.submit(self._dataset.id, (start, a), encoded, self._encode, tile, chunk)


def encoded(encode: ChunkEncoder, values: np.ndarray[Any, Any], chunk: tuple[int, ...]) -> Encoded:
    """Encode values as a whole chunk: HDF5 stores also those at the edge at full size."""
    if values.shape != chunk:
        whole = np.zeros(chunk, values.dtype)
        whole[tuple(slice(0, n) for n in values.shape)] = values
        values = whole
    return encode(np.ascontiguousarray(values))


@dataclass(frozen=True, eq=False)
class DatasetOptions(Mapping[str, Any]):
    """Options of ``h5py.Group.create_dataset``; :func:`kwargs_for` fits them to a type.

    As a mapping it holds what any dataset of numbers takes. It is false where nothing was asked
    for: elements are then copied as they are stored.

    Attributes
    ----------
    codec
        Name of the filter, or its number in HDF5's registry; ``"none"`` for no filter whatever was
        there before, None for no word on it.
    level
        Level of the filter.
    shuffle
        Whether bytes are shuffled before they are compressed. None: those of integers. Column
        positions rise slowly, so that their high bytes repeat, while counts and their logarithms
        are a few values over and over, which compressors find as they are.
    chunk_bytes
        Decoded bytes of a chunk of a matrix; None for the writer's default.
    dense
        Places in the file, such as ``"X"``, of sparse matrices that are to be stored dense.
    """

    codec: str | int | None = None
    level: Any = None
    shuffle: bool | None = None
    chunk_bytes: int | None = None
    dense: frozenset[str] = frozenset()

    def of(self, kind: str) -> dict[str, Any]:
        """Options for values of a NumPy kind: ``"i"``, ``"u"``, ``"f"``, …."""
        shuffle = kind in "iu" if self.shuffle is None else self.shuffle
        return filter_options(self.codec, self.level, shuffle=shuffle)

    def __bool__(self) -> bool:
        return self.codec is not None or self.chunk_bytes is not None

    @cached_property
    def _of_any(self) -> dict[str, Any]:
        return self.of("V")

    def __getitem__(self, key: str) -> Any:
        return self._of_any[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of_any)

    def __len__(self) -> int:
        return len(self._of_any)


def dataset_options(
    compression: str | int | None = None,
    compression_opts: Any = None,
    *,
    shuffle: bool | None = None,
    chunk_bytes: int | str | None = None,
) -> DatasetOptions:
    """Options of new datasets as the write methods take them.

    Parameters
    ----------
    compression, compression_opts, shuffle
        As for :class:`DatasetOptions`.
    chunk_bytes
        Bytes, or a text such as ``"1 MiB"``.

    Raises
    ------
    ValueError
        If there is no such codec or level, or chunks would be empty or beyond HDF5's 4 GiB.
    MissingDependencyError
        If the codec is a plugin of HDF5 and hdf5plugin is not installed.

    Examples
    --------
    >>> options = dataset_options("gzip", 1)
    >>> kwargs_for(options, "float32")
    {'compression': 'gzip', 'compression_opts': 1}
    >>> kwargs_for(options, "int32")
    {'compression': 'gzip', 'compression_opts': 1, 'shuffle': True}
    """
    size = None if chunk_bytes is None else int(parse_bytes(chunk_bytes))
    if size is not None and not 0 < size < 1 << 32:
        raise ValueError(f"chunk_bytes: expected 1 byte to 4 GiB, found {chunk_bytes!r}")
    codec = compression.lower() if isinstance(compression, str) else compression
    options = DatasetOptions(codec, compression_opts, shuffle, size)
    options.of("f")  # says what is wrong now, not in the middle of a file
    return options


def kwargs_for(options: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """Options for a dataset of a type; a plain mapping is taken as it is."""
    if isinstance(options, DatasetOptions):
        return options.of(np.dtype(dtype).kind)
    return dict(options)


def chunk_bytes_of(options: Mapping[str, Any], default: int) -> int:
    """Decoded bytes of a chunk."""
    asked = options.chunk_bytes if isinstance(options, DatasetOptions) else None
    return asked or default
