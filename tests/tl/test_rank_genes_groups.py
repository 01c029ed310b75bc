"""tl.rank_genes_groups against scanpy, its passes, its memory, and its refusals."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from tests.peaks import MACHINE_CODE, PEAK

KINDS = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}
N, M = 180, 60

pytestmark = [  # what anndata and scanpy cause while they compute the reference
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:scanpy"),
    pytest.mark.filterwarnings("ignore:It seems you use:UserWarning"),
]


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """Counts of 180 cells and 60 genes, one of which is never expressed."""
    rng = np.random.default_rng(0)
    mean = np.exp(rng.normal(-0.5, 1.2, M)) * np.exp(rng.normal(0, 0.3, (N, 1)))
    mean[:60, :10] *= 4
    x = rng.poisson(mean).astype(np.float32)
    x[:, 17] = 0
    return x


def frame() -> pd.DataFrame:
    """Four kinds of cells of different sizes, and some cells without."""
    kind = np.repeat(["a", "b", "c", "d"], [60, 50, 40, 30]).astype(object)
    kind = np.random.default_rng(1).permutation(kind)
    kind[[5, 50]] = None
    return pd.DataFrame({"kind": pd.Categorical(kind)}, index=[f"cell{i}" for i in range(N)])


def objects(x: np.ndarray, kind: str, where: str, folder: Any) -> tuple[lo.AnnData, Any]:
    anndata = pytest.importorskip("anndata", reason="compares with anndata")
    var = pd.DataFrame({"half": np.arange(M) % 2 == 0}, index=[f"g{i}" for i in range(M)])
    theirs = anndata.AnnData(KINDS[kind](x.copy()), obs=frame(), var=var)
    if where == "memory":
        return lo.AnnData(KINDS[kind](x.copy()), obs=frame(), var=var.copy()), theirs
    path = folder / f"{kind}.h5ad"
    if where == "file":
        theirs.write_h5ad(path)
        return lo.read_h5ad(path), theirs
    order = np.random.default_rng(2).permutation(N + 9)
    larger = np.vstack([x, np.ones((9, M), x.dtype)])
    obs = pd.concat([frame(), pd.DataFrame(index=[f"other{i}" for i in range(9)])])
    obs["kind"] = pd.Categorical(obs["kind"])
    whole = anndata.AnnData(KINDS[kind](larger[order]), obs=obs.iloc[order], var=var)
    whole.write_h5ad(path)
    return lo.read_h5ad(path)[[f"cell{i}" for i in range(N)]], theirs


def assert_same(ours: Any, theirs: Any, *, exact: bool) -> None:
    """Same keys in the same order, same dtypes; scores to the last bit where ``exact``."""
    assert list(ours) == list(theirs)
    assert ours["params"] == theirs["params"]
    for key in theirs:
        expected, found = copy.deepcopy(theirs[key]), copy.deepcopy(ours[key])
        if key == "params":
            continue
        if isinstance(expected, pd.DataFrame):
            pd.testing.assert_frame_equal(found, expected)
            continue
        assert type(found) is type(expected)
        assert found.dtype == expected.dtype
        for group in expected.dtype.names:
            if not exact:  # scores of 0 that scanpy rounds to ±1e-17 stand in another order
                orders = [np.argsort(r["names"][group].astype(str)) for r in (ours, theirs)]
                found[group], expected[group] = found[group][orders[0]], expected[group][orders[1]]
            if key == "names" or (exact and key != "logfoldchanges"):
                np.testing.assert_array_equal(found[group], expected[group], err_msg=key)
            else:
                close = {"rtol": 2e-5, "atol": 1e-6, "err_msg": key}
                np.testing.assert_allclose(found[group], expected[group], **close)


def prepared(module: Any, adata: Any, how: str) -> None:
    if how == "steps":
        module.pp.normalize_total(adata, target_sum=50)
    module.pp.log1p(adata)


PLACES = [
    ("csr", "file"),
    ("csr", "memory"),
    ("csr", "subset"),
    ("csc", "file"),
    ("csc", "memory"),
    ("dense", "file"),
    ("dense", "subset"),
]


@pytest.mark.parametrize(("kind", "where"), PLACES)
@pytest.mark.parametrize(
    "options",
    [
        {"method": "wilcoxon", "pts": True},
        {"method": "wilcoxon", "tie_correct": True, "reference": "b", "n_genes": 12},
        {"pts": True},
    ],
)
def test_equals_scanpy(counts, tmp_path, kind, where, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    ours, theirs = objects(counts, kind, where, tmp_path)
    for module, adata in ((sc, theirs), (lo, ours)):
        prepared(module, adata, "steps")
        assert module.tl.rank_genes_groups(adata, "kind", **options) is None
    exact = options.get("method") == "wilcoxon"
    assert_same(ours.uns["rank_genes_groups"], theirs.uns["rank_genes_groups"], exact=exact)


@pytest.mark.parametrize(
    "options",
    [
        {"method": "t-test_overestim_var", "groups": ["c", "a"], "corr_method": "bonferroni"},
        {"method": "t-test", "reference": "d", "groups": ["a"], "rankby_abs": True, "pts": True},
        {"method": "wilcoxon", "groups": ["b"], "rankby_abs": True, "n_genes": 1000},
        {"method": "wilcoxon", "groups": ["a", "c"], "reference": "d"},
        {"method": "wilcoxon", "tie_correct": True, "mask_var": "half", "key_added": "other"},
        {"method": "logreg", "max_iter": 300},
        {"method": "logreg", "groups": ["a", "d"], "n_genes": 5},
    ],
)
def test_options_equal_scanpy(counts, tmp_path, options):
    sc = pytest.importorskip("scanpy", reason="the reference")
    ours, theirs = objects(counts, "csr", "file", tmp_path)
    for module, adata in ((sc, theirs), (lo, ours)):
        prepared(module, adata, "logged")
        module.tl.rank_genes_groups(adata, "kind", **options)
    key = options.get("key_added", "rank_genes_groups")
    exact = options["method"] == "wilcoxon"
    assert_same(ours.uns[key], theirs.uns[key], exact=exact)


@pytest.mark.parametrize(
    ("kind", "dtype", "reference"),
    [
        ("csr", "float64", "rest"),
        ("csr", "int64", "a"),
        ("csr", "float32", "a"),
        ("csc", "float32", "rest"),
        ("dense", "float32", "rest"),
        ("dense", "float64", "a"),
    ],
)
def test_negative_values_and_other_types(counts, tmp_path, kind, dtype, reference):
    sc = pytest.importorskip("scanpy", reason="the reference")
    x = np.where(counts > 3, -counts, counts).astype(dtype)
    options = {"method": "wilcoxon", "tie_correct": True, "reference": reference}
    ours, theirs = objects(x, kind, "file", tmp_path)
    for module, adata in ((sc, theirs), (lo, ours)):
        module.tl.rank_genes_groups(adata, "kind", **options)
    found, expected = (a.uns["rank_genes_groups"] for a in (ours, theirs))
    for key in ("names", "scores", "pvals"):
        for group in expected["names"].dtype.names:
            np.testing.assert_array_equal(found[key][group], expected[key][group])


def test_raw_layers_copies_and_bases(counts, tmp_path):
    sc = pytest.importorskip("scanpy", reason="the reference")
    ours, theirs = objects(counts, "csr", "memory", tmp_path)
    for module, adata in ((sc, theirs), (lo, ours)):
        adata.layers["counts"] = adata.X.copy()
        module.pp.log1p(adata, base=2)
        adata.raw = adata
        module.tl.rank_genes_groups(adata, "kind", method="wilcoxon")
        module.tl.rank_genes_groups(adata, "kind", layer="counts", use_raw=False, key_added="l")
        again = module.tl.rank_genes_groups(adata, "kind", copy=True, key_added="copied")
        assert "copied" not in adata.uns
        assert "copied" in again.uns
    assert ours.uns["rank_genes_groups"]["params"]["use_raw"] is True
    same = ours.uns["rank_genes_groups"], theirs.uns["rank_genes_groups"]
    assert_same(*same, exact=True)
    assert_same(ours.uns["l"], theirs.uns["l"], exact=False)


def test_real_cells_from_counts(data_file):
    """Recorded steps give scanpy's values to the last bit, so that ties are the same ones."""
    sc = pytest.importorskip("scanpy", reason="the reference")
    import anndata

    path = data_file("rebuilt_pbmc3k_raw.h5ad")
    theirs, ours = anndata.read_h5ad(path)[:700].copy(), lo.read_h5ad(path)[:700]
    group = pd.Categorical(np.arange(700) % 3).rename_categories(["x", "y", "z"])
    for module, adata in ((sc, theirs), (lo, ours)):
        adata.obs["group"] = group
        prepared(module, adata, "steps")
        module.tl.rank_genes_groups(adata, "group", method="wilcoxon", tie_correct=True)
    values = lo.lazy.materialize(ours.X)
    np.testing.assert_array_equal(values.data, theirs.X.data)
    assert_same(ours.uns["rank_genes_groups"], theirs.uns["rank_genes_groups"], exact=True)


