"""tl.tsne against scanpy, and its refusals."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

import lazyomics as lo

N = 60


def cells(module=lo):
    rng = np.random.default_rng(0)
    obsm = {"X_pca": (rng.normal(size=(N, 12)) + np.arange(N)[:, None] // 20 * 4).astype("f4")}
    obsm["X_other"] = obsm["X_pca"][:, ::-1].astype("f8")
    names = pd.DataFrame(index=[f"c{k}" for k in range(N)])
    return module.AnnData(rng.normal(size=(N, 55)).astype("f4"), obs=names, obsm=obsm)


@pytest.fixture(autouse=True)
def one_thread():
    """Sums of several threads are added in another order in each run."""
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize(
    "options",
    [
        {"perplexity": 5},
        {"n_pcs": 3, "random_state": 7, "learning_rate": 200, "key_added": "mine"},
        {"use_rep": "X_other", "metric": "cosine", "early_exaggeration": 4},
    ],
)
@pytest.mark.parametrize("where", ["memory", "subset"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_equals_scanpy(tmp_path, where, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    theirs, ours = cells(anndata), cells()
    options = {"perplexity": 8, **options}
    if where == "subset":
        ours.write_h5ad(tmp_path / "a.h5ad")
        ours, theirs = lo.read_h5ad(tmp_path / "a.h5ad")[5:-5], theirs[5:-5].copy()
    sc.tl.tsne(theirs, **options)
    assert lo.tl.tsne(ours, **options) is None
    key = options.get("key_added", "X_tsne")
    np.testing.assert_array_equal(ours.obsm[key], theirs.obsm[key])
    assert ours.obsm[key].dtype == theirs.obsm[key].dtype
    key = options.get("key_added", "tsne")
    expected = {"n_components": 2, **theirs.uns[key]["params"]}  # not of every scanpy
    assert ours.uns[key] == {"params": expected}


def test_copy_dimensions_and_plot():
    from matplotlib import pyplot

    ours = cells()
    found = lo.tl.tsne(ours, n_pcs=0, n_components=1, perplexity=5, copy=True)
    assert "X_tsne" not in ours.obsm
    assert found.obsm["X_tsne"].shape == (N, 1)
    lo.tl.tsne(ours, perplexity=5)
    lo.pl.tsne(ours, show=False)
    pyplot.close("all")


def test_warnings(monkeypatch):
    with pytest.warns(UserWarning, match="n_jobs other than 1"):
        lo.tl.tsne(cells(), perplexity=5, n_jobs=2)
    monkeypatch.delitem(sys.modules, "MulticoreTSNE", raising=False)
    with (
        pytest.warns(FutureWarning, match="use_fast_tsne is deprecated"),
        pytest.warns(UserWarning, match="is not installed"),
    ):
        lo.tl.tsne(cells(), perplexity=5, use_fast_tsne=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_rep": "X_nothing"}, "neither 'X' nor in adata.obsm"),
        ({"n_pcs": 13}, "fewer than n_pcs=13"),
        ({"perplexity": 60}, "perplexity"),
    ],
)
def test_bad_arguments(options, message):
    ours = cells()
    with pytest.raises(ValueError, match=message):
        lo.tl.tsne(ours, **options)
    ours.obsm["X_pca"][3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite for the cells 'c3'"):
        lo.tl.tsne(ours)
    assert set(ours.obsm) == {"X_pca", "X_other"}
