"""Pearson residuals: scanpy's values and genes."""

from __future__ import annotations

import inspect
import pickle

import dask
import numpy as np
import pytest

import lazyomics as lo
from lazyomics.kernels.pearson import PearsonResiduals
from lazyomics.lazy import LazyMatrix

ad = pytest.importorskip("anndata", reason="compares with anndata")
sc = pytest.importorskip("scanpy", reason="compares with scanpy")

pytestmark = pytest.mark.filterwarnings(
    "ignore:invalid value:RuntimeWarning",  # scanpy, of genes and cells without counts
    "ignore:The inplace keyword",  # scanpy with pandas 3.1
)
PLACES = (("csr", "file"), ("csc", "memory"), ("dense", "subset"), ("dense", "file"))
NORMALIZED = {
    "defaults": {},
    "theta, clip": {"theta": 10, "clip": 1.5},
    "infinite theta": {"theta": np.inf},
}
FOUND = {
    "defaults": {"n_top_genes": 30},
    "batches": {"n_top_genes": 30, "batch_key": "batch"},
    "clip, theta, subset": {"n_top_genes": 30, "clip": 2, "theta": 50, "subset": True},
}


def frames_are_equal(ours, theirs, atol=0):
    assert list(ours) == list(theirs)
    for name in theirs:
        assert ours[name].dtype == theirs[name].dtype
        np.testing.assert_allclose(
            ours[name].to_numpy("f8"), theirs[name].to_numpy("f8"), rtol=1e-4, atol=atol
        )


@pytest.mark.parametrize("how", NORMALIZED)
def test_residuals_are_scanpys(pair, values, counts, how):
    given = NORMALIZED[how]
    for kind, where in PLACES:
        ours, theirs = pair(counts, kind, where)
        lo.experimental.pp.normalize_pearson_residuals(ours, **given)
        sc.experimental.pp.normalize_pearson_residuals(theirs, **given)
        assert values(ours.X).dtype == theirs.X.dtype
        np.testing.assert_allclose(values(ours.X), theirs.X, rtol=1e-4, atol=1e-5)
        part = values(ours[[5, 80, 2], 10:20].X)
        np.testing.assert_allclose(part, theirs.X[[5, 80, 2], 10:20], rtol=1e-4, atol=1e-5)
        assert ours.uns == theirs.uns


@pytest.mark.parametrize("how", FOUND)
def test_genes_are_scanpys(pair, counts, how):
    batch = np.where(np.arange(240) % 5 < 2, "x", "y")
    full = np.delete(counts, [3, 200], axis=0)  # scanpy divides by the total of a cell
    for kind, where in PLACES[:3]:
        ours, theirs = pair(full, kind, where, batch=np.delete(batch, [3, 200]))
        lo.experimental.pp.highly_variable_genes(ours, **FOUND[how])
        sc.experimental.pp.highly_variable_genes(theirs, **FOUND[how])
        assert list(ours.var_names) == list(theirs.var_names)
        frames_are_equal(ours.var, theirs.var)
        assert ours.uns == theirs.uns
    if how != "clip, theta, subset":
        tables = (
            m.experimental.pp.highly_variable_genes(a, **FOUND[how], inplace=False, subset=True)
            for m, a in ((lo, ours), (sc, theirs))
        )
        frames_are_equal(*tables)


