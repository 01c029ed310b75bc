"""Every layout, filter and type reads as h5py reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazyomics.errors import UnsupportedError
from lazyomics.io.hdf5 import StoredArray, count_reads, layout
from lazyomics.io.hdf5.array import cost_of_ranges
from lazyomics.io.hdf5.codecs import codec
from lazyomics.io.hdf5.layout import Fingerprint
from lazyomics.io.hdf5.ranges import Pieces

hdf5plugin = pytest.importorskip("hdf5plugin", reason="the plugin filters need hdf5plugin")

pytestmark = pytest.mark.usefixtures("way_of_reading")

LENGTH, CHUNK = 1037, 100

FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "gzip9-shuffle": {"compression": "gzip", "compression_opts": 9, "shuffle": True},
    "shuffle": {"shuffle": True},
    "fletcher32": {"fletcher32": True},
    "gzip-shuffle-fletcher32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf"},
    "lzf-shuffle-fletcher32": {"compression": "lzf", "shuffle": True, "fletcher32": True},
    "zstd": dict(hdf5plugin.Zstd()),
    "zstd-shuffle": {**hdf5plugin.Zstd(), "shuffle": True},
    "lz4": dict(hdf5plugin.LZ4()),
    "lz4-small-blocks": dict(hdf5plugin.LZ4(nbytes=64)),
    "blosc-lz4": dict(hdf5plugin.Blosc(cname="lz4", shuffle=1)),
    "blosc-zstd-bits": dict(hdf5plugin.Blosc(cname="zstd", shuffle=2)),
    "blosc-blosclz": dict(hdf5plugin.Blosc(cname="blosclz", shuffle=0)),
    "blosc2": dict(hdf5plugin.Blosc2()),
    "bitshuffle": dict(hdf5plugin.Bitshuffle()),
    "bzip2": dict(hdf5plugin.BZip2()),
    "szip": {"compression": "szip"},
}
NATIVE = ["gzip", "lzf", "zstd", "lz4", "blosc-lz4", "bzip2"]
TYPES = [
    "<f4",
    "<f8",
    "<f2",
    ">f4",
    ">f8",
    "<i4",
    ">i8",
    "u1",
    "i1",
    "<u2",
    ">u4",
    "?",
    "S5",
    "<c8",
]


def values(dtype: str, shape: tuple[int, ...] = (LENGTH,), seed: int = 0) -> np.ndarray:
    """Counts that compress, with some noise; every value fits the type."""
    rng = np.random.default_rng(seed)
    numbers = rng.poisson(2, shape)
    if np.dtype(dtype).kind == "f":
        return (numbers + rng.random(shape).round(2)).astype(dtype)
    return numbers.astype(dtype)


def write(path: Path, data: np.ndarray, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("group/data", data=data, **options)
    return path


def stored(path: Path, name: str = "group/data") -> StoredArray:
    with h5py.File(path, "r") as file:
        return StoredArray.of(file[name], path)


def expect(path: Path, name: str = "group/data") -> np.ndarray:
    with h5py.File(path, "r") as file:
        return file[name][()]


def check_flat(path: Path, name: str = "group/data", seed: int = 0) -> None:
    array, whole = stored(path, name), expect(path, name)
    assert array.shape == whole.shape
    got = array.read(0, len(whole))
    assert got.dtype == whole.dtype.newbyteorder("=") == np.dtype(array.dtype)
    np.testing.assert_array_equal(got, whole)
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, len(whole), 60)
    stops = np.minimum(starts + rng.integers(0, 250, 60), len(whole))
    wanted = np.concatenate([whole[a:b] for a, b in zip(starts, stops, strict=True)])
    with count_reads() as counter:
        np.testing.assert_array_equal(array.read_ranges(starts, stops), wanted)
    assert counter.chunks == cost_of_ranges(array, starts, stops)[0]
    tiny = starts.repeat(3)
    np.testing.assert_array_equal(array.read_ranges(tiny, tiny + 1), whole[tiny])
    assert array.read(5, 5).shape == (0,)
    assert array.read_ranges(starts[:0], starts[:0]).shape == (0,)


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("dtype", ["<f4", "<i4", "<i8", "u1"])
def test_filters(tmp_path: Path, filters: str, dtype: str) -> None:
    check_flat(write(tmp_path / "a.h5", values(dtype), chunks=(CHUNK,), **FILTERS[filters]))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("options", ["contiguous", "none", "gzip", "gzip-shuffle-fletcher32"])
def test_types(tmp_path: Path, dtype: str, options: str) -> None:
    chunked = {} if options == "contiguous" else {"chunks": (CHUNK,), **FILTERS[options]}
    check_flat(write(tmp_path / "a.h5", values(dtype), **chunked))


@pytest.mark.parametrize("filters", ["none", *NATIVE])
def test_no_hdf5_in_the_fast_way(
    tmp_path: Path, filters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.h5", values("<f4"), chunks=(CHUNK,), **FILTERS[filters])
    os.utime(path, (1e9, 1e9))  # a file changed a moment ago is looked at again
    array = stored(path)
    array.read(0, 1)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("HDF5 was used")

    monkeypatch.setattr(h5py, "File", refuse)
    np.testing.assert_array_equal(array.read(0, LENGTH), values("<f4"))


@pytest.mark.parametrize("filters", [f for f in FILTERS if f not in ("none", "szip")])
def test_without_c_decoders(tmp_path: Path, filters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lazyomics.io.hdf5.codecs.native_decoder", lambda codec: None)
    monkeypatch.setattr("lazyomics.io.hdf5.codecs.native_unshuffle", lambda: None)
    check_flat(write(tmp_path / "a.h5", values("<f8"), chunks=(CHUNK,), **FILTERS[filters]))


def test_without_the_deflate_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lazyomics.io.hdf5.codecs.native_decoder", lambda codec: None)
    monkeypatch.setitem(__import__("sys").modules, "deflate", None)
    assert codec(1).__name__ == "_zlib"
    check_flat(write(tmp_path / "a.h5", values("<i2"), chunks=(CHUNK,), compression="gzip"))


def test_scaleoffset(tmp_path: Path) -> None:
    check_flat(write(tmp_path / "a.h5", values("<i4"), chunks=(CHUNK,), scaleoffset=0))


def test_nbit_and_odd_precision(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        kind = h5py.h5t.STD_I16LE.copy()
        kind.set_precision(11)
        for name, pack in (("packed", True), ("padded", False)):
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_chunk((CHUNK,))
            if pack:
                properties.set_filter(h5py.h5z.FILTER_NBIT)
            space = h5py.h5s.create_simple((LENGTH,))
            made = h5py.h5d.create(file.id, name.encode(), kind, space, properties)
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, values("<i2"))
    check_flat(path, "packed")
    check_flat(path, "padded")


def test_compact_external_virtual(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    data = values("<f4")
    with h5py.File(path, "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(data.shape)
        made = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, space, properties)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, data)
        outside = str(tmp_path / "raw.bin")
        file.create_dataset("external", data=data, external=[(outside, 0, data.nbytes)])
        file.create_dataset("source", data=data, chunks=(CHUNK,))
        layout = h5py.VirtualLayout(shape=(2 * LENGTH,), dtype="f4")
        layout[:LENGTH] = h5py.VirtualSource(file["source"])
        layout[LENGTH:] = h5py.VirtualSource(file["source"])
        file.create_virtual_dataset("virtual", layout)
    for name in ("compact", "external", "virtual"):
        check_flat(path, name)


def test_unwritten_chunks_hold_the_fill_value(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name, options in (
            ("chunked", {"chunks": (CHUNK,), "compression": "gzip"}),
            ("plain", {"chunks": (CHUNK,)}),
            ("contiguous", {}),
            ("empty", {"chunks": (CHUNK,)}),
            ("big-endian", {"chunks": (CHUNK,), "dtype": ">f4"}),
        ):
            made = file.create_dataset(name, (LENGTH,), **{"dtype": "f4", **options}, fillvalue=7)
            if name not in ("contiguous", "empty"):
                made[250:320] = np.arange(70)
        file.create_dataset("default", (LENGTH,), dtype="i4", chunks=(CHUNK,))
        file.create_dataset("nothing", (0,), dtype="i4", maxshape=(None,), compression="gzip")
    for name in ("chunked", "plain", "contiguous", "empty", "big-endian", "default"):
        check_flat(path, name)
    assert stored(path, "nothing").read(0, 0).dtype == np.int32
    assert cost_of_ranges(stored(path, "nothing"), [], []) == (0, 0)


def test_skipped_filters(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    data = values("<f4", (3 * CHUNK,))
    with h5py.File(path, "w") as file:
        made = file.create_dataset(
            "group/data", data=data, chunks=(CHUNK,), compression="gzip", shuffle=True
        )
        raw = data[CHUNK : 2 * CHUNK].tobytes()
        made.id.write_direct_chunk((CHUNK,), raw, filter_mask=0b11)
        shuffled = np.frombuffer(data[2 * CHUNK :].tobytes(), np.uint8).reshape(-1, 4).T.tobytes()
        made.id.write_direct_chunk((2 * CHUNK,), shuffled, filter_mask=0b10)
    check_flat(path)


def test_edge_chunks_without_filters(tmp_path: Path) -> None:
    """A writer may leave chunks over the edge unfiltered; h5py has no word for it."""
    ctypes = pytest.importorskip("ctypes")
    libraries = sorted((Path(h5py.__file__).parent.parent / "h5py.libs").glob("libhdf5-*"))
    if not libraries:
        pytest.skip("this build of h5py does not bring its own HDF5 library")
    library = ctypes.CDLL(str(libraries[0]))
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((CHUNK,))
    properties.set_deflate(4)
    library.H5Pset_chunk_opts.argtypes = [ctypes.c_int64, ctypes.c_uint]
    assert library.H5Pset_chunk_opts(properties.id, 2) >= 0
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        space = h5py.h5s.create_simple((LENGTH,))
        made = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, properties)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, values("<f4"))
        assert made.get_chunk_info(10).size == 4 * CHUNK
    check_flat(path, "x")


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
@pytest.mark.parametrize("block", [0, 512, 4096])
def test_user_block_and_index_kinds(tmp_path: Path, libver: str, block: int) -> None:
    path = tmp_path / "a.h5mu"
    data = values("<f4")
    with h5py.File(path, "w", libver=libver, userblock_size=block) as file:
        file.create_dataset("contiguous", data=data)
        file.create_dataset("one chunk", data=data, chunks=(LENGTH,), compression="gzip")
        file.create_dataset("fixed", data=data, chunks=(CHUNK,), compression="gzip")
        file.create_dataset("plain", data=data, chunks=(CHUNK,))
        file.create_dataset("growing", data=data, chunks=(CHUNK,), maxshape=(None,))
        table = values("<f4", (50, 40))
        made = file.create_dataset("two", data=table, chunks=(7, 9), maxshape=(None, None))
        assert made.id.get_num_chunks() == 40
    if block:
        with open(path, "r+b") as raw:
            raw.write(b"MuData (format-version=0.1.0)")
    for name in ("contiguous", "one chunk", "fixed", "plain", "growing"):
        check_flat(path, name)
    np.testing.assert_array_equal(stored(path, "two").read_rows(0, 50), table)


def test_bytes_in_front_of_the_file(tmp_path: Path) -> None:
    """HDF5 finds its superblock at 512 by itself; positions then count from there."""
    path = write(tmp_path / "a.h5", values("<f4"), chunks=(CHUNK,), compression="gzip")
    with h5py.File(path, "r+") as file:
        file["contiguous"] = values("<i4")
    moved = tmp_path / "b.h5"
    moved.write_bytes(bytes(512) + path.read_bytes())
    check_flat(moved)
    check_flat(moved, "contiguous")


def test_positions_behind_the_user_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some releases of HDF5 count positions from the end of the user block."""
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        assert layout.user_block_shift(file) == 0
        monkeypatch.setattr(layout, "_positions_are_absolute", lambda: False)
        assert layout.user_block_shift(file) == 512
    with h5py.File(tmp_path / "b.h5", "w") as file:
        assert layout.user_block_shift(file) == 0


