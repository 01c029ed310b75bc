"""Files do not grow with every save."""

from __future__ import annotations

import numpy as np
import pandas as pd

import lazyomics as lo


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
    assert lo.repack(path) > 0