def test_of_recorded_steps_and_passes(pair, values, counts, count_passes):
    ours, theirs = pair(counts)
    lo.pp.filter_genes(ours, min_cells=20)
    sc.pp.filter_genes(theirs, min_cells=20)
    lo.pp.filter_cells(ours, min_counts=1)
    sc.pp.filter_cells(theirs, min_counts=1)
    lo.pp.downsample_counts(ours, 100)
    sc.pp.downsample_counts(theirs, 100)
    with count_passes(ours.filename) as passes:
        lo.experimental.pp.highly_variable_genes(ours, n_top_genes=20)
    assert passes.values == pytest.approx(2, abs=0.2)
    with count_passes(ours.filename) as passes:
        lo.experimental.pp.normalize_pearson_residuals(ours)
    assert passes.values == pytest.approx(1, abs=0.2)
    assert isinstance(ours.X, LazyMatrix)
    sc.experimental.pp.highly_variable_genes(theirs, n_top_genes=20)
    sc.experimental.pp.normalize_pearson_residuals(theirs)
    frames_are_equal(ours.var, theirs.var)
    np.testing.assert_allclose(values(ours.X), theirs.X, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_the_recipe_is_scanpys(pair, values, counts, kind):
    full = np.delete(counts, [3, 200], axis=0)
    ours, theirs = pair(full, kind)
    given = {"n_top_genes": 40, "n_comps": 5}
    returned = lo.experimental.pp.recipe_pearson_residuals(ours, inplace=False, **given)
    assert "highly_variable" not in ours.var
    lo.experimental.pp.recipe_pearson_residuals(ours, **given)
    sc.experimental.pp.recipe_pearson_residuals(theirs, **given)
    frames_are_equal(ours.var, theirs.var)
    np.testing.assert_allclose(ours.obsm["X_pca"], theirs.obsm["X_pca"], atol=2e-3)
    np.testing.assert_allclose(ours.varm["PCs"], theirs.varm["PCs"], atol=1e-3)
    np.testing.assert_array_equal(values(ours.X), full)
    key = "pearson_residuals_normalization"
    assert list(ours.uns) == list(theirs.uns)
    assert list(ours.uns[key]) == list(theirs.uns[key])
    frames_are_equal(ours.uns[key]["pearson_residuals_df"], theirs.uns[key]["pearson_residuals_df"])
    np.testing.assert_array_equal(returned[0].obsm["X_pca"], ours.obsm["X_pca"])
    assert returned[1]["highly_variable"].sum() == 40


@pytest.mark.parametrize("genes", ["highly variable", "column", "all"])
def test_components_are_scanpys(pair, values, counts, genes):
    """On all kinds of matrices, of recorded steps, and X stays as it is."""
    full = np.delete(counts, [3, 200], axis=0)
    full = full[:, full.sum(0) > 0]
    chosen = np.arange(full.shape[1]) % 3 > 0
    given = {"column": {"mask_var": "chosen"}, "all": {"mask_var": None}}.get(genes, {})
    given |= {"n_comps": 5, "theta": 50, "clip": 9}
    for kind, where in PLACES:
        columns = {"highly_variable": ~chosen, "chosen": chosen} if genes != "all" else {}
        ours, theirs = pair(full, kind, where, **columns)
        returned = lo.experimental.pp.normalize_pearson_residuals_pca(ours, inplace=False, **given)
        assert not ours.uns
        for m, a in ((lo, ours), (sc, theirs)):
            m.experimental.pp.normalize_pearson_residuals_pca(a, **given)
        np.testing.assert_allclose(ours.obsm["X_pca"], theirs.obsm["X_pca"], atol=2e-3)
        np.testing.assert_allclose(ours.varm["PCs"], theirs.varm["PCs"], atol=1e-3)
        np.testing.assert_array_equal(values(ours.X), full)
        key = "pearson_residuals_normalization"
        assert list(ours.uns) == list(theirs.uns)
        assert list(ours.uns[key]) == list(theirs.uns[key])
        frames = [a.uns[key].pop("pearson_residuals_df") for a in (ours, theirs)]
        frames_are_equal(*frames, atol=1e-5)
        assert ours.uns[key] == theirs.uns[key]
        expected = sc.experimental.pp.normalize_pearson_residuals_pca(
            theirs, inplace=False, **given
        )
        assert list(returned.var_names) == list(expected.var_names)
        assert list(returned.obs) == list(expected.obs) == list(returned.var) == []
        assert isinstance(returned.X, LazyMatrix) == (where != "memory")
        np.testing.assert_allclose(values(returned.X), expected.X, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(returned.obsm["X_pca"], ours.obsm["X_pca"])


def test_components_of_recorded_steps_and_passes(pair, counts, count_passes):
    ours, theirs = pair(counts)
    for m, a in ((lo, ours), (sc, theirs)):
        m.pp.filter_genes(a, min_cells=20)
        m.pp.filter_cells(a, min_counts=1)
        m.pp.downsample_counts(a, 100)
    with count_passes(ours.filename) as passes:
        lo.experimental.pp.normalize_pearson_residuals_pca(ours, n_comps=4, inplace=False)
    assert passes.values == pytest.approx(2, abs=0.2)
    with count_passes(ours.filename) as passes:
        lo.experimental.pp.normalize_pearson_residuals_pca(ours, n_comps=4)
    assert passes.values == pytest.approx(3, abs=0.2)
    sc.experimental.pp.normalize_pearson_residuals_pca(theirs, n_comps=4)
    np.testing.assert_allclose(ours.obsm["X_pca"], theirs.obsm["X_pca"], atol=2e-3)


def test_a_table_that_does_not_fit(pair, counts):
    ours, _ = pair(counts)
    with dask.config.set({"lazyomics.memory": "300 KiB"}):
        with pytest.raises(MemoryError, match=r"300 genes takes 1 MiB.*inplace=False"):
            lo.experimental.pp.normalize_pearson_residuals_pca(ours)
        with pytest.raises(MemoryError, match="240 cells and 200 genes"):
            lo.experimental.pp.recipe_pearson_residuals(ours, n_top_genes=200)


def test_the_old_way_to_choose_genes(pair, counts):
    ours, _ = pair(np.delete(counts, [3, 200], axis=0), highly_variable=np.arange(300) % 2 == 0)
    with pytest.warns(FutureWarning, match="use_highly_variable"):
        lo.experimental.pp.normalize_pearson_residuals_pca(
            ours, n_comps=2, use_highly_variable=True, inplace=False
        )


def test_returned_copied_and_layers(pair, values, counts):
    ours, _ = pair(counts, "csr", "memory")
    ours.layers["counts"] = counts.copy()
    found = lo.experimental.pp.normalize_pearson_residuals(ours, inplace=False)
    assert list(found) == ["X", "theta", "clip", "computed_on"]
    copied = lo.experimental.pp.normalize_pearson_residuals(ours, layer="counts", copy=True)
    np.testing.assert_array_equal(copied.layers["counts"], values(found["X"]))
    assert copied.uns["pearson_residuals_normalization"]["computed_on"] == "counts"
    np.testing.assert_array_equal(values(ours.X), counts)


def test_what_is_wrong(pair, counts):
    ours, _ = pair(counts / 3)
    pp = lo.experimental.pp
    for verb in (
        pp.normalize_pearson_residuals,
        lambda a: pp.highly_variable_genes(a, n_top_genes=3),
    ):
        with pytest.warns(UserWarning, match="expects raw count data"):
            verb(ours)
    for given in ({"theta": 0}, {"clip": -1}, {"copy": True, "inplace": False}):
        with pytest.raises(ValueError, match=r"theta > 0|clip>=0|inplace=False"):
            pp.normalize_pearson_residuals(ours, **given)
    for given in ({}, {"n_top_genes": 3, "flavor": "seurat"}):
        with pytest.raises(ValueError, match="pearson_residuals"):
            pp.highly_variable_genes(ours, **given)
    with pytest.raises(KeyError, match="nothing"):
        pp.highly_variable_genes(ours, n_top_genes=3, batch_key="nothing")


def test_the_step_is_a_value_that_is_cut(counts):
    step = PearsonResiduals(counts.sum(1) + 1, counts.sum(0) + 1, 1e4, 100, 9, "<f8")
    whole = pickle.loads(pickle.dumps(step))(counts)
    part = step.take_rows(slice(7, 50)).take_cols(np.array([3, 1]))
    np.testing.assert_array_equal(part(counts[7:50][:, [3, 1]]), whole[7:50][:, [3, 1]])


@pytest.mark.parametrize("verb", lo.experimental.pp.__all__)
def test_parameters_are_scanpys(verb):
    ours, theirs = (
        inspect.signature(getattr(m.experimental.pp, verb)).parameters for m in (lo, sc)
    )
    newer = {"obsm"}  # which scanpy has since 1.12
    assert [n for n in ours if n not in newer] == [n for n in theirs if n not in newer]
    for name in set(ours) & set(theirs):
        assert ours[name].kind is theirs[name].kind
        if name != "mask_var":  # a mark of our own for "highly variable genes, if there are any"
            assert ours[name].default == theirs[name].default
