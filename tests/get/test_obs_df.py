"""get.obs_df against scanpy."""

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


def open_both(path, how):
    """Return scanpy's and our object, the latter backed, in memory, or a lazy selection."""
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    theirs, ours = anndata.read_h5ad(path), lo.read_h5ad(path, backed=how != "memory")
    if how == "subset":
        theirs, ours = theirs[EVERY_THIRD].copy(), ours[EVERY_THIRD]
    return theirs, ours


@pytest.mark.parametrize("how", ["backed", "memory", "subset"])
@pytest.mark.parametrize(
    ("keys", "options"),
    [
        (["louvain", "NKG7", "n_counts", "CST3"], {}),
        (["MS4A1", "CD3D", "louvain"], {"use_raw": True}),
        (["NKG7", "NKG7", "n_genes"], {"obsm_keys": [("X_umap", 1), ("X_pca", 0)]}),
        ((), {"obsm_keys": [("X_umap", 0)]}),
        ("NKG7", {}),
    ],
)
def test_equals_scanpy(data_file, how, keys, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file(PBMC), how)
    expected = sc.get.obs_df(theirs, keys, **options)
    pd.testing.assert_frame_equal(lo.get.obs_df(ours, keys, **options), expected)


@pytest.mark.parametrize("how", ["backed", "memory", "subset"])
def test_symbols_and_layers_equal_scanpy(data_file, how):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file(PBMC), how)
    for adata in (theirs, ours):
        adata.var["symbol"] = [f"s{i}" for i in range(adata.n_vars)]
        adata.layers["twice"] = adata.X * 2
    options = {"gene_symbols": "symbol", "layer": "twice"}
    expected = sc.get.obs_df(theirs, ["s40", "louvain", "s3"], **options)
    found = lo.get.obs_df(ours, ["s40", "louvain", "s3"], **options)
    pd.testing.assert_frame_equal(found, expected)


def test_all_genes_take_one_pass(data_file, count_passes):
    path = data_file(PBMC)
    ours = lo.read_h5ad(path)
    genes = list(ours.raw.var_names[10:400:3])
    with count_passes(path, "raw/X") as passes:
        lo.get.obs_df(ours, genes, use_raw=True)
    assert 0 < passes.values <= 1.01
    with count_passes(path, "raw/X") as passes:
        lo.get.obs_df(ours, ["louvain"])
    assert passes.values == 0


def example() -> lo.AnnData:
    obs = pd.DataFrame({"batch": [1, 2], "g3": [0, 0]}, index=["c1", "c2"])
    var = pd.DataFrame({"symbol": ["a", "b", "b"]}, index=["g1", "g2", "g3"])
    frame = pd.DataFrame({"left": [1.0, 2.0]}, index=["c1", "c2"])
    return lo.AnnData(np.arange(6.0).reshape(2, 3), obs=obs, var=var, obsm={"frame": frame})


def test_embedding_in_a_frame():
    found = lo.get.obs_df(example(), obsm_keys=[("frame", "left")])
    assert found["frame-left"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("keys", "options", "error", "message"),
    [
        (["g1", "g9"], {}, KeyError, r"\['g9'\] are found neither"),
        (["g3"], {}, KeyError, "found in both"),
        (["b"], {"gene_symbols": "symbol"}, ValueError, "more than once"),
        (["a"], {"gene_symbols": "name"}, KeyError, "not a column of var"),
        (["g1"], {"layer": "nothing"}, KeyError, "nothing"),
        (["g1"], {"use_raw": True}, ValueError, "raw is None"),
        (["g1"], {"use_raw": True, "layer": "x"}, ValueError, "give one"),
        ((), {"obsm_keys": [("X_pca", 0)]}, KeyError, "no 'X_pca'"),
    ],
)
def test_bad_arguments(keys, options, error, message):
    with pytest.raises(error, match=message):
        lo.get.obs_df(example(), keys, **options)


def test_repeated_columns_are_refused():
    ours = example()
    ours.obs = pd.DataFrame([[1, 2], [3, 4]], index=["c1", "c2"], columns=["k", "k"])
    with pytest.raises(ValueError, match="repeated columns"):
        lo.get.obs_df(ours, ["k"])
