from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import dask
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError
from lazyomics.io import transpose
from lazyomics.io.hdf5 import count_reads
from tests.comparing import assert_same_anndata, assert_same_value
from tests.container.reference import reference
from tests.peaks import MACHINE_CODE, PEAK

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

OTHER = {"csr": "csc", "csc": "csr"}


@pytest.fixture
def wide(tmp_path):
    """Write a random matrix of 3,000 × 700 in a storage order."""

    def write(kind, dtype="float32", **options):
        matrix = sp.random(3000, 700, 0.05, format="csr", random_state=2, dtype="float64")
        matrix.data = (matrix.data * 100).astype(dtype)
        matrix.data[::50] = 0  # zeros that are stored stay stored
        made = matrix.astype(dtype).asformat(kind)
        path = tmp_path / f"{kind}.h5ad"
        ad.AnnData(made).write_h5ad(path, **options)
        return path, made

    return write


def in_pieces(memory="12 MiB"):
    """So little memory that everything is cut into many blocks and windows."""
    return dask.config.set({"lazyomics.chunk-bytes": "64 KiB", "lazyomics.memory": memory})


def stored(path, element="X"):
    with h5py.File(path, "r") as file:
        return ad.io.read_elem(file[element])


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint16"])
def test_equals_scipys_conversion(wide, tmp_path, kind, dtype) -> None:
    path, matrix = wide(kind, dtype)
    to = OTHER[kind]
    with in_pieces("100 KiB"):
        lo.transpose_storage(lo.read_h5ad(path), tmp_path / "t.h5ad", to=to)
    ours, expected = stored(tmp_path / "t.h5ad"), matrix.asformat(to)
    assert_same_value(ours, expected, "X")
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(ours, part), getattr(expected, part))


@pytest.mark.parametrize("scratch", [0, 1, 100_000, None, "1 GiB"])
def test_scratch_budget_decides_the_passes(wide, tmp_path, count_passes, scratch) -> None:
    path, matrix = wide("csc")
    adata = lo.read_h5ad(path)
    with in_pieces(), count_passes(path) as passes:
        lo.transpose_storage(adata, tmp_path / "t.h5ad", memory="400 KiB", scratch_bytes=scratch)
    assert_same_value(stored(tmp_path / "t.h5ad"), matrix.tocsr(), "X")
    if scratch in (None, "1 GiB"):
        assert passes.values < 1.5  # chunks at the ends of blocks are decoded twice
        assert passes.indices < 3
    else:
        assert passes.values > 2


@pytest.mark.parametrize("storage", ["csr", "csc"])
def test_writing_with_a_storage(stored_reference, tmp_path, storage) -> None:
    target = tmp_path / "target.h5ad"
    lo.read_h5ad(stored_reference).write_h5ad(target, storage=storage)
    expected = ad.read_h5ad(stored_reference)
    if sp.issparse(expected.X):
        expected.X = expected.X.asformat(storage)
        expected.layers["counts"] = expected.layers["counts"].asformat(storage)
    raw = expected.raw.to_adata()
    raw.X = raw.X.asformat(storage)
    expected.raw = raw
    assert_same_anndata(ad.read_h5ad(target), expected)


@pytest.fixture(params=["csr", "csc", "dense"])
def stored_reference(request, tmp_path) -> Path:
    path = tmp_path / f"{request.param}.h5ad"
    reference(x=request.param).write_h5ad(path)
    return path


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("storage", ["csr", "csc"])
def test_selected_and_changed_matrices(wide, tmp_path, kind, storage) -> None:
    path, matrix = wide(kind)
    adata = lo.read_h5ad(path)[::-3, 5:600:2]
    expected = matrix.tocsr()[::-3, 5:600:2]
    with in_pieces():
        adata.write_h5ad(tmp_path / "selected.h5ad", storage=storage)
        lo.pp.log1p(adata)
        adata.write_h5ad(tmp_path / "logged.h5ad", storage=storage)
    selected, logged = stored(tmp_path / "selected.h5ad"), stored(tmp_path / "logged.h5ad")
    assert selected.format == logged.format == storage
    np.testing.assert_array_equal(selected.toarray(), expected.toarray())
    np.testing.assert_allclose(logged.toarray(), np.log1p(expected.toarray()), rtol=1e-6)


def test_changed_dask_arrays_and_matrices_in_memory(wide, tmp_path) -> None:
    path, matrix = wide("csr")
    adata = lo.read_h5ad(path)
    adata.X = adata.X * 2
    with in_pieces():
        adata.write_h5ad(tmp_path / "t.h5ad", storage="csc")
    assert_same_value(stored(tmp_path / "t.h5ad"), (matrix * 2).tocsc(), "X")
    lo.AnnData(matrix).write_h5ad(tmp_path / "m.h5ad", storage="csc")
    assert_same_value(stored(tmp_path / "m.h5ad"), matrix.tocsc(), "X")


