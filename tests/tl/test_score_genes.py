"""Scores of gene sets: those of scanpy, with its control genes, in one or two passes."""

from __future__ import annotations

import dask
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from tests.pp.conftest import pair  # noqa: F401 (a fixture)

ad = pytest.importorskip("anndata", reason="compares with anndata")
sc = pytest.importorskip("scanpy", reason="compares with scanpy")

N, P = 200, 400
RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(np.exp(RNG.normal(-1, 1.2, P)) * np.exp(RNG.normal(0, 0.3, (N, 1)))).astype(
    "f4"
)
COUNTS[:, 7] = 0
GENES = [f"gene{k}" for k in range(3, 60, 7)]
OTHERS = [f"gene{k}" for k in range(100, 130, 4)]
OPTIONS = {
    "defaults": {},
    "few controls": {"ctrl_size": 3, "n_bins": 10},
    "controls are no genes": {"ctrl_as_ref": False, "ctrl_size": 5},
    "pool": {"gene_pool": [f"gene{k}" for k in range(250)], "ctrl_size": 6},
    "pool in another order": {"gene_pool": [f"gene{k}" for k in range(250)][::-1], "ctrl_size": 6},
    "seed": {"random_state": 5, "ctrl_size": 4, "score_name": "mine"},
}


def same(ours, theirs, names=("score",)):
    for name in names:
        assert ours.obs[name].dtype == theirs.obs[name].dtype
        np.testing.assert_allclose(ours.obs[name], theirs.obs[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_scores_are_scanpys(pair, kind, options):  # noqa: F811
    given = OPTIONS[options]
    for where in ("file", "memory", "subset") if options == "few controls" else ("file",):
        ours, theirs = pair(COUNTS, kind, where)
        lo.tl.score_genes(ours, GENES, **given)
        sc.tl.score_genes(theirs, GENES, **given)
        same(ours, theirs, [given.get("score_name", "score")])


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_of_recorded_steps(pair, kind):  # noqa: F811
    ours, theirs = pair(COUNTS, kind)
    for module, adata in ((lo, ours), (sc, theirs)):
        module.pp.normalize_total(adata, target_sum=1e3)
        module.pp.log1p(adata)
        module.tl.score_genes(adata, GENES, ctrl_size=4)
        module.tl.score_genes_cell_cycle(adata, s_genes=GENES, g2m_genes=OTHERS, n_bins=12)
    same(ours, theirs, ["score", "S_score", "G2M_score"])
    assert ours.obs["phase"].tolist() == theirs.obs["phase"].tolist()
    assert ours.obs["phase"].nunique() == 3


def test_real_data(data_file):
    """The same control genes among 13,714, whatever adds up the means."""
    path = data_file("rebuilt_pbmc3k_raw.h5ad")
    ours, theirs = lo.read_h5ad(path), ad.read_h5ad(path)
    theirs.X = theirs.X.astype("f8")
    ours.X = ours.X.astype("f8")
    genes = list(theirs.var_names[[5, 50, 500, 5000]])
    for module, adata in ((lo, ours), (sc, theirs)):
        module.pp.filter_genes(adata, min_cells=3)
        module.pp.normalize_total(adata, target_sum=1e4)
        module.pp.log1p(adata)
        found = [g for g in genes if g in adata.var_names] + list(adata.var_names[::4000])
        module.tl.score_genes(adata, found)
    np.testing.assert_allclose(ours.obs["score"], theirs.obs["score"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("memory", "times"), [("1 GiB", 1), ("10 KiB", 2)])
def test_passes_for_both_sets(pair, count_passes, memory, times):  # noqa: F811
    """What is small is kept, what is large is read again: with the same scores."""
    with dask.config.set({"lazyomics.memory": memory}):
        ours, theirs = pair(COUNTS)
        with count_passes(ours.filename) as passes:
            lo.tl.score_genes(ours, GENES)
        assert passes.values == pytest.approx(times)
        with count_passes(ours.filename) as passes:
            lo.tl.score_genes_cell_cycle(ours, s_genes=GENES, g2m_genes=OTHERS)
        assert passes.values == pytest.approx(times)
    sc.tl.score_genes(theirs, GENES)
    same(ours, theirs)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_large_ones_are_read_twice(pair, kind):  # noqa: F811
    with dask.config.set({"lazyomics.memory": "10 KiB"}):
        ours, theirs = pair(COUNTS, kind)
        for module, adata in ((lo, ours), (sc, theirs)):
            module.pp.normalize_total(adata, target_sum=1e3)
            module.tl.score_genes(adata, GENES, ctrl_size=4)
    same(ours, theirs)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of scanpy, about empty genes
@pytest.mark.parametrize("form", [sp.csr_matrix, np.asarray])
def test_missing_values_are_left_out(form):
    x = COUNTS.copy()
    x[::9, 3] = np.nan
    x[:, 8] = np.nan
    x[3:50, 40:200] = np.nan
    names = pd.DataFrame(index=[f"gene{k}" for k in range(P)])
    ours, theirs = lo.AnnData(form(x), var=names.copy()), ad.AnnData(form(x), var=names.copy())
    for module, adata in ((lo, ours), (sc, theirs)):
        module.tl.score_genes(adata, GENES, ctrl_size=5)
    same(ours, theirs)


def test_raw_layers_and_copies(pair):  # noqa: F811
    ours, theirs = pair(COUNTS, "csr", "memory")
    for module, adata in ((lo, ours), (sc, theirs)):
        adata.raw = adata.copy()
        adata.layers["square"] = COUNTS**2
        adata._inplace_subset_var(np.arange(300))
        module.tl.score_genes(adata, GENES, score_name="of_raw", ctrl_size=4)
        module.tl.score_genes(adata, GENES, score_name="of_x", use_raw=False, ctrl_size=4)
        module.tl.score_genes(adata, GENES, score_name="of_layer", layer="square", ctrl_size=4)
    same(ours, theirs, ["of_raw", "of_x", "of_layer"])
    assert len({float(ours.obs[name].iloc[0]) for name in ("of_raw", "of_x", "of_layer")}) == 3
    copied = lo.tl.score_genes(ours, GENES, copy=True)
    assert "score" in copied.obs
    assert "score" not in ours.obs
    copied = lo.tl.score_genes_cell_cycle(ours, s_genes=GENES, g2m_genes=OTHERS, copy=True)
    assert "phase" in copied.obs
    assert "phase" not in ours.obs


def test_no_seed_goes_on_with_the_global_generator(pair):  # noqa: F811
    ours, theirs = pair(COUNTS)
    for module, adata in ((lo, ours), (sc, theirs)):
        np.random.seed(3)  # noqa: NPY002 (what scanpy draws from)
        module.tl.score_genes(adata, GENES, random_state=None, ctrl_size=4)
    same(ours, theirs)


def test_wrong_arguments(pair):  # noqa: F811
    ours, _ = pair(COUNTS)
    with pytest.warns(UserWarning, match="not in var_names and ignored: .'nothing'"):
        lo.tl.score_genes(ours, ["gene3", "nothing"])
    with (
        pytest.raises(ValueError, match="No valid genes"),
        pytest.warns(UserWarning, match="ignored"),
    ):
        lo.tl.score_genes(ours, "nothing")
    with pytest.raises(ValueError, match="reference set"):
        lo.tl.score_genes(ours, GENES, gene_pool=["nothing"])
    with pytest.raises(KeyError, match="gene3"):
        lo.tl.score_genes(ours, GENES, gene_pool=["gene5", "gene6"], n_bins=2)
    with pytest.raises(RuntimeError, match="No control genes"):
        lo.tl.score_genes(ours, list(ours.var_names))
    with pytest.raises(TypeError, match="ctrl_size"):
        lo.tl.score_genes_cell_cycle(ours, s_genes=GENES, g2m_genes=OTHERS, ctrl_size=3)
    ours.var_names = ["same"] * P
    with pytest.raises(ValueError, match="not unique"):
        lo.tl.score_genes(ours, ["same"])
