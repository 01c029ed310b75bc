"""Open, compute and write with the lazyomics that is installed: a built wheel in its environment.

    python -P tests/smoke.py

With -P, neither the checkout nor this folder is on the path of imports.
"""

from __future__ import annotations

import importlib.metadata
import sys
import tempfile
from pathlib import Path

import numpy as np

import lazyomics as lo


def main() -> None:
    """Take counts to components, and write what was selected of them."""
    home = Path(lo.__file__).parent
    assert Path(sys.prefix) in home.parents, f"lazyomics is not that of this environment: {home}"
    assert lo.__version__ == importlib.metadata.version("lazyomics")
    assert (home / "py.typed").exists()
    with tempfile.TemporaryDirectory() as folder:
        path, part = Path(folder, "counts.h5ad"), Path(folder, "part.h5ad")
        lo.datasets.simulate(path, n_obs=500, n_vars=800)
        adata = lo.read_h5ad(path)
        lo.pp.normalize_total(adata, target_sum=1e4)
        lo.pp.log1p(adata)
        lo.pp.pca(adata, n_comps=5)
        adata[adata.obsm["X_pca"][:, 0] > 0].copy(filename=part)
        again = lo.read_h5ad(part)
        assert 0 < again.n_obs < adata.n_obs
        assert again.obsm["X_pca"].shape == (again.n_obs, 5)
        assert np.isfinite(np.asarray(again.X.sum(axis=1).compute())).all()
    print(f"lazyomics {lo.__version__} opens, computes and writes: {home}")


if __name__ == "__main__":
    main()