def test_one_layer_stored_by_genes(stored_reference, tmp_path) -> None:
    adata = lo.read_h5ad(stored_reference)
    if isinstance(adata.X._meta, np.ndarray):
        pytest.skip("dense matrices have no storage order")
    adata.layers["by_gene"] = adata.X
    made = lo.transpose_storage(adata, tmp_path / "t.h5ad", to="csc", layer="by_gene")
    assert stored(tmp_path / "t.h5ad").format == ad.read_h5ad(stored_reference).X.format
    assert stored(tmp_path / "t.h5ad", "layers/by_gene").format == "csc"
    np.testing.assert_array_equal(
        made.layers["by_gene"].compute().toarray(), adata.X.compute().toarray()
    )


def test_one_gene_of_a_transposed_layer_reads_little(wide, tmp_path) -> None:
    path, matrix = wide("csr", compression="gzip")
    made = lo.transpose_storage(
        lo.read_h5ad(path), tmp_path / "t.h5ad", to="csc", compression="gzip"
    )
    with count_reads() as counter:
        values = made.X[:, [17]].compute()
    np.testing.assert_array_equal(values.toarray(), matrix[:, [17]].toarray())
    data = counter.by_dataset[str(tmp_path / "t.h5ad"), "X/data"]
    assert data.chunks == 1


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (4, 3)])
@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_empty_matrices(tmp_path, shape, kind) -> None:
    make = sp.csr_matrix if kind == "csr" else sp.csc_matrix
    ad.AnnData(make(shape, dtype="float32")).write_h5ad(tmp_path / "empty.h5ad")
    adata = lo.read_h5ad(tmp_path / "empty.h5ad")
    made = lo.transpose_storage(adata, tmp_path / "t.h5ad", to=OTHER[kind])
    assert made.X.shape == shape
    assert made.X.compute().nnz == 0


def test_unsorted_and_repeated_indices(tmp_path) -> None:
    path = tmp_path / "unsorted.h5ad"
    matrix = sp.csr_matrix(
        (np.arange(1.0, 7), np.array([4, 1, 1, 0, 3, 2]), np.array([0, 3, 3, 6])), shape=(3, 5)
    )
    ad.AnnData(sp.csr_matrix((3, 5))).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        for part in ("data", "indices", "indptr"):
            del file[f"X/{part}"]
            file[f"X/{part}"] = getattr(matrix, part)
    lo.read_h5ad(path).write_h5ad(tmp_path / "t.h5ad", storage="csc")
    matrix.sum_duplicates()
    assert_same_value(stored(tmp_path / "t.h5ad"), matrix.tocsc(), "X")


@pytest.mark.parametrize("storage", ["csr", "csc"])
@pytest.mark.parametrize("selected", [False, True])
def test_steps_on_columns_are_written_in_two_passes(
    wide, tmp_path, count_passes, storage, selected
) -> None:
    """Not in one pass for each window of rows, of which there are three and more here."""
    path, matrix = wide("csc")
    expected = matrix.tocsr()
    adata = lo.read_h5ad(path)
    if selected:
        adata, expected = adata[::-2, 5:600:2], expected[::-2, 5:600:2]
    with in_pieces("400 KiB"):
        lo.pp.normalize_total(adata, target_sum=100)
        lo.pp.log1p(adata)
        assert adata.X.numblocks[0] >= 3
        with count_passes(path) as passes:
            adata.write_h5ad(tmp_path / "t.h5ad", storage=storage)
    assert passes.values < (2.5 if selected else 1.5)  # selections are counted by their values
    assert passes.indices < 3
    made = stored(tmp_path / "t.h5ad")
    assert made.format == storage
    assert made.has_canonical_format
    totals = np.asarray(expected.sum(axis=1)).ravel()
    scaled = expected.toarray() * (100 / np.where(totals == 0, 1, totals))[:, None]
    np.testing.assert_allclose(made.toarray(), np.log1p(scaled), rtol=1e-5)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("storage", ["csr", "csc"])
def test_steps_with_values_of_rows_and_columns(wide, tmp_path, storage) -> None:
    path, matrix = wide("csc")
    adata = lo.read_h5ad(path)
    rows = np.random.default_rng(0).random(matrix.shape[0]) > 0.5
    adata.obs["chosen"] = rows
    with in_pieces("400 KiB"):
        lo.pp.normalize_total(adata, target_sum=100)
        adata = adata[:, ::3]
        lo.pp.scale(adata, zero_center=False, mask_obs=rows)
        adata.write_h5ad(tmp_path / "t.h5ad", storage=storage)
        expected = adata.X.compute().todense()
    np.testing.assert_allclose(stored(tmp_path / "t.h5ad").toarray(), expected, rtol=1e-6)


@pytest.mark.parametrize("storage", ["csr", "csc"])
@pytest.mark.parametrize("budget", [0, 200_000])
def test_steps_on_columns_with_little_scratch(wide, tmp_path, monkeypatch, storage, budget) -> None:
    from lazyomics.io.transpose import ScratchPlan

    path, matrix = wide("csc")
    adata = lo.read_h5ad(path)
    lo.pp.log1p(adata)
    monkeypatch.setattr(ScratchPlan, "budget", property(lambda self: budget))
    with in_pieces("400 KiB"):
        adata.write_h5ad(tmp_path / "t.h5ad", storage=storage)
    made = stored(tmp_path / "t.h5ad")
    assert made.format == storage
    np.testing.assert_allclose(made.toarray(), np.log1p(matrix.toarray()), rtol=1e-6)