def test_written_and_read_by_anndata(counts, tmp_path):
    anndata = pytest.importorskip("anndata", reason="reads what is written")
    ours, _ = objects(counts, "csr", "file", tmp_path)
    prepared(lo, ours, "logged")
    lo.tl.rank_genes_groups(ours, "kind", pts=True)
    ours.write_h5ad(tmp_path / "ranked.h5ad")
    expected = ours.uns["rank_genes_groups"]
    for read in (anndata.read_h5ad, lo.read_h5ad):
        found = read(tmp_path / "ranked.h5ad").uns["rank_genes_groups"]
        for key in ("names", "scores", "pvals"):
            assert found[key].dtype.names == expected[key].dtype.names
            np.testing.assert_array_equal(found[key]["a"], expected[key]["a"])


def test_passes(counts, tmp_path, count_passes):
    ours, _ = objects(counts, "csr", "file", tmp_path)
    with count_passes(tmp_path / "csr.h5ad") as passes:
        lo.tl.rank_genes_groups(ours, "kind", method="t-test", pts=True)
    assert passes.values == 1
    with count_passes(tmp_path / "csr.h5ad") as passes:
        lo.tl.rank_genes_groups(ours, "kind", method="wilcoxon", pts=True)
    assert passes.values == 2


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("reference", ["rest", "a"])
def test_genes_in_parts(counts, tmp_path, monkeypatch, count_passes, kind, reference):
    from lazyomics.lazy import gene_values

    ours, _ = objects(counts, kind, "file", tmp_path)
    options = {"method": "wilcoxon", "tie_correct": True, "reference": reference}
    lo.tl.rank_genes_groups(ours, "kind", key_added="whole", **options)
    monkeypatch.setattr(gene_values, "AT_LEAST", 5 * 2000)
    monkeypatch.setattr(gene_values, "AT_ONCE", 500)
    with (
        dask.config.set({"lazyomics.memory": "8 KiB"}),
        count_passes(tmp_path / f"{kind}.h5ad") as passes,
    ):
        lo.tl.rank_genes_groups(ours, "kind", key_added="parts", **options)
    if kind == "csr":
        assert 2 < passes.values <= 3 + np.count_nonzero(counts) / 2000
    assert_same(ours.uns["parts"], ours.uns["whole"], exact=True)


