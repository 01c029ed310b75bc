"""get.var_df against scanpy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

PBMC = "rebuilt_pbmc3k_processed.h5ad"
EVERY_THIRD = slice(None, None, 3)

# what anndata causes while it reads the reference
pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning"
)


@pytest.mark.parametrize("how", ["backed", "memory", "subset"])
@pytest.mark.parametrize("name", [PBMC, "rebuilt_pbmc3k_raw.h5ad"])
def test_equals_scanpy(data_file, how, name):
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    sc = pytest.importorskip("scanpy", reason="the reference")
    path = data_file(name)
    theirs, ours = anndata.read_h5ad(path), lo.read_h5ad(path, backed=how != "memory")
    if how == "subset":
        theirs, ours = theirs[EVERY_THIRD].copy(), ours[EVERY_THIRD]
    for adata in (theirs, ours):
        adata.varm["loadings"] = np.arange(2.0 * adata.n_vars).reshape(-1, 2)
        adata.var["rank"] = np.arange(adata.n_vars)
    keys = [theirs.obs_names[30], "rank", theirs.obs_names[2], theirs.obs_names[30]]
    expected = sc.get.var_df(theirs, keys, varm_keys=[("loadings", 1)])
    found = lo.get.var_df(ours, keys, varm_keys=[("loadings", 1)])
    pd.testing.assert_frame_equal(found, expected)


def example() -> lo.AnnData:
    obs = pd.DataFrame(index=["c1", "c2", "c2", "c3"])
    var = pd.DataFrame({"length": [10, 20], "c3": [0, 0]}, index=["g1", "g2"])
    x = np.arange(8.0).reshape(4, 2)
    return lo.AnnData(x, obs=obs, var=var, layers={"twice": 2 * x})


def test_layer_and_single_key():
    assert lo.get.var_df(example(), "c1", layer="twice")["c1"].tolist() == [0.0, 2.0]
    assert lo.get.var_df(example()).shape == (2, 0)


@pytest.mark.parametrize(
    ("keys", "options", "error", "message"),
    [
        (["c9"], {}, KeyError, r"\['c9'\] are found neither"),
        (["c3"], {}, KeyError, "found in both"),
        (["c2"], {}, ValueError, "more than once"),
        (["c1"], {"layer": "nothing"}, KeyError, "nothing"),
        ((), {"varm_keys": [("PCs", 0)]}, KeyError, "no 'PCs'"),
    ],
)
def test_bad_arguments(keys, options, error, message):
    with pytest.raises(error, match=message):
        lo.get.var_df(example(), keys, **options)