def test_texts_and_records(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        texts = [f"gene {k}" for k in range(LENGTH)]
        file.create_dataset("texts", data=texts, chunks=(CHUNK,), compression="gzip")
        file["records"] = np.zeros(3, [("a", "f4"), ("b", "i4")])
        file["scalar"] = 3
    assert stored(path, "texts").read(3, 5).tolist() == [b"gene 3", b"gene 4"]
    with pytest.raises(UnsupportedError, match="records"):
        stored(path, "records")
    with pytest.raises(ValueError, match="no rows"):
        stored(path, "scalar").read_rows(0, 1)


def test_plugins_are_found_when_needed(tmp_path: Path) -> None:
    """In a process that has not imported hdf5plugin, also where only HDF5 can decode."""
    for name in ("zstd", "blosc2"):
        path = write(tmp_path / f"{name}.h5", values("<f4"), chunks=(CHUNK,), **FILTERS[name])
        code = (
            "import sys, h5py; from lazyomics.io.hdf5 import StoredArray\n"
            f"array = StoredArray.of(h5py.File({str(path)!r})['group/data'], {str(path)!r})\n"
            "assert 'hdf5plugin' not in sys.modules\n"
            f"assert array.read(0, {LENGTH}).sum() == {values('<f4').sum()!s}\n"
        )
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_booleans_are_booleans(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.array([False, True, True])
        position = file["x"].id.get_offset()
    with open(path, "r+b") as raw:
        raw.seek(position + 1)
        raw.write(b"\x07")
    got = stored(path, "x").read(0, 3)
    assert got.dtype == bool
    np.testing.assert_array_equal(got.view(np.uint8), [0, 1, 1])


def test_links_lead_to_the_file_that_holds_the_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", values("<f4"), chunks=(CHUNK,))
    outer = tmp_path / "b.h5"
    with h5py.File(outer, "w") as file:
        file["soft"] = h5py.SoftLink("/real")
        file["real"] = values("<i4")
        file["far"] = h5py.ExternalLink("a.h5", "/group/data")
    check_flat(outer, "soft")
    check_flat(outer, "far")
    assert stored(outer, "far").path == os.fspath(path)


def test_of_does_not_look_at_chunks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", values("<f4"), chunks=(CHUNK,), compression="gzip")
    with h5py.File(path, "r") as file, count_reads() as counter:
        array = StoredArray.of(file["group/data"], path)
    assert counter.reads == 0
    assert isinstance(array.fingerprint, Fingerprint)
    assert array.chunk_rows == CHUNK


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_ranges(tmp_path: Path, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, 400))
    chunk = data.draw(st.integers(1, 90))
    kind = data.draw(st.sampled_from(["gzip", "none", "contiguous", "lzf"]))
    whole = np.arange(length, dtype=np.int32) * 3
    path = tmp_path / f"{data.draw(st.integers(0, 10**9))}.h5"
    options = FILTERS.get(kind)
    if options is None or not length:
        write(path, whole)
    else:
        write(path, whole, chunks=(min(chunk, length),), **options)
    pair = st.tuples(st.integers(0, length), st.integers(0, length)).map(sorted)
    ranges = data.draw(st.lists(pair, max_size=40))
    starts, stops = np.array(ranges, np.int64).reshape(-1, 2).T
    array = stored(path)
    with count_reads() as counter:
        got = array.read_ranges(starts, stops)
    wanted = [whole[a:b] for a, b in ranges]
    np.testing.assert_array_equal(got, np.concatenate([whole[:0], *wanted]))
    assert counter.chunks == cost_of_ranges(array, starts, stops)[0]
    path.unlink()


def test_wrong_ranges(tmp_path: Path) -> None:
    array = stored(write(tmp_path / "a.h5", values("<f4"), chunks=(CHUNK,)))
    for start, stop in ((-1, 5), (0, LENGTH + 1), (6, 5)):
        with pytest.raises(IndexError, match="ranges outside"):
            array.read(start, stop)
    with pytest.raises(ValueError, match="differ"):
        array.read_ranges([0, 1], [2])
    with pytest.raises(ValueError, match="no columns"):
        array.read_2d(slice(0, 2), slice(0, 1))


def test_one_range_is_cut_as_many_are() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        chunk = int(rng.integers(1, 12))
        start, middle, stop = np.sort(rng.choice(60, 3, replace=False)).tolist()
        one = Pieces.of(np.array([start]), np.array([stop]), chunk)
        two = Pieces.of(np.array([start, middle]), np.array([middle, stop]), chunk)
        for name in ("numbers", "first", "source", "length", "target"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
            assert getattr(one, name).dtype == np.int64
        assert one.total == two.total == stop - start