def test_other_schedulers(counts, tmp_path):
    ours, _ = objects(counts, "csr", "file", tmp_path)
    prepared(lo, ours, "steps")
    lo.tl.rank_genes_groups(ours, "kind", method="wilcoxon", key_added="threads")
    with dask.config.set(scheduler="sync"):
        lo.tl.rank_genes_groups(ours, "kind", method="wilcoxon", key_added="one")
    assert_same(ours.uns["one"], ours.uns["threads"], exact=True)


def test_nan_is_above_all_and_only_where_it_is():
    rng = np.random.default_rng(3)
    x = rng.normal(2, 1, (40, 3))
    x[0, 1] = np.nan
    obs = pd.DataFrame({"kind": pd.Categorical(list("ab") * 20)}, index=[str(i) for i in range(40)])
    ours = lo.AnnData(x, obs=obs)
    lo.tl.rank_genes_groups(ours, "kind", method="wilcoxon")
    high = x.copy()
    high[0, 1] = np.inf
    other = lo.AnnData(high, obs=obs.copy())
    lo.tl.rank_genes_groups(other, "kind", method="wilcoxon")
    found, expected = (a.uns["rank_genes_groups"] for a in (ours, other))
    for group in ("a", "b"):
        np.testing.assert_array_equal(found["scores"][group], expected["scores"][group])
        assert np.isnan(found["logfoldchanges"][group]).sum() == 1