def test_nothing_is_left_after_an_error(wide, tmp_path, monkeypatch) -> None:
    path, _ = wide("csc")
    folder, target = tmp_path / "scratch", tmp_path / "t.h5ad"
    folder.mkdir()
    opened = []
    real = tempfile.TemporaryFile

    def noted(**options):
        opened.append(real(**options))
        return opened[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", noted)

    def broken(self, k, pieces):
        raise OSError("no space left")

    monkeypatch.setattr(transpose.TransposePlan, "_window", broken)
    before = set(tmp_path.iterdir())
    with in_pieces(), pytest.raises(OSError, match="no space left"):
        lo.transpose_storage(lo.read_h5ad(path), target, memory="100 KiB", scratch_dir=folder)
    assert opened
    assert all(file.closed for file in opened)
    assert list(folder.iterdir()) == []
    assert set(tmp_path.iterdir()) == before


def test_wrong_arguments(wide, tmp_path) -> None:
    path, _ = wide("csr")
    adata = lo.read_h5ad(path)
    with pytest.raises(ValueError, match="'csr' or 'csc'"):
        lo.transpose_storage(adata, tmp_path / "t.h5ad", to="coo")
    with pytest.raises(ValueError, match="'csr' or 'csc'"):
        adata.write_h5ad(tmp_path / "t.h5ad", storage="dense")
    with pytest.raises(KeyError, match="no layer 'nope'"):
        lo.transpose_storage(adata, tmp_path / "t.h5ad", layer="nope")
    with pytest.raises(ValueError, match="another filename"):
        adata.write_h5ad(storage="csc")
    assert not (tmp_path / "t.h5ad").exists()


def test_damaged_indices(wide, tmp_path) -> None:
    path, _ = wide("csr")
    with h5py.File(path, "r+") as file:
        file["X/indices"][7] = 5000
    with pytest.raises(FileFormatError, match="positions from 0 to 699"):
        lo.transpose_storage(lo.read_h5ad(path), tmp_path / "t.h5ad", to="csc")


def test_a_scan_for_rows_decodes_each_chunk_once_per_window(wide, count_passes) -> None:
    path, matrix = wide("csc", compression="gzip")
    x = lo.read_h5ad(path).X
    with h5py.File(path, "r") as file:
        chunks = file["X/data"].id.get_num_chunks()
    rows = np.arange(0, 3000, 7)
    with count_reads() as counter:
        block = x[rows].compute()
    np.testing.assert_array_equal(block.toarray(), matrix.tocsr()[rows].toarray())
    from lazyomics.lazy import as_lazy

    assert counter.by_dataset[str(path), "X/data"].chunks <= 2 * chunks
    with count_reads() as counter:
        block = as_lazy(x)[5:9].compute()
    np.testing.assert_array_equal(block.toarray(), matrix.tocsr()[5:9].toarray())
    assert counter.by_dataset[str(path), "X/data"].chunks <= 2 * chunks


MEASURE = (
    PEAK
    + MACHINE_CODE
    + """
import dask
import lazyomics as lo
path, target, to = sys.argv[1:]
dask.config.set({"lazyomics.memory": "48 MiB"})
lo.read_h5ad(path)[:10].write_h5ad(target, storage=to)  # everything is imported
before = peak()
lo.transpose_storage(lo.read_h5ad(path), target, to=to)
print(peak() - before)
"""
)


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_memory_stays_within_the_budget(tmp_path, kind) -> None:
    rng = np.random.default_rng(0)
    n, m, per_row = 50_000, 4000, 800
    indices = np.sort(rng.integers(0, 5, (n, per_row)).astype("int32"), axis=1)
    indices = (indices * 0 + np.arange(per_row, dtype="int32") * 5 + indices).ravel()
    data = rng.integers(1, 9, n * per_row).astype("float32")
    matrix = sp.csr_matrix((data, indices, np.arange(n + 1) * per_row), shape=(n, m))
    path, target = tmp_path / "large.h5ad", tmp_path / "t.h5ad"
    ad.AnnData(matrix.asformat(kind)).write_h5ad(path, compression="lzf")
    decoded = data.nbytes * 2
    assert decoded > 6 * (48 << 20)
    made = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(target), OTHER[kind]],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "MALLOC_ARENA_MAX": "2"},
    )
    peak = int(made.stdout)
    assert peak < 2 * (48 << 20), f"{peak >> 20} MiB"
    ours, expected = stored(target), matrix.asformat(OTHER[kind])
    np.testing.assert_array_equal(ours.indptr, expected.indptr)
    np.testing.assert_array_equal(ours.indices, expected.indices)
    np.testing.assert_array_equal(ours.data, expected.data)
