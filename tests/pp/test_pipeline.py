"""From counts to components: how often the file is read for all of it together."""

from __future__ import annotations

import dask
import pytest

import lazyomics as lo


@pytest.mark.parametrize(
    ("target_sum", "memory", "values", "positions"),
    [
        (1e4, "1 GiB", 2, 2),  # genes, components; the selected genes stay in memory
        (None, "1 GiB", 3, 2),  # totals take one more, of the values alone
        (1e4, "4 kiB", 3, 3),  # nothing stays in memory: coordinates take one more
    ],
)
def test_passes_of_the_pipeline(tmp_path, count_passes, target_sum, memory, values, positions):
    path = lo.datasets.simulate(tmp_path / "counts.h5ad", n_obs=600, n_vars=300, seed=0)
    with dask.config.set({"lazyomics.memory": memory}), count_passes(path) as passes:
        adata = lo.read_h5ad(path)
        lo.pp.normalize_total(adata, target_sum=target_sum)
        lo.pp.log1p(adata)
        lo.pp.highly_variable_genes(adata, n_top_genes=50)
        lo.pp.pca(adata, n_comps=5)
    assert passes.values == pytest.approx(values, abs=0.5)  # chunks at the edges of blocks
    assert passes.indices == pytest.approx(positions, abs=0.5)
    assert adata.obsm["X_pca"].shape == (600, 5)
