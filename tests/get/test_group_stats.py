"""get.group_stats against the numbers behind scanpy's dot plot."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import lazyomics as lo

PBMC = "rebuilt_pbmc3k_processed.h5ad"
EVERY_THIRD = slice(None, None, 3)
MARKERS = ["LYZ", "CD3D", "MS4A1", "CST3", "NKG7", "CD8A", "FCGR3A", "PPBP"]

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
    for adata in (theirs, ours):
        half = np.arange(adata.n_obs) % 2
        adata.obs["half"] = pd.Categorical(np.where(half, "second", "first"), ["second", "first"])
    return theirs, ours


@pytest.mark.parametrize("how", ["backed", "memory", "subset"])
@pytest.mark.parametrize(
    ("groupby", "options"),
    [
        ("louvain", {}),
        ("louvain", {"use_raw": False}),
        ("louvain", {"expression_cutoff": 1.0, "mean_only_expressed": True}),
        (["louvain", "half"], {}),
        ("n_counts", {}),
    ],
)
def test_equals_dot_plot(data_file, how, groupby, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    pytest.importorskip("matplotlib", reason="scanpy's dot plot needs it").use("agg")
    theirs, ours = open_both(data_file(PBMC), how)
    genes = [g for g in MARKERS if options.get("use_raw", True) or g in theirs.var_names]
    plot = sc.pl.DotPlot(theirs, genes, groupby, **options)
    means, fractions = lo.get.group_stats(ours, genes, groupby, **options)
    for found, expected in ((means, plot.dot_color_df), (fractions, plot.dot_size_df)):
        assert found.columns.tolist() == expected.columns.tolist()
        assert list(map(str, found.index)) == list(map(str, expected.index))
        # scanpy averages in float32
        np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=2e-5)


def test_takes_one_pass(data_file, count_passes):
    path = data_file(PBMC)
    ours = lo.read_h5ad(path)
    with count_passes(path, "raw/X") as passes:
        lo.get.group_stats(ours, MARKERS, "louvain")
    assert 0 < passes.values <= 1.01
    assert 0 < passes.indices <= 1.01


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint16"])
def test_forms_and_types_agree(form, dtype):
    values = np.random.default_rng(0).poisson(1.0, size=(50, 6)).astype(dtype)
    obs = {"kind": pd.Categorical(list("abcde") * 10)}
    var = pd.DataFrame(index=list("uvwxyz"))
    adata = lo.AnnData(form(values), obs=obs, var=var, layers={"double": form(values * 2)})
    means, fractions = lo.get.group_stats(adata, list("zux"), "kind")
    frame = pd.DataFrame(values.astype(float), columns=list("uvwxyz"))[list("zux")]
    by = list("abcde") * 10
    np.testing.assert_allclose(means, frame.groupby(by).mean(), rtol=1e-12)
    np.testing.assert_allclose(fractions, (frame > 0).groupby(by).mean(), rtol=1e-12)
    doubled, _ = lo.get.group_stats(adata, list("zux"), "kind", layer="double")
    np.testing.assert_allclose(doubled, 2 * means, rtol=1e-12)


def example() -> lo.AnnData:
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(["b", "a", None, "b"], categories=["b", "c", "a"]),
            "part": pd.Categorical(["x", "x", "y", "y"]),
        },
        index=list("klmn"),
    )
    var = pd.DataFrame({"symbol": ["S1", "S2", "S2"]}, index=["g1", "g2", "g3"])
    return lo.AnnData(np.arange(12.0).reshape(4, 3), obs=obs, var=var)


def test_cells_without_group_and_groups_without_cells_are_left_out():
    means, _ = lo.get.group_stats(example(), ["g1"], "kind")
    assert means.index.tolist() == ["b", "a"]
    assert means["g1"].tolist() == [4.5, 3.0]
    joined, _ = lo.get.group_stats(example(), ["g1"], ["kind", "part"])
    assert joined.index.tolist() == ["b_x", "b_y", "a_x"]


def test_repeated_genes_and_one_gene():
    means, fractions = lo.get.group_stats(example(), ["g2", "g1", "g2"], "kind")
    assert means.columns.tolist() == fractions.columns.tolist() == ["g2", "g1", "g2"]
    assert means.iloc[0].tolist() == [5.5, 4.5, 5.5]
    single, _ = lo.get.group_stats(example(), "S1", "kind", gene_symbols="symbol")
    assert single["S1"].tolist() == [4.5, 3.0]


@pytest.mark.parametrize(
    ("genes", "groupby", "options", "error", "message"),
    [
        (["g9", "g1"], "kind", {}, KeyError, "g9"),
        (["g1"], "nothing", {}, ValueError, "not a column of adata.obs"),
        (["g1"], [], {}, ValueError, "names no column"),
        (["g1"], "kind", {"layer": "nothing"}, KeyError, "nothing"),
        (["g1"], "kind", {"use_raw": True}, ValueError, "raw"),
        (["S2"], "kind", {"gene_symbols": "symbol"}, ValueError, "more than once"),
        (["S1"], "kind", {"gene_symbols": "name"}, KeyError, "not a column of var"),
    ],
)
def test_bad_arguments(genes, groupby, options, error, message):
    with pytest.raises(error, match=message):
        lo.get.group_stats(example(), genes, groupby, **options)
