"""Damaged files raise errors that name file and element; they never return garbage."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lazyomics.errors import FileFormatError, MissingDependencyError
from lazyomics.io.hdf5 import StoredArray
from lazyomics.io.hdf5.codecs import CODECS, Buffer, DamagedChunkError
from lazyomics.io.hdf5.pipeline import Pipeline

hdf5plugin = pytest.importorskip("hdf5plugin", reason="the plugin filters need hdf5plugin")

pytestmark = pytest.mark.usefixtures("way_of_reading")

CHUNK = 256
DATA = np.random.default_rng(0).poisson(2, 4 * CHUNK).astype(np.float32)
COMPRESSED: dict[str, dict[str, Any]] = {
    "gzip": {"compression": "gzip"},
    "gzip-shuffle": {"compression": "gzip", "shuffle": True},
    "lzf": {"compression": "lzf"},
    "zstd": dict(hdf5plugin.Zstd()),
    "lz4": dict(hdf5plugin.LZ4()),
    "blosc": dict(hdf5plugin.Blosc()),
    "bzip2": dict(hdf5plugin.BZip2()),
}


def make(path: Path, **options: Any) -> StoredArray:
    with h5py.File(path, "w") as file:
        return StoredArray.of(file.create_dataset("X/data", data=DATA, **options), path)


def reopened(path: Path) -> StoredArray:
    with h5py.File(path, "r") as file:
        return StoredArray.of(file["X/data"], path)


def chunk_at(path: Path, k: int) -> tuple[int, int]:
    with h5py.File(path, "r") as file:
        info = file["X/data"].id.get_chunk_info(k)
    return info.byte_offset, info.size


def patch(path: Path, position: int, content: bytes) -> None:
    with open(path, "r+b") as raw:
        raw.seek(position)
        raw.write(content)


@pytest.mark.parametrize("filters", COMPRESSED)
def test_zeroed_chunk(tmp_path: Path, filters: str) -> None:
    path = tmp_path / "a.h5"
    make(path, chunks=(CHUNK,), **COMPRESSED[filters])
    offset, size = chunk_at(path, 1)
    patch(path, offset, bytes(size))
    array = reopened(path)
    with pytest.raises(FileFormatError, match=r"a\.h5: element 'X/data': expected .*damaged"):
        array.read(0, len(DATA))
    np.testing.assert_array_equal(array.read(0, CHUNK), DATA[:CHUNK])


@pytest.mark.parametrize("filters", ["gzip", "gzip-shuffle", "bzip2"])
def test_every_flipped_byte_is_found(tmp_path: Path, filters: str) -> None:
    """These formats hold a checksum."""
    path = tmp_path / "a.h5"
    make(path, chunks=(CHUNK,), **COMPRESSED[filters])
    offset, size = chunk_at(path, 2)
    content = path.read_bytes()
    for at in range(offset, offset + size, 7):
        patch(path, at, bytes([content[at] ^ 0x5A]))
        with pytest.raises(FileFormatError):
            reopened(path).read(0, len(DATA))
        patch(path, at, content[at : at + 1])


@pytest.mark.parametrize("filters", ["lzf", "zstd", "lz4", "blosc"])
def test_flipped_bytes_never_crash(tmp_path: Path, filters: str) -> None:
    path = tmp_path / "a.h5"
    make(path, chunks=(CHUNK,), **COMPRESSED[filters])
    offset, size = chunk_at(path, 2)
    content = path.read_bytes()
    for at in range(offset, offset + size):
        patch(path, at, bytes([content[at] ^ 0xA5]))
        try:
            got = reopened(path).read(0, len(DATA))
        except FileFormatError:
            got = DATA
        np.testing.assert_array_equal(got[: 2 * CHUNK], DATA[: 2 * CHUNK])
        patch(path, at, content[at : at + 1])


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_fletcher32_is_verified(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.h5"
    make(path, chunks=(CHUNK,), fletcher32=True, compression=compression)
    offset, size = chunk_at(path, 0)
    patch(path, offset + size - 1, bytes([path.read_bytes()[offset + size - 1] ^ 1]))
    with pytest.raises(FileFormatError, match="Fletcher-32"):
        reopened(path).read(0, 3)


@pytest.mark.parametrize("position", [2**40, 2**63 + 5])
def test_chunk_outside_of_the_file(tmp_path: Path, position: int) -> None:
    path = tmp_path / "a.h5"
    make(path, chunks=(CHUNK,), compression="gzip")
    offset, _ = chunk_at(path, 1)
    content = path.read_bytes()
    at = content.index(struct.pack("<Q", offset))
    patch(path, at, struct.pack("<Q", position))
    array = reopened(path)
    with pytest.raises(FileFormatError, match=r"expected chunks inside the file's .* found one at"):
        array.read(CHUNK, CHUNK + 1)
    np.testing.assert_array_equal(array.read(0, CHUNK), DATA[:CHUNK])


def test_chunks_that_hdf5_cannot_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged index of a file that did not change is damage, not staleness."""
    path = tmp_path / "a.h5"
    make(path, chunks=(CHUNK,), compression="gzip")
    array = reopened(path)

    def fail(*_: object) -> None:
        raise RuntimeError("wrong B-tree signature")

    monkeypatch.setattr("lazyomics.io.hdf5.dataset.ChunkTable.of", fail)
    with pytest.raises(FileFormatError, match="wrong B-tree signature"):
        array.read(0, 5)


