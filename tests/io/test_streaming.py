"""Matrices streamed to a file: their layout, their values as anndata and h5py read them."""

from __future__ import annotations

import threading

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io import compress, stream
from lazyomics.io.stream import stream_matrix
from lazyomics.lazy import MemorySource, from_source
from tests.lazy.conftest import random_csr

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")


@pytest.fixture
def tiny_chunks(monkeypatch):
    """Chunks of 16 float32 values, so that small matrices have many and a partial last one."""
    monkeypatch.setattr(stream, "CHUNK_BYTES", 64)


def layouts(dense):
    return {"csr": sp.csr_matrix(dense), "csc": sp.csc_matrix(dense), "dense": dense}


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip"}, {"compression": "lzf", "shuffle": True}]
)
def test_anndata_reads_what_is_streamed(tmp_path, tiny_chunks, layout, options) -> None:
    expected = layouts(random_csr().toarray())[layout]
    x = from_source(MemorySource.of(expected), lines_per_block=3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        stream_matrix(file, "x", x, dataset_kwargs=options)
    with h5py.File(tmp_path / "x.h5") as file:
        theirs = ad.io.read_elem(file["x"])
        values = file["x"] if layout == "dense" else file["x/data"]
        assert values.compression == options.get("compression")
        assert values.chunks is None or np.prod(values.chunks) <= 16
    assert type(theirs) is type(expected)
    np.testing.assert_array_equal(
        theirs if layout == "dense" else theirs.toarray(),
        expected if layout == "dense" else expected.toarray(),
    )


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1), (9, 4)])
@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_matrices_without_values(tmp_path, shape, layout) -> None:
    empty = layouts(np.zeros(shape, np.float32))[layout]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        stream_matrix(file, "x", empty, dataset_kwargs={"compression": "gzip"})
        theirs = ad.io.read_elem(file["x"])
    assert theirs.shape == shape
    assert theirs.dtype == np.float32
    assert abs(theirs).sum() == 0


def test_more_values_than_int32_counts() -> None:
    pointers = stream.joined_pointers([np.array([2**31 - 1, 0]), np.array([7], np.int32)])
    assert pointers.dtype == np.int64
    np.testing.assert_array_equal(pointers, [0, 2**31 - 1, 2**31 - 1, 2**31 + 6])
    assert stream.joined_pointers([np.array([2**31 - 1])]).dtype == np.int32


@pytest.mark.parametrize("compression", ["zstd", "lz4", "blosc", "gzip", "lzf"])
def test_whole_objects_with_every_codec(one_file, tmp_path, compression) -> None:
    if compression in ("zstd", "lz4", "blosc"):
        pytest.importorskip("hdf5plugin", reason="it holds this filter")
    adata = lo.read_h5ad(one_file)
    adata.write_h5ad(tmp_path / "new.h5ad", compression=compression)
    mine, theirs = lo.read_h5ad(tmp_path / "new.h5ad"), ad.read_h5ad(tmp_path / "new.h5ad")
    np.testing.assert_array_equal(mine.to_df(), theirs.to_df())
    np.testing.assert_array_equal(mine.to_df(), adata.to_df())


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_matrices_in_memory_are_compressed_in_threads(tmp_path, layout, monkeypatch) -> None:
    threads = set()
    real = compress.encoded

    def noted(*args):
        threads.add(threading.current_thread())
        return real(*args)

    monkeypatch.setattr(compress, "encoded", noted)
    x = layouts(random_csr().toarray())[layout]
    lo.AnnData(x).write_h5ad(tmp_path / "a.h5ad", compression="gzip")
    assert threads
    assert threading.main_thread() not in threads
    theirs = ad.read_h5ad(tmp_path / "a.h5ad").X
    assert type(theirs) is type(x)
    np.testing.assert_array_equal(
        theirs if layout == "dense" else theirs.toarray(),
        x if layout == "dense" else x.toarray(),
    )


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_while_compressing_leaves_no_file(one_file, tmp_path, monkeypatch, error) -> None:
    def fail(*args):
        raise error

    monkeypatch.setattr(compress, "encoded", fail)
    before = threading.active_count()
    with pytest.raises(error):
        lo.read_h5ad(one_file)[:9].write_h5ad(tmp_path / "new.h5ad", compression="gzip")
    assert {p.name for p in tmp_path.iterdir()} == {"one.h5ad"}
    assert threading.active_count() <= before + 4  # dask keeps its pool


def test_a_transposed_join_is_stored_by_columns(tmp_path) -> None:
    """As anndata stores it; the join has no recipe that could be read by columns."""
    x = sp.random(30, 20, 0.3, format="csr", dtype="f4", random_state=0)
    lo.AnnData(x).write(tmp_path / "x.h5ad")
    adata = lo.read_h5ad(tmp_path / "x.h5ad")
    joined = lo.concat([adata, adata[5:20]], axis=1, join="inner", index_unique="-").T
    joined.write(tmp_path / "y.h5ad")
    expected = sp.hstack([x[5:20], x[5:20]]).T.tocsc()
    saved = ad.read_h5ad(tmp_path / "y.h5ad").X
    assert saved.format == "csc"
    assert (saved != expected).nnz == 0
