from __future__ import annotations

import h5py
import numpy as np
import pytest

from lazyomics.datasets import count_file, simulate

anndata = pytest.importorskip("anndata", reason="anndata reads the simulated files back")

SMALL = {"n_obs": 300, "n_vars": 400, "n_types": 4, "n_batches": 2, "mean_counts": 500}


def dense(adata):
    return adata.X if isinstance(adata.X, np.ndarray) else adata.X.toarray()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = simulate(tmp_path_factory.mktemp("simulated") / "small.h5ad", **SMALL)
    return anndata.read_h5ad(path)


def test_anndata_reads_the_file(small):
    assert small.shape == (300, 400)
    assert small.X.format == "csr"
    assert small.X.dtype == np.float32
    assert small.X.has_sorted_indices
    assert list(small.obs) == ["cell_type", "batch"]
    assert list(small.obs["cell_type"].cat.categories) == ["type_0", "type_1", "type_2", "type_3"]
    assert set(small.obs["batch"]) == {"batch_0", "batch_1"}
    assert small.obs_names.is_unique
    assert small.obs_names.str.fullmatch("[ACGT]{16}-1").all()
    assert small.var_names.is_unique
    assert small.var["mito"].tolist() == small.var_names.str.startswith("MT-").tolist()
    assert small.var["mito"].sum() == 13
    assert small.var["marker_of"].value_counts().tolist() == [33, 33, 33, 33]
    assert small.uns["simulation"]["seed"] == 0


def test_indptr_is_as_narrow_as_indices(tmp_path):
    with h5py.File(simulate(tmp_path / "a.h5ad", n_obs=20, n_vars=30)) as file:
        assert file["X/indptr"].dtype == file["X/indices"].dtype == np.int32


def test_markers_are_up_in_their_type(small):
    counts = dense(small)
    rate = counts / counts.sum(axis=1, keepdims=True)
    for name in small.obs["cell_type"].cat.categories:
        inside = (small.obs["cell_type"] == name).to_numpy()
        markers = (small.var["marker_of"] == name).to_numpy()
        assert rate[inside][:, markers].sum() / inside.sum() > 5 * (
            rate[~inside][:, markers].sum() / (~inside).sum()
        )


def test_counts_are_like_those_of_real_cells(tmp_path):
    # PBMC 3k: 2,365 counts in 847 genes a cell, 2 % mitochondrial.
    adata = anndata.read_h5ad(simulate(tmp_path / "real.h5ad", n_obs=500, n_vars=20_000))
    assert adata.X.sum(axis=1).mean() == pytest.approx(2000, rel=0.1)
    assert 600 < adata.X.nnz / 500 < 1100
    mito = adata[:, adata.var["mito"].to_numpy()].X.sum() / adata.X.sum()
    assert 0.03 < mito < 0.08


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_layouts_hold_the_same_counts(tmp_path, monkeypatch, small, layout, compression):
    monkeypatch.setattr(count_file, "CSC_ENTRIES", 1000)  # several groups of genes
    path = simulate(
        tmp_path / "other.h5ad", format=layout, compression=compression, window=77, **SMALL
    )
    other = anndata.read_h5ad(path)
    np.testing.assert_array_equal(dense(other), dense(small))
    assert other.obs.equals(small.obs)
    if layout == "csc":
        assert other.X.format == "csc"
        assert other.X.has_sorted_indices
    with h5py.File(path) as file:
        x = file["X"] if layout == "dense" else file["X/data"]
        assert x.compression == compression


@pytest.mark.parametrize("window", [1, 99, 300, 1000])
def test_the_file_does_not_depend_on_the_window(tmp_path, small, window):
    path = simulate(tmp_path / "other.h5ad", window=window, **SMALL)
    other = anndata.read_h5ad(path)
    np.testing.assert_array_equal(other.X.indptr, small.X.indptr)
    np.testing.assert_array_equal(other.X.indices, small.X.indices)
    np.testing.assert_array_equal(other.X.data, small.X.data)
    assert other.obs.equals(small.obs)


def test_a_longer_simulation_starts_with_the_same_cells(tmp_path, small):
    longer = anndata.read_h5ad(simulate(tmp_path / "longer.h5ad", **{**SMALL, "n_obs": 450}))
    assert longer.obs[:300].equals(small.obs)
    np.testing.assert_array_equal(dense(longer)[:300], dense(small))


def test_the_seed_changes_the_counts(tmp_path, small):
    other = anndata.read_h5ad(simulate(tmp_path / "other.h5ad", seed=1, **SMALL))
    assert (dense(other) != dense(small)).any()
    assert not other.obs["cell_type"].equals(small.obs["cell_type"])


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint16", "int64"])
def test_dtype_is_stored(tmp_path, small, dtype):
    other = anndata.read_h5ad(simulate(tmp_path / "other.h5ad", dtype=dtype, **SMALL))
    assert other.X.dtype == dtype
    np.testing.assert_array_equal(dense(other), dense(small))


def test_no_cells_and_few_genes(tmp_path):
    assert anndata.read_h5ad(simulate(tmp_path / "a.h5ad", n_obs=0)).shape == (0, 2000)
    few = anndata.read_h5ad(simulate(tmp_path / "b.h5ad", n_obs=5, n_vars=2, n_types=1))
    assert few.shape == (5, 2)
    assert not few.var["mito"].any()


def test_counts_that_do_not_fit_leave_the_old_file_alone(tmp_path):
    path = simulate(tmp_path / "old.h5ad", n_obs=5, n_vars=20)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="does not fit into dtype uint8"):
        simulate(path, n_obs=5, n_vars=20, n_types=1, mean_counts=50_000, dtype=np.uint8)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["old.h5ad"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_obs": -1}, "n_obs must be at least 0, found -1"),
        ({"n_vars": 0}, "n_vars must be at least 1"),
        ({"n_types": 0}, "n_types must be at least 1"),
        ({"mean_counts": 0}, "mean_counts must be at least 1"),
        ({"n_batches": 0}, "n_batches must be at least 1"),
        ({"format": "coo"}, "format must be 'csr', 'csc' or 'dense'"),
        ({"n_vars": 100, "markers_per_type": 50}, "lower markers_per_type"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        simulate(tmp_path / "x.h5ad", **wrong)
    assert not list(tmp_path.iterdir())
