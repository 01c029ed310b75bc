"""Latent semantic indexing: muon's formulas, whether the matrix is loaded or read pass by pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import svds

import lazyomics as lo


@pytest.fixture(scope="module")
def peaks() -> sp.csr_matrix:
    """Sparse values with a few strong components, shape (300, 800)."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 8, 300)
    rate = 0.02 + 0.35 * (rng.integers(0, 8, 800)[None, :] == groups[:, None])
    values = (rng.random((300, 800)) < rate) * rng.random((300, 800))
    return sp.csr_matrix(values)


def reference(x: Any, k: int, scale: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The formulas of ``muon.atac.tl.lsi`` (muon 0.1.9), with signs as here."""
    cells, sizes, loadings = svds(x, k=k)
    cells, sizes, loadings = cells[:, ::-1], sizes[::-1], loadings[::-1, :].T
    signs = np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(k)])
    cells, loadings = cells * signs, loadings * signs
    if scale:
        cells = (cells - cells.mean(axis=0)) / cells.std(axis=0)
    return cells, sizes / np.sqrt(x.shape[0] - 1), loadings


@pytest.fixture
def stored(peaks: sp.csr_matrix, tmp_path: Path) -> Path:
    path = tmp_path / "peaks.h5ad"
    lo.AnnData(peaks).write_h5ad(path)
    return path


@pytest.mark.parametrize("memory", ["1 GiB", "100 kB"])
@pytest.mark.parametrize("scale", [True, False])
def test_as_muon(memory: str, scale: bool, peaks: sp.csr_matrix, stored: Path) -> None:
    adata = lo.read_h5ad(stored, chunks=50)
    with dask.config.set({"lazyomics.memory": memory}):
        lo.tl.lsi(adata, n_comps=7, scale_embeddings=scale)
    cells, stdev, loadings = reference(peaks, 7, scale)
    loose = memory == "100 kB"
    np.testing.assert_allclose(adata.uns["lsi"]["stdev"], stdev, rtol=1e-5 if loose else 1e-9)
    size = np.abs(cells).max()
    np.testing.assert_allclose(adata.obsm["X_lsi"], cells, atol=(5e-3 if loose else 1e-7) * size)
    np.testing.assert_allclose(adata.varm["LSI"], loadings, atol=5e-3 if loose else 1e-8)


def test_passes(stored: Path, count_passes: Callable[..., Any]) -> None:
    adata = lo.read_h5ad(stored, chunks=50)
    with count_passes(stored) as passes:
        lo.tl.lsi(adata, n_comps=5)
    assert passes.values == pytest.approx(1, abs=0.01)
    with dask.config.set({"lazyomics.memory": "100 kB"}), count_passes(stored) as passes:
        lo.tl.lsi(adata, n_comps=5)
    assert passes.values <= 13.01


def test_layers_modalities_and_limits(peaks: sp.csr_matrix) -> None:
    adata = lo.AnnData(peaks, layers={"int": (peaks > 0).astype(np.int32)})
    lo.tl.lsi(adata, n_comps=4, layer="int")
    assert adata.obsm["X_lsi"].shape == (300, 4)
    lo.tl.lsi(lo.MuData({"atac": adata}), n_comps=3)
    assert adata.obsm["X_lsi"].shape == (300, 3)
    few = lo.AnnData(np.random.default_rng(0).random((20, 5)))
    lo.tl.lsi(few)
    assert few.obsm["X_lsi"].shape == (20, 4)
    with pytest.raises(ValueError, match="2 × 2"):
        lo.tl.lsi(lo.AnnData(np.ones((5, 1))))
    with pytest.raises(ValueError, match="n_comps"):
        lo.tl.lsi(few, n_comps=0)


def test_repeatable(peaks: sp.csr_matrix) -> None:
    results = []
    for _ in range(2):
        adata = lo.AnnData(peaks)
        lo.pp.tfidf(adata)
        lo.tl.lsi(adata, n_comps=5)
        results.append(adata.obsm["X_lsi"])
    np.testing.assert_array_equal(*results)
