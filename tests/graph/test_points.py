"""Representations that stay on disk: the same neighbours, whatever fits memory."""

from __future__ import annotations

from pathlib import Path

import dask
import numpy as np
import pytest
from scipy import sparse

import lazyomics as lo
from lazyomics.graph import nearest as module
from lazyomics.pp import representation

WIDTH = 20


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of 4,000 cells, of which more than 1,500 are many; blocks hold 1,024 of them."""
    from lazyomics.graph import points

    monkeypatch.setattr(module, "EXACT_BELOW", 1500)
    monkeypatch.setattr(points, "VALUES_AT_ONCE", 1024 * WIDTH)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, WIDTH)) + 4 * rng.normal(size=(9, WIDTH))[rng.integers(0, 9, 4000)]
    x[7] = 0
    path = tmp_path / "a.h5ad"
    adata = lo.AnnData(x.astype("f4"), obsm={"X_pca": x, "X_low": x[:, :5].astype("f4")})
    adata.layers["sparse"] = sparse.csr_matrix(x.astype("f4"))
    adata.write_h5ad(path)
    return path


def graph(path: Path, memory: str, select: slice, **options: object) -> lo.AnnData:
    with dask.config.set({"lazyomics.memory": memory}):
        adata = lo.read_h5ad(path)[select]
        lo.pp.neighbors(adata, n_neighbors=8, **options)
    return adata


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
@pytest.mark.parametrize("select", [slice(None), slice(None, None, 2)], ids=["all", "half"])
@pytest.mark.parametrize(
    "options", [{"use_rep": "X_pca"}, {"use_rep": "X_pca", "n_pcs": 7}, {"use_rep": "X"}], ids=str
)
def test_the_graph_is_the_same(stored: Path, metric: str, select: slice, options: dict) -> None:
    known = graph(stored, "1 GiB", select, metric=metric, **options)
    found = graph(stored, "100 kB", select, metric=metric, **options)
    for key in ("distances", "connectivities"):
        a, b = known.obsp[key], found.obsp[key]
        np.testing.assert_array_equal(a.indices, b.indices)
        np.testing.assert_array_equal(a.data, b.data)
    assert found.uns["neighbors"]["recall"] == known.uns["neighbors"]["recall"] >= 0.99
    if "X_pca" in options.values():
        assert not isinstance(found.obsm.stored()["X_pca"], np.ndarray)  # was not loaded


def test_rows_are_read_a_few_times(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    blocks = representation.row_blocks

    def counted(x):
        for part, values in blocks(x):
            rows.append(len(values))
            yield part, values

    from lazyomics.graph import points

    monkeypatch.setattr(representation, "row_blocks", counted)
    monkeypatch.setattr(points, "row_blocks", counted)
    graph(stored, "100 kB", slice(None), use_rep="X_pca")
    copies = -(-4000 // (100_000 // (WIDTH * 4)))
    assert max(rows) <= 1024
    assert sum(rows) == (4 + copies) * 4000


def test_what_does_not_fit_is_refused(stored: Path) -> None:
    adata = lo.read_h5ad(stored)
    adata.X = adata.layers["sparse"]
    for options in ({"use_rep": "X"}, {"use_rep": "X", "metric": "manhattan"}):
        with (
            dask.config.set({"lazyomics.memory": "100 kB"}),
            pytest.raises(MemoryError, match="X as the representation"),
        ):
            lo.pp.neighbors(adata, **options)


def test_gaps_are_found_on_disk(stored: Path) -> None:
    adata = lo.read_h5ad(stored)
    adata.obs_names = [f"cell {k}" for k in range(adata.n_obs)]
    adata.obsm["X_pca"][3000] = np.nan
    adata.write()
    with (
        dask.config.set({"lazyomics.memory": "100 kB"}),
        pytest.raises(ValueError, match=r"obsm\['X_pca'\] is NaN or infinite for the cells.*3000'"),
    ):
        lo.pp.neighbors(lo.read_h5ad(stored), use_rep="X_pca")
