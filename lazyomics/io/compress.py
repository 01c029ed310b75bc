"""Compress HDF5 chunks in worker threads: what HDF5's own filters would store, without its lock."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import h5py
import numpy as np

from lazyomics.errors import MissingDependencyError, require
from lazyomics.io.chunks.codecs import BLOSC, DEFLATE, LZ4, LZF, ZSTD
from lazyomics.io.chunks.memory import Memory
from lazyomics.io.chunks.native_encoders import (
    NativeEncoder,
    native_blosc,
    native_deflate,
    native_lz4,
    native_lzf,
    native_shuffle,
    native_zstd,
)

__all__ = ["CODECS", "PLUGIN_CODECS", "ChunkEncoder", "Encoded", "chunk_encoder", "filter_options"]

SHUFFLE = 2

#: Names of filters that HDF5 has as plugins, and of the classes of hdf5plugin that describe them.
PLUGIN_CODECS = {"blosc": "Blosc", "lz4": "LZ4", "zstd": "Zstd"}

CODECS = ("none", "gzip", "lzf", "zstd", "lz4", "blosc")

_LEVEL_OF = {"blosc": "clevel", "zstd": "clevel", "lz4": "nbytes"}
_OVERHEAD = 1 << 12  # beyond one part in 64, more than any of the formats adds

#: Stored bytes, and the mask of the filters that were skipped.
Encoded = tuple[Any, int]

#: One filter: returns the filtered bytes, or None where they would not be smaller.
_Filter = Callable[[Memory], "Memory | None"]


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
        memory, mask = Memory(chunk), 0
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
    def apply(source: Memory) -> Memory | None:
        size = len(source)
        target = Memory.empty(size if must_shrink else size + size // 64 + _OVERHEAD)
        written = encode(source.address, size, target.address, len(target))
        return Memory(target.bytes[:written]) if written > 0 else None

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
    return lambda source: Memory(np.frombuffer(compress(source.view), np.uint8))


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

    def apply(source: Memory) -> Memory:
        size = len(source)
        block = max(1, min(most, size))
        count = -(-size // block)
        target = Memory.empty(12 + size + count * 4 + size // 64 + _OVERHEAD)
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
        return Memory(target.bytes[:end])

    return apply


def _shuffle(values: tuple[int, ...], width: int) -> _Filter | None:
    native = native_shuffle()

    def apply(source: Memory) -> Memory:
        if native is None or len(source) >= 2**31:
            planes = source.bytes.reshape(-1, width).T
            return Memory(np.ascontiguousarray(planes).reshape(-1))
        target = Memory.empty(len(source))
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
