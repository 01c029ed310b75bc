from __future__ import annotations

import warnings

import numpy as np
import pytest

import lazyomics as lo
from lazyomics.blocks.block import SparseBlock
from lazyomics.lazy import LazyMatrix

sc = pytest.importorskip("scanpy", reason="compares with scanpy")

DENSIFIES = "ignore:zero-centering a sparse:UserWarning"


def scanpy_scale(theirs, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.scale(theirs, **options)


@pytest.mark.filterwarnings(DENSIFIES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint16"])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize(
    "options",
    [{}, {"zero_center": False}, {"max_value": 1.0}, {"zero_center": False, "max_value": 1.0}],
)
def test_equals_scanpy(pair, values, counts, dtype, kind, options):
    ours, theirs = pair(counts.astype(dtype), kind)
    lo.pp.scale(ours, **options)
    scanpy_scale(theirs, **options)
    np.testing.assert_allclose(values(ours.X), values(theirs.X), rtol=2e-5, atol=2e-6)
    assert list(ours.var) == list(theirs.var)
    for name in theirs.var:
        np.testing.assert_allclose(ours.var[name], theirs.var[name], rtol=1e-5)
    assert values(ours.X).dtype == (dtype if dtype.startswith("float") else "float64")


@pytest.mark.filterwarnings(DENSIFIES)
@pytest.mark.parametrize("kind", ["csr", "dense"])
@pytest.mark.parametrize("zero_center", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_masks_equal_scanpy(pair, values, counts, kind, zero_center, named):
    mask = np.arange(len(counts)) % 3 == 0
    ours, theirs = pair(counts, kind, chosen=mask)
    options = {"mask_obs": "chosen" if named else mask, "zero_center": zero_center}
    lo.pp.scale(ours, **options)
    scanpy_scale(theirs, **options)
    np.testing.assert_allclose(values(ours.X), values(theirs.X), rtol=2e-5, atol=2e-6)
    assert list(ours.var) == list(theirs.var)


@pytest.mark.filterwarnings(DENSIFIES)
@pytest.mark.parametrize("where", ["memory", "subset"])
@pytest.mark.parametrize("zero_center", [True, False])
def test_memory_subsets_and_selections(pair, values, counts, where, zero_center):
    ours, theirs = pair(counts, "csr", where)
    lo.pp.scale(ours, zero_center=zero_center)
    scanpy_scale(theirs, zero_center=zero_center)
    expected = values(theirs.X)
    np.testing.assert_allclose(values(ours.X), expected, rtol=2e-5, atol=2e-6)
    part = values(ours[[5, 2, 9], 30:40].X)
    np.testing.assert_allclose(part, expected[[5, 2, 9], 30:40], rtol=2e-5, atol=2e-6)


def test_one_pass_then_lazy_and_sparse(pair, counts, count_passes):
    ours, _ = pair(counts)
    with count_passes(ours.filename) as passes:
        lo.pp.scale(ours, zero_center=False)
    assert passes.values == pytest.approx(1)
    assert isinstance(ours.X, LazyMatrix)
    assert isinstance(ours.X._meta, SparseBlock)


def test_layers_obsm_and_copy(pair, values, counts):
    ours, _ = pair(counts, "dense", "memory")
    ours.layers["raw"] = ours.X.copy()
    ours.obsm["few"] = counts[:, :4].copy()
    scaled = lo.pp.scale(ours, layer="raw", copy=True)
    np.testing.assert_array_equal(values(ours.layers["raw"]), counts)
    assert "mean" not in ours.var
    assert "mean" in scaled.var
    np.testing.assert_array_equal(values(scaled.X), counts)
    lo.pp.scale(ours, obsm="few")
    np.testing.assert_allclose(ours.obsm["few"].std(0, ddof=1), 1, rtol=1e-5)
    assert "mean" not in ours.var


def test_constant_genes_become_zero(values):
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[:, 1] = 0.1
    ours = lo.AnnData(x)
    lo.pp.scale(ours)
    assert np.abs(values(ours.X)[:, 1]).max() < 1e-12
    assert ours.var["std"].iloc[1] == 1


def test_centering_a_sparse_matrix_warns(pair, counts):
    ours, _ = pair(counts)
    with pytest.warns(UserWarning, match="densifies"):
        lo.pp.scale(ours)


def test_wrong_masks(pair, counts):
    ours, _ = pair(counts, number=np.arange(len(counts)))
    with pytest.raises(ValueError, match="Did not find"):
        lo.pp.scale(ours, mask_obs="nothing")
    with pytest.raises(ValueError, match="boolean"):
        lo.pp.scale(ours, mask_obs="number")
    with pytest.raises(ValueError, match="shape"):
        lo.pp.scale(ours, mask_obs=np.ones(3, dtype=bool))
