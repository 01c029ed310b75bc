from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest

from lazyomics.errors import MissingDependencyError
from lazyomics.io.compress import (
    ChunkWriter,
    chunk_encoder,
    chunk_pool,
    dataset_options,
    filter_options,
    kwargs_for,
)
from lazyomics.io.hdf5 import codecs as codecs_module

NAMES = [None, "gzip", "lzf", "zstd", "lz4", "blosc"]


def options(name, shuffle=False):
    if name in ("zstd", "lz4", "blosc"):
        pytest.importorskip("hdf5plugin", reason="it holds this filter")
    return filter_options(name, shuffle=shuffle)


def values_of(dtype, n=1000) -> np.ndarray:
    return np.random.default_rng(0).poisson(2, n).astype(dtype)


def written(path, values, pieces, chunks, **kwargs) -> h5py.File:
    """A file whose dataset was filled piece by piece, read by HDF5 alone."""
    file = h5py.File(path, "w")
    shape, most = (0, *values.shape[1:]), (None, *values.shape[1:])
    made = {"shape": shape, "maxshape": most, "dtype": values.dtype, "chunks": chunks}
    dataset = file.create_dataset("x", **made, **kwargs)
    with chunk_pool(2) as pool:
        writer = ChunkWriter(dataset, pool)
        for part in np.array_split(values, pieces):
            writer.append(part)
        writer.close()
    assert writer.length == len(values)
    return file


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["f4", "i8", "u1", "f8"])
def test_hdf5_reads_what_was_compressed_here(tmp_path, name, shuffle, dtype) -> None:
    values = values_of(dtype)
    with written(tmp_path / "a.h5", values, 7, (64,), **options(name, shuffle)) as file:
        assert chunk_encoder(file["x"]) is not None
        np.testing.assert_array_equal(file["x"][:], values)
        assert file["x"].id.get_num_chunks() == -(-len(values) // 64)


@pytest.mark.parametrize("name", ["lzf", "lz4", "blosc", "gzip", "zstd"])
def test_noise_that_does_not_shrink(tmp_path, name) -> None:
    values = np.random.default_rng(0).integers(0, 256, 5000, dtype="u1")
    with written(tmp_path / "a.h5", values, 3, (512,), **options(name)) as file:
        np.testing.assert_array_equal(file["x"][:], values)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_levels_are_used(tmp_path, level) -> None:
    values = values_of("f4", 20_000)
    kwargs = filter_options("gzip", level)
    with written(tmp_path / "a.h5", values, 2, (10_000,), **kwargs) as file:
        assert file["x"].compression_opts == level
        stored = file["x"].id.get_storage_size()
        np.testing.assert_array_equal(file["x"][:], values)
    assert (stored >= values.nbytes) == (level == 0)


@pytest.mark.parametrize("kwargs", [{"fletcher32": True}, {"scaleoffset": 0}])
def test_filters_that_only_hdf5_knows(tmp_path, kwargs) -> None:
    values = values_of("i4")
    with written(tmp_path / "a.h5", values, 5, (64,), compression="gzip", **kwargs) as file:
        assert chunk_encoder(file["x"]) is None
        np.testing.assert_array_equal(file["x"][:], values)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_without_native_functions(tmp_path, name, monkeypatch) -> None:
    kwargs = options(name, shuffle=True)
    codecs_module.find_function.cache_clear()
    monkeypatch.setattr(codecs_module, "_library_path", lambda library: None)
    try:
        with written(tmp_path / "a.h5", values_of("f4"), 3, (64,), **kwargs) as file:
            np.testing.assert_array_equal(file["x"][:], values_of("f4"))
        monkeypatch.setitem(sys.modules, "deflate", None)
        with written(tmp_path / "b.h5", values_of("f4"), 3, (64,), **kwargs) as file:
            np.testing.assert_array_equal(file["x"][:], values_of("f4"))
    finally:
        codecs_module.find_function.cache_clear()


@pytest.mark.parametrize("chunks", [(4, 7), (4, 3), (1, 2), (30, 7)])
@pytest.mark.parametrize("pieces", [1, 6, 13])
def test_two_dimensions(tmp_path, chunks, pieces) -> None:
    values = values_of("f4", 91).reshape(13, 7)
    with written(tmp_path / "a.h5", values, pieces, chunks, compression="gzip") as file:
        np.testing.assert_array_equal(file["x"][:], values)


def test_nothing_and_less_than_a_chunk(tmp_path) -> None:
    for n in (0, 1, 63, 64, 65):
        with written(tmp_path / f"{n}.h5", values_of("i4", n), 2, (64,), **options("gzip")) as file:
            np.testing.assert_array_equal(file["x"][:], values_of("i4", n))


def test_values_are_cast_to_the_dataset(tmp_path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file, chunk_pool(1) as pool:
        dataset = file.create_dataset("x", shape=(6,), dtype="i4", chunks=(4,))
        writer = ChunkWriter(dataset, pool)
        writer.append(np.arange(12, dtype="i8")[::2])
        writer.close()
        pool.finish()
        np.testing.assert_array_equal(dataset[:], np.arange(0, 12, 2))


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, MemoryError])
def test_an_error_in_a_thread_stops_the_rest(tmp_path, error) -> None:
    called = []

    def fail(*args):
        called.append(args)
        raise error

    def run(dataset):
        with chunk_pool(2) as pool:
            for k in range(0, 1000, 4):
                pool.submit(dataset.id, (k,), fail)

    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("x", shape=(1000,), dtype="i4", chunks=(4,))
        with pytest.raises(error):
            run(dataset)
    assert 0 < len(called) < 20