def test_warns_of_counts(counts, tmp_path):
    ours, _ = objects(counts, "csr", "memory", tmp_path)
    with pytest.warns(UserWarning, match="raw count data"):
        lo.tl.rank_genes_groups(ours, "kind")


@pytest.mark.parametrize(
    ("groupby", "options", "error", "message"),
    [
        ("nothing", {}, ValueError, "not a column"),
        ("number", {}, ValueError, "must be categorical"),
        ("alone", {}, ValueError, "for groups b since they only contain one sample"),
        ("empty", {}, ValueError, "for groups c since they only contain one sample"),
        ("kind", {"reference": "z"}, ValueError, "reference = z needs to be one of groupby"),
        ("kind", {"groups": ["z"]}, ValueError, r"groups \['z'\] of obs"),
        ("kind", {"groups": "a"}, ValueError, "sequence of groups"),
        ("kind", {"groups": []}, ValueError, "name some"),
        ("kind", {"method": "guess"}, ValueError, "Method must be one of"),
        ("kind", {"corr_method": "none"}, ValueError, "Correction method must be"),
        ("kind", {"use_raw": True}, ValueError, "`adata.raw` is empty"),
        ("kind", {"layer": "missing"}, KeyError, "missing"),
        ("kind", {"method": "t-test", "max_iter": 3}, TypeError, "max_iter"),
        ("kind", {"method": "logreg", "groups": ["a"]}, ValueError, "single cluster"),
        ("kind", {"mask_var": np.ones(3, bool)}, ValueError, "shape"),
    ],
)
def test_bad_arguments(groupby, options, error, message):
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(["a", "b", "c"] * 4),
            "alone": pd.Categorical(["a"] * 11 + ["b"]),
            "empty": pd.Categorical(["a", "b"] * 6, categories=["a", "b", "c"]),
            "number": range(12),
        },
        index=[f"c{i}" for i in range(12)],
    )
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(12, 10)), obs=obs)
    with pytest.raises(error, match=message):
        lo.tl.rank_genes_groups(ours, groupby, **options)
    assert not ours.uns


BOUNDED = f"""
{PEAK}
import dask
import numpy as np
import pandas as pd

import lazyomics as lo
{MACHINE_CODE}

def rank(adata):
    adata.obs["kind"] = pd.Categorical(np.arange(adata.n_obs) % 5).rename_categories(str)
    lo.tl.rank_genes_groups(adata, "kind", method="wilcoxon", tie_correct=True)

adata = lo.read_h5ad(sys.argv[1])
with dask.config.set({{"lazyomics.memory": "16 MiB", "num_workers": 2}}):
    rank(adata[:200])
    before = peak()
    rank(adata)
print(peak() - before)
"""


def test_memory_is_bounded(tmp_path):
    """Values and groups of all genes would take 100 MB, their words 160 MB."""
    n, width = 20_000, 1000
    rng = np.random.default_rng(0)
    genes = np.arange(0, 2 * width, 2, dtype=np.int32) + rng.integers(0, 2, (n, width), np.int32)
    values = rng.random(n * width, dtype=np.float32) + 0.5
    pointers = np.arange(0, n * width + 1, width)
    x = sp.csr_matrix((values, genes.ravel(), pointers), (n, 2 * width))
    lo.AnnData(x).write_h5ad(tmp_path / "x.h5ad")
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(tmp_path / "x.h5ad")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    taken = int(done.stdout) / 1e6
    assert taken < 80, f"{taken:.0f} MB"
