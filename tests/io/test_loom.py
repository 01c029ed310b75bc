from __future__ import annotations

import h5py
import numpy as np
import pytest

import lazyomics as lo
from lazyomics.errors import FileFormatError

MATRIX = np.random.default_rng(0).poisson(0.5, (7, 5))  # genes × cells


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.loom"
    with h5py.File(path, "w") as file:
        file.create_dataset("matrix", data=MATRIX, chunks=(4, 3), compression="gzip")
        file["layers/spliced"], file["layers/other"] = MATRIX * 2.0, MATRIX + 1
        file["row_attrs/Gene"] = np.array([f"g{k}" for k in range(7)], "S")
        file["row_attrs/Kind"] = np.array(["same"] * 7, "S")
        file["row_attrs/PC1"], file["row_attrs/PC2"] = np.arange(7.0), np.arange(7.0) * 2
        file["col_attrs/CellID"] = [f"c{k}" for k in range(5)]
        file["col_attrs/n"] = np.arange(5)
        file["col_attrs/umap"] = np.arange(10.0).reshape(5, 2)
        file.create_group("row_graphs"), file.create_group("col_graphs")
    return path


def test_is_opened_in_place(path, tmp_path) -> None:
    adata = lo.read_loom(path, varm_mapping={"pca": ["PC1", "PC2"]})
    assert adata.shape == (5, 7)
    assert not adata.isbacked
    assert adata.X.dtype == "float32"
    np.testing.assert_array_equal(adata.X.compute(), MATRIX.T * 2)
    assert set(adata.layers) == {"matrix", "other", "spliced"}
    np.testing.assert_array_equal(adata.layers["matrix"][1:3, ::2].compute(), MATRIX.T[1:3, ::2])
    assert list(adata.obs_names) == [f"c{k}" for k in range(5)]
    assert list(adata.var_names) == [f"g{k}" for k in range(7)]
    assert (adata.obs.index.name, adata.var.index.name) == ("CellID", "Gene")
    assert list(adata.obs) == ["n"]
    assert list(adata.var) == ["Kind"]
    np.testing.assert_array_equal(adata.obsm["umap"], np.arange(10.0).reshape(5, 2))
    np.testing.assert_array_equal(adata.varm["pca"][:, 1], np.arange(7.0) * 2)
    adata.write_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(lo.read_h5ad(tmp_path / "a.h5ad").X.compute(), MATRIX.T * 2)


def test_options(path) -> None:
    adata = lo.read_loom(path, X_name="", cleanup=True, dtype="float64", var_names="absent")
    np.testing.assert_array_equal(adata.X.compute(), MATRIX.T)
    assert adata.X.dtype == "float64"
    assert adata.uns["loom-var"] == {"Kind": "same"}
    assert list(adata.var_names) == [str(k) for k in range(7)]
    with pytest.warns(FutureWarning, match="old word"):
        assert "a" in lo.read_loom(path, obsm_names={"a": ["n"]}).obsm
    with pytest.raises(ValueError, match="one of them"):
        lo.read_loom(path, obsm_names={"a": ["n"]}, obsm_mapping={"a": ["n"]})
    with pytest.raises(KeyError, match="no attribute 'x'"):
        lo.read_loom(path, obsm_mapping={"a": ["x"]})


def test_other_files_are_refused(tmp_path) -> None:
    with h5py.File(tmp_path / "a.loom", "w") as file:
        file["x"] = 1
    with pytest.raises(FileFormatError, match="matrix, row_attrs and col_attrs"):
        lo.read_loom(tmp_path / "a.loom")
