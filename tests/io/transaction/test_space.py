"""Files do not grow with every save."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from lazyomics.io import files
from lazyomics.io import files as files_module


def test_a_hundred_saves_of_changed_columns(tmp_path) -> None:
    path = tmp_path / "a.h5ad"
    rows = 2000
    names = pd.DataFrame(index=[f"cell{i}" for i in range(rows)])
    lo.AnnData(np.ones((rows, 3)), obs=names).write_h5ad(path)
    adata = lo.read_h5ad(path)
    sizes = []
    for k in range(100):
        adata.obs["score"] = np.full(rows, float(k))
        adata.obsm["X_pca"] = np.full((rows, 5), float(k))
        adata.write()
        sizes.append(path.stat().st_size)
    # the names of encodings are texts, too, of which HDF5 does not use the space again
    assert sizes[-1] - sizes[0] <= 100 * 150
    again = lo.read_h5ad(path)
    assert set(again.obs["score"]) == {99.0}
    assert again.obsm["X_pca"].min() == again.obsm["X_pca"].max() == 99


def test_texts_cost_a_little(tmp_path) -> None:
    """HDF5 does not use the space of texts again: what categories need is all that is lost."""
    path = tmp_path / "a.h5ad"
    lo.AnnData(np.ones((2000, 3))).write_h5ad(path)
    adata = lo.read_h5ad(path)
    sizes = []
    for k in range(20):
        adata.obs["kind"] = [f"{k}-{i % 10}" for i in range(2000)]
        adata.write()
        sizes.append(path.stat().st_size)
    assert sizes[-1] - sizes[0] <= 19 * 6000
    assert lo.repack(path).given_back > 0


def test_replaced_matrices_are_told_about_once(tmp_path, monkeypatch) -> None:
    """Their space is lost: the old one stays until the new one is complete."""
    monkeypatch.setattr(files_module, "LEAST_UNUSED", 1 << 20)
    monkeypatch.setattr(files, "LEAST_GROWTH", 1 << 18)
    path = tmp_path / "a.h5ad"
    chance = np.random.default_rng(0)
    lo.AnnData(chance.random((1000, 100))).write_h5ad(path)
    adata = lo.read_h5ad(path)
    for k in range(2):  # 0.8 MB of X, of the layer, and of the old layer
        adata.layers["k"] = adata.X + k
        adata.write()

    def save_again() -> None:
        for k in range(3):
            adata.layers["k"] = adata.X - k
            adata.write()

    with pytest.warns(UserWarning, match="are unused.*lo.repack"):
        save_again()
    adata.layers["k"] = adata.X * 3
    adata.write()  # and not again
    used = 2 * 1000 * 100 * 8
    assert path.stat().st_size > 4 * used / 2
    lo.repack(path)
    assert path.stat().st_size < 1.2 * used
    again = lo.read_h5ad(path)
    assert again.layers["k"].sum().compute() == pytest.approx(3 * again.X.sum().compute())


def test_what_is_in_use_is_not_told_about(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files_module, "LEAST_UNUSED", 1 << 18)
    monkeypatch.setattr(files, "LEAST_GROWTH", 1 << 18)
    path = tmp_path / "a.h5ad"
    lo.AnnData(np.ones((1000, 100))).write_h5ad(path)
    adata = lo.read_h5ad(path)
    for k in range(4):
        adata.layers[f"{k}"] = adata.X + k
        adata.write()
    with h5py.File(path) as file:
        assert files_module.unused_bytes(file) < 100_000
