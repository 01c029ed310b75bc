"""How chunks of an array are encoded, and their decoding in the calling thread."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.io.hdf5.codecs import DamagedChunkError

__all__ = ["ChunkCodec", "codec_of_metadata"]

NAN = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
ABSENT = 2**64 - 1  # offset and length of a chunk that a shard does not hold
LARGEST_HEADER = 32  # bytes by which a stored chunk may say its size


@dataclass(frozen=True)
class ChunkCodec:
    """Decodes the chunks of one array, if its codecs are known here.

    Attributes
    ----------
    chunk
        Elements of a chunk along each axis; of a sharded array those of an inner one.
    shard
        Elements of a shard along each axis; None without sharding.
    dtype
        NumPy's name of the stored type.
    fill
        Value of chunks that are not stored.
    filters
        Codecs in the order of encoding, as (name, configuration in JSON).
    separator, prefix
        How keys of chunks are spelled.
    index_first
        Whether the index of a shard is at its start.
    index_checked
        Whether a checksum follows the index.
    """

    chunk: tuple[int, ...]
    shard: tuple[int, ...] | None
    dtype: str
    fill: float | int | bool
    filters: tuple[tuple[str, str], ...]
    separator: str
    prefix: str
    index_first: bool = False
    index_checked: bool = True

    @property
    def stored(self) -> tuple[int, ...]:
        """Elements along each axis of what a key stands for."""
        return self.shard or self.chunk

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a decoded chunk."""
        return math.prod(self.chunk) * np.dtype(self.dtype).itemsize

    def key(self, corner: tuple[int, ...]) -> str:
        """Name of a stored chunk or shard by its place in the grid."""
        if not corner:
            return self.prefix or "0"
        name = self.separator.join(map(str, corner))
        return f"{self.prefix}{self.separator}{name}" if self.prefix else name

    def decode(self, content: bytes | memoryview) -> NDArray[Any]:
        """Return the values of a chunk, of its shape.

        Raises
        ------
        DamagedChunkError
            If it does not decode to a chunk.
        """
        for name, configuration in reversed(self.filters):
            content = _undone(name, configuration, content, self.chunk_bytes)
        size = memoryview(content).nbytes
        if size != self.chunk_bytes:
            raise DamagedChunkError(f"a chunk of {self.chunk_bytes} bytes", f"{size} bytes")
        return np.frombuffer(content, self.dtype).reshape(self.chunk)

    def places_in_shard(self, index: bytes) -> NDArray[np.uint64]:
        """Offset and length of each inner chunk, shape (n, 2).

        Raises
        ------
        DamagedChunkError
            If the index is damaged.
        """
        size = self.index_bytes
        if len(index) != size:
            raise DamagedChunkError(f"the {size} bytes of an index", f"{len(index)} bytes")
        if self.index_checked:
            import google_crc32c

            index, checksum = index[:-4], index[-4:]
            if google_crc32c.value(index) != int.from_bytes(checksum, "little"):
                raise DamagedChunkError("an index with its checksum", "another checksum")
        return np.frombuffer(index, "<u8").reshape(-1, 2)

    @property
    def chunks_in_shard(self) -> tuple[int, ...]:
        """Inner chunks along each axis."""
        assert self.shard is not None
        return tuple(s // c for s, c in zip(self.shard, self.chunk, strict=True))

    @property
    def index_bytes(self) -> int:
        """Bytes of the index of a shard."""
        return 16 * math.prod(self.chunks_in_shard) + 4 * self.index_checked


def codec_of_metadata(folder: Path) -> ChunkCodec | None:
    """Read how the array in a local folder is encoded; None for what only zarr decodes."""
    try:
        if (folder / "zarr.json").is_file():
            return _of_format_3(json.loads((folder / "zarr.json").read_bytes()))
        return _of_format_2(json.loads((folder / ".zarray").read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None  # zarr says what is wrong


def _of_format_2(stated: dict[str, Any]) -> ChunkCodec | None:
    if not isinstance(stated["dtype"], str) or stated.get("order", "C") != "C":
        return None
    dtype = np.dtype(stated["dtype"])
    fill = stated["fill_value"]
    fill = NAN.get(fill, fill) if isinstance(fill, str) else (0 if fill is None else fill)
    if dtype.kind not in "biufc" or not isinstance(fill, int | float):
        return None
    codecs = [*(stated.get("filters") or []), *filter(None, [stated.get("compressor")])]
    filters = tuple((str(c["id"]), json.dumps(c, sort_keys=True)) for c in codecs)
    separator = stated.get("dimension_separator", ".")
    chunk = tuple(int(n) for n in stated["chunks"])
    return _if_known(ChunkCodec(chunk, None, dtype.str, fill, filters, separator, ""))


def _of_format_3(stated: dict[str, Any]) -> ChunkCodec | None:
    if not isinstance(stated["data_type"], str):
        return None
    dtype = np.dtype(stated["data_type"])
    if dtype.kind not in "biufc" or stated["chunk_grid"]["name"] != "regular":
        return None
    fill = stated["fill_value"]
    fill = NAN.get(fill, fill) if isinstance(fill, str) else fill
    if not isinstance(fill, int | float):
        return None
    chunk = tuple(int(n) for n in stated["chunk_grid"]["configuration"]["chunk_shape"])
    codecs, shard, options = stated["codecs"], None, {}
    if codecs[0]["name"] == "sharding_indexed":
        shard, inner = chunk, codecs[0]["configuration"]
        if len(codecs) != 1:
            return None
        chunk, codecs = tuple(int(n) for n in inner["chunk_shape"]), inner["codecs"]
        names = [c["name"] for c in inner["index_codecs"]]
        uneven = any(s % c for s, c in zip(shard, chunk, strict=True))
        if names not in (["bytes"], ["bytes", "crc32c"]) or uneven:
            return None
        endian = inner["index_codecs"][0].get("configuration", {}).get("endian", "little")
        if endian != "little":
            return None
        options = {
            "index_first": inner.get("index_location", "end") == "start",
            "index_checked": len(names) == 2,
        }
    if codecs[0]["name"] != "bytes":
        return None
    if codecs[0].get("configuration", {}).get("endian", "little") == "big":
        dtype = dtype.newbyteorder(">")
    filters = tuple((c["name"], json.dumps(c.get("configuration", {}))) for c in codecs[1:])
    keys = stated["chunk_key_encoding"]
    by_default = "/" if keys["name"] == "default" else "."
    separator = keys.get("configuration", {}).get("separator", by_default)
    prefix = "c" if keys["name"] == "default" else ""
    return _if_known(
        ChunkCodec(chunk, shard, dtype.str, fill, filters, separator, prefix, **options)
    )


KNOWN = frozenset({"blosc", "zstd", "gzip", "zlib", "lz4", "crc32c", "shuffle", "delta"})


def _if_known(codec: ChunkCodec) -> ChunkCodec | None:
    known = all(name in KNOWN for name, _ in codec.filters)
    return codec if known and all(codec.chunk) else None


def _undone(name: str, configuration: str, content: Any, expected: int) -> Any:
    """Undo one codec; refuses what would grow beyond a chunk before it does."""
    view = memoryview(content)
    try:
        if name in ("gzip", "zlib"):
            return _inflated(view, expected)
        if name == "crc32c":
            return _checked(view)
        if name in ("blosc", "lz4", "zstd"):
            said = _said_size(name, bytes(view[:LARGEST_HEADER]))
            if said is not None and said > expected + 64:
                raise DamagedChunkError(f"a chunk of {expected} bytes", f"one of {said} bytes")
        return _codec(name, configuration).decode(content)
    except DamagedChunkError:
        raise
    except Exception as error:  # numcodecs raises RuntimeError, ValueError, …
        raise DamagedChunkError(f"{name} data", f"an error: {error}") from error


def _inflated(content: memoryview, expected: int) -> bytes:
    stream = zlib.decompressobj(wbits=47)  # gzip or zlib, as the first bytes say
    made = stream.decompress(content, expected + 64)
    if not stream.eof:
        raise DamagedChunkError(f"a chunk of {expected} bytes", "more, or a truncated one")
    return made


def _checked(content: memoryview) -> memoryview:
    import google_crc32c

    body, checksum = content[:-4], content[-4:]
    if google_crc32c.value(bytes(body)) != int.from_bytes(checksum, "little"):
        raise DamagedChunkError("a chunk with its checksum", "another checksum")
    return body


def _said_size(name: str, head: bytes) -> int | None:
    """Decoded bytes that the header of a compressed chunk states; None if it states none."""
    if name == "blosc":
        return int.from_bytes(head[4:8], "little") if len(head) >= 16 else 2**63
    if name == "lz4":
        return int.from_bytes(head[:4], "little")
    if len(head) < 6 or head[:4] != b"\x28\xb5\x2f\xfd":
        return None
    flag, single = head[4] >> 6, head[4] >> 5 & 1
    width = (1 if single else 0) if flag == 0 else 1 << flag
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[head[4] & 3]
    if not width:
        return None
    found = int.from_bytes(head[start : start + width], "little")
    return found + 256 if width == 2 else found


@lru_cache(maxsize=64)
def _codec(name: str, configuration: str) -> Any:
    import numcodecs

    if name == "zstd":  # names of options differ between formats, which decoding does not need
        return numcodecs.Zstd()
    if name == "blosc":
        return numcodecs.Blosc()
    if name == "lz4":
        return numcodecs.LZ4()
    return numcodecs.get_codec({"id": name, **json.loads(configuration)})