def test_missing_plugins_are_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(MissingDependencyError, match=r"zstd.*lazyomics\[codecs\]"):
        filter_options("zstd")


def test_options_by_name() -> None:
    assert filter_options() == {}
    assert filter_options("gzip", 3, shuffle=True) == {
        "compression": "gzip",
        "compression_opts": 3,
        "shuffle": True,
    }
    pytest.importorskip("hdf5plugin", reason="it describes the filters")
    assert dict(filter_options("zstd", 5)) == {"compression": 32015, "compression_opts": (5,)}
    assert dict(filter_options("zstd", 5, shuffle=True))["shuffle"] is True
    assert "shuffle" not in filter_options("blosc", shuffle=True)
    assert [dict(filter_options("blosc", shuffle=s))["compression_opts"][5] for s in (0, 1)] == [
        0,
        1,
    ]
    assert filter_options("none") == filter_options(None, shuffle=True) == {}


def test_options_fit_the_type_of_values() -> None:
    assert "shuffle" not in kwargs_for(dataset_options("gzip"), "f4")
    assert kwargs_for(dataset_options("gzip"), "i4")["shuffle"] is True
    assert kwargs_for(dataset_options("gzip", shuffle=True), "f4")["shuffle"] is True
    assert "shuffle" not in kwargs_for(dataset_options("gzip", shuffle=False), "i4")
    assert kwargs_for({"compression": "lzf"}, "i4") == {"compression": "lzf"}
    assert dict(dataset_options("GZIP", 0)) == {"compression": "gzip", "compression_opts": 0}


def test_options_are_true_where_something_was_asked_for() -> None:
    assert not dataset_options()
    assert dataset_options("none")
    assert dataset_options(chunk_bytes="1 MiB").chunk_bytes == 1 << 20
    assert dataset_options(chunk_bytes=100)


def test_shuffled_positions_shrink_and_counts_do_not(tmp_path) -> None:
    """Why integers are shuffled by default, and the values of a matrix are not."""
    rng = np.random.default_rng(0)
    counts = np.log1p(rng.poisson(2, 200_000) * np.repeat(rng.random(100), 2000)).astype("f4")
    positions = np.concatenate([np.sort(rng.choice(28_000, 2000, False)) for _ in range(100)])
    size = {}
    for name, values in (("counts", counts), ("positions", positions.astype("i4"))):
        for shuffle in (False, True):
            kwargs = {**filter_options("gzip", shuffle=shuffle)}
            path = tmp_path / f"{name}{shuffle}.h5"
            with written(path, values, 1, (50_000,), **kwargs) as file:
                size[name, shuffle] = file["x"].id.get_storage_size()
    assert size["positions", True] < 0.8 * size["positions", False]
    assert size["counts", False] < size["counts", True]