@pytest.mark.parametrize("stored", [0, 2, 10, 400])
def test_sizes_that_lie(tmp_path: Path, stored: int) -> None:
    path = tmp_path / "a.h5"
    make(path, chunks=(CHUNK,), compression="gzip")
    _offset, size = chunk_at(path, 1)
    content = path.read_bytes()
    key = struct.pack("<II", size, 0)
    at = content.index(key + struct.pack("<Q", CHUNK))
    patch(path, at, struct.pack("<I", stored))
    array = reopened(path)
    if stored > size:  # zlib ends where its stream ends
        np.testing.assert_array_equal(array.read(0, len(DATA)), DATA)
        return
    with pytest.raises(FileFormatError):
        array.read(0, len(DATA))


def test_another_size_inside(tmp_path: Path) -> None:
    """A stream that decodes to more or less than a chunk."""
    import zlib

    for length in (CHUNK * 4 - 4, CHUNK * 4 + 4, 10**7):
        path = tmp_path / f"{length}.h5"
        with h5py.File(path, "w") as file:
            made = file.create_dataset(
                "X/data", (CHUNK,), "f4", chunks=(CHUNK,), compression="gzip"
            )
            made.id.write_direct_chunk((0,), zlib.compress(bytes(length)))
            array = StoredArray.of(made, path)
        with pytest.raises(FileFormatError, match="decodes to 1,024 bytes"):
            array.read(0, 5)


def test_too_small_to_be_true(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("X/data", (10**9,), "f4", chunks=(10**9,), compression="gzip")
        made.id.write_direct_chunk((0,), b"x" * 100)
        array = StoredArray.of(made, path)
    with pytest.raises(FileFormatError, match="too few"):
        array.read(0, 5)


@pytest.mark.parametrize("options", [{}, {"chunks": (CHUNK,)}])
def test_cut_file(tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that ends early, where HDF5 does not notice."""
    path = tmp_path / "a.h5"
    make(path, **options)
    array = reopened(path)
    monkeypatch.setattr("lazyomics.io.hdf5.ranges.WORTH_A_LOOP", 1 << 62)
    monkeypatch.setattr("lazyomics.io.hdf5.raw_files.RawFile._read", lambda self, view, position: 0)
    with pytest.raises(FileFormatError, match="cut short"):
        array.read(0, 5)


def test_missing_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    make(path, chunks=(CHUNK,), **hdf5plugin.Zstd())
    array = reopened(path)
    monkeypatch.setattr("lazyomics.io.hdf5.ranges.WORTH_A_LOOP", 1 << 62)
    monkeypatch.setattr("lazyomics.io.hdf5.codecs.native_decoder", lambda codec: None)
    monkeypatch.setattr("lazyomics.io.hdf5.dataset._is_available", lambda code: False)
    text = r"a\.h5: element 'X/data'.*zstd.*pip install 'lazyomics\[codecs\]'"
    with pytest.raises(MissingDependencyError, match=text):
        array.read(0, 5)


@pytest.mark.parametrize("code", [*CODECS, 307])
def test_noise_never_decodes_out_of_bounds(code: int) -> None:
    """Decoders stay inside the place that they are given, whatever they are fed."""
    rng = np.random.default_rng(code)
    pipeline = Pipeline(((code, ()),), 512)
    for size in (0, 1, 3, 16, 40, 700):
        for _ in range(40):
            source = Buffer(rng.integers(0, 256, size, dtype=np.uint8))
            target = Buffer(np.full(512 + 128, 7, np.uint8))
            with contextlib.suppress(DamagedChunkError):
                pipeline.decoder(0)(source, 0, size, target, 64)
            assert (target.bytes[:64] == 7).all()
            assert (target.bytes[-64:] == 7).all()
