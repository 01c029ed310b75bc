"""tl.dendrogram against scanpy on real cells, and its refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

PBMC = "rebuilt_pbmc3k_processed.h5ad"
EVERY_THIRD = slice(None, None, 3)
MARKERS = ["CD3D", "MS4A1", "CST3", "NKG7", "LYZ", "CD8A", "FCGR3A", "PPBP", "IL7R", "GNLY"]

pytestmark = [  # what anndata and scanpy cause while they compute the reference
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning"),
]


def open_both(path, how):
    """Return scanpy's and our object, the latter backed, in memory, or a lazy selection."""
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    theirs, ours = anndata.read_h5ad(path), lo.read_h5ad(path, backed=how != "memory")
    if how == "subset":
        theirs, ours = theirs[EVERY_THIRD].copy(), ours[EVERY_THIRD]
    for adata in (theirs, ours):
        half = np.arange(adata.n_obs) % 2
        adata.obs["half"] = pd.Categorical(np.where(half, "second", "first"))
    return theirs, ours


def assert_same_tree(ours, theirs, rtol=0.0):
    assert list(ours) == [*(k for k in ours if k in theirs)]
    assert set(ours) == set(theirs)
    for key, expected in theirs.items():
        if isinstance(expected, np.ndarray):
            np.testing.assert_allclose(ours[key], expected, rtol=rtol, atol=rtol)
        elif key != "dendrogram_info" or rtol == 0:
            assert ours[key] == expected, key


@pytest.mark.parametrize("how", ["backed", "memory", "subset"])
@pytest.mark.parametrize(
    ("groupby", "options"),
    [
        ("louvain", {}),
        ("louvain", {"n_pcs": 8, "linkage_method": "average", "cor_method": "spearman"}),
        (["louvain", "half"], {"optimal_ordering": True, "key_added": "tree"}),
        ("louvain", {"use_rep": "X"}),
    ],
)
def test_equals_scanpy(data_file, how, groupby, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file(PBMC), how)
    sc.tl.dendrogram(theirs, groupby, **options)
    assert lo.tl.dendrogram(ours, groupby, **options) is None
    key = options.get("key_added", "dendrogram_louvain")
    assert_same_tree(dict(ours.uns[key]), dict(theirs.uns[key]))


@pytest.mark.parametrize("how", ["backed", "memory", "subset"])
@pytest.mark.parametrize("use_raw", [True, False])
def test_genes_equal_scanpy(data_file, how, use_raw):
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = open_both(data_file(PBMC), how)
    genes = [g for g in MARKERS if use_raw or g in theirs.var_names]
    # scanpy takes all genes of the object whatever var_names says: give it only these
    alone = (theirs.raw.to_adata() if use_raw else theirs)[:, genes].copy()
    expected = sc.tl.dendrogram(alone, "louvain", var_names=genes, use_raw=False, inplace=False)
    found = lo.tl.dendrogram(ours, "louvain", var_names=genes, use_raw=use_raw, inplace=False)
    assert_same_tree(found, expected, rtol=1e-5)


def test_genes_take_one_pass(data_file, count_passes):
    path = data_file(PBMC)
    ours = lo.read_h5ad(path)
    with count_passes(path, "raw/X") as passes:
        lo.tl.dendrogram(ours, groupby="louvain", var_names=MARKERS)
    assert passes.indices <= 1.2
    with count_passes(path, "raw/X") as passes:
        lo.tl.dendrogram(ours, groupby="louvain")
    assert passes.values == 0


def test_groups_without_cells_are_left_out(data_file):
    ours = lo.read_h5ad(data_file(PBMC))
    labels = ours.obs["louvain"].cat.add_categories(["nobody"])
    ours.obs["louvain"] = labels
    lo.tl.dendrogram(ours, "louvain")
    assert "nobody" not in ours.uns["dendrogram_louvain"]["categories_ordered"]
    assert ours.uns["dendrogram_louvain"]["linkage"].shape == (7, 4)


@pytest.mark.parametrize(
    ("groupby", "options", "error", "message"),
    [
        ("nothing", {}, ValueError, "not a column"),
        ("number", {}, ValueError, "must be categorical"),
        ("alone", {}, ValueError, "at least 2 groups"),
        ("kind", {"var_names": ["9", "x1", "x2"]}, KeyError, "x1"),
        ("kind", {"var_names": ["1"], "use_raw": True}, ValueError, "raw"),
        ("kind", {"cor_method": "cosine"}, ValueError, "cor_method must be"),
        ("kind", {"linkage_method": "nearest"}, ValueError, "linkage_method must be"),
    ],
)
def test_bad_arguments(groupby, options, error, message):
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(["a", "b", "c"] * 4),
            "alone": pd.Categorical(["a"] * 12),
            "number": range(12),
        },
        index=[f"c{i}" for i in range(12)],
    )
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(12, 10)), obs=obs)
    with pytest.raises(error, match=message):
        lo.tl.dendrogram(ours, groupby, **options)
