"""Tables, filters and overlaps of ranked genes against scanpy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo

pytestmark = [  # what anndata and scanpy cause while they compute the reference
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning"),
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same logged cells for lazyomics (in a file) and scanpy, with symbols of the genes."""
    anndata = pytest.importorskip("anndata", reason="compares with anndata")
    rng = np.random.default_rng(0)
    mean = np.exp(rng.normal(-0.5, 1, 40)) * np.ones((90, 1))
    mean[:30, :8] *= 5
    x = sp.csr_matrix(np.log1p(rng.poisson(mean)).astype(np.float32))
    obs = pd.DataFrame(
        {"kind": pd.Categorical(np.repeat(["a", "b", "c"], 30))}, index=[f"c{i}" for i in range(90)]
    )
    var = pd.DataFrame({"symbol": [f"S{i}" for i in range(40)]}, index=[f"g{i}" for i in range(40)])
    theirs = anndata.AnnData(x, obs=obs, var=var)
    path = tmp_path_factory.mktemp("ranked") / "x.h5ad"
    theirs.write_h5ad(path)
    return lo.read_h5ad(path), theirs, path


def ranked(pair, **options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    ours, theirs, _ = pair
    for module, adata in ((lo, ours), (sc, theirs)):
        module.tl.rank_genes_groups(adata, "kind", method="wilcoxon", **options)
    return sc, ours, theirs


@pytest.mark.parametrize("pts", [True, False])
@pytest.mark.parametrize("group", ["b", ["c", "a"], None])
@pytest.mark.parametrize(
    "options",
    [{}, {"pval_cutoff": 0.2, "log2fc_min": 0.1}, {"log2fc_max": 0, "gene_symbols": "symbol"}],
)
def test_frame_equals_scanpys(pair, group, pts, options):
    sc, ours, theirs = ranked(pair, pts=pts)
    found = lo.get.rank_genes_groups_df(ours, group, **options)
    expected = sc.get.rank_genes_groups_df(theirs, group, **options)
    pd.testing.assert_frame_equal(found, expected, check_dtype=True, rtol=1e-4)


def test_frame_of_a_regression(pair):
    sc = pytest.importorskip("scanpy", reason="the reference")
    ours, theirs, _ = pair
    for module, adata in ((lo, ours), (sc, theirs)):
        module.tl.rank_genes_groups(adata, "kind", method="logreg", key_added="l")
    found, expected = (
        m.get.rank_genes_groups_df(a, None, key="l", pval_cutoff=0.1)
        for m, a in ((lo, ours), (sc, theirs))
    )
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)


def test_frame_refusals(pair):
    _, ours, _ = ranked(pair)
    with pytest.raises(KeyError, match="rank_genes_groups first"):
        lo.get.rank_genes_groups_df(ours, "a", key="nothing")
    with pytest.raises(KeyError, match="no genes were ranked"):
        lo.get.rank_genes_groups_df(ours, "z")


@pytest.mark.parametrize("pts", [True, False])
@pytest.mark.parametrize("reference", ["rest", "a"])
@pytest.mark.parametrize("options", [{}, {"min_fold_change": 0.3, "compare_abs": True}])
def test_filter_equals_scanpy(pair, pts, reference, options, count_passes):
    sc, ours, theirs = ranked(pair, pts=pts, reference=reference, n_genes=20)
    sc.tl.filter_rank_genes_groups(theirs, **options)
    with count_passes(pair[2]) as passes:
        lo.tl.filter_rank_genes_groups(ours, **options)
    assert passes.values == (0 if pts and reference == "rest" else 1)
    found, expected = (a.uns["rank_genes_groups_filtered"] for a in (ours, theirs))
    assert list(found) == list(expected)
    assert found["names"].dtype == expected["names"].dtype
    pd.testing.assert_frame_equal(pd.DataFrame(found["names"]), pd.DataFrame(expected["names"]))


KNOWN = {"T cell": ["g1", "g2", "g30"], "B cell": {"g12", "g3"}, "none": ["other"]}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"method": "overlap_coef", "top_n_markers": 7},
        {"method": "jaccard", "adj_pval_threshold": 0.1},
        {"normalize": "reference", "top_n_markers": 5},
        {"normalize": "data"},
    ],
)
@pytest.mark.filterwarnings("ignore:No marker genes passed")
def test_overlap_equals_scanpy(pair, options):
    sc, ours, theirs = ranked(pair)
    expected = sc.tl.marker_gene_overlap(theirs, KNOWN, **options)
    pd.testing.assert_frame_equal(lo.tl.marker_gene_overlap(ours, KNOWN, **options), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "nothing"}, "Could not find marker gene data"),
        ({"method": "guess"}, "Method must be one of"),
        ({"normalize": "all"}, "Normalize must be"),
        ({"normalize": "data", "method": "jaccard"}, "Can only normalize"),
        ({"reference_markers": {"a": 3}}, "sets or lists"),
    ],
)
def test_overlap_refusals(pair, options, message):
    _, ours, _ = ranked(pair)
    with pytest.raises(ValueError, match=message):
        lo.tl.marker_gene_overlap(ours, **{"reference_markers": KNOWN, **options})


def test_overlap_in_place(pair):
    _, ours, _ = ranked(pair)
    assert lo.tl.marker_gene_overlap(ours, KNOWN, inplace=True, key_added="m") is None
    pd.testing.assert_frame_equal(ours.uns["m"], lo.tl.marker_gene_overlap(ours, KNOWN))
