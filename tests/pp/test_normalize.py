from __future__ import annotations

import warnings

import numpy as np
import pytest

import lazyomics as lo
from lazyomics.lazy import LazyMatrix

sc = pytest.importorskip("scanpy", reason="compares with scanpy")

DTYPES = ["float32", "float64", "int32", "int64", "uint16"]


def scanpy_normalized(theirs, **options):
    """Run scanpy; it may warn about cells without counts and about dividing by zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.normalize_total(theirs, **options)
    return theirs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_target_sum_equals_scanpy(pair, values, counts, dtype, kind):
    ours, theirs = pair(counts.astype(dtype), kind)
    lo.pp.normalize_total(ours, target_sum=1e4)
    scanpy_normalized(theirs, target_sum=1e4)
    found, expected = values(ours.X), values(theirs.X)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=2e-6)


@pytest.mark.parametrize("where", ["file", "memory", "subset"])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("exclude", [False, True])
def test_median_and_factors_equal_scanpy(pair, values, counts, where, kind, exclude):
    x = counts[counts.sum(1) > 0]
    x[5, 3] = 500
    ours, theirs = pair(x, kind, where)
    options = {"exclude_highly_expressed": exclude, "max_fraction": 0.1, "key_added": "factor"}
    lo.pp.normalize_total(ours, **options)
    scanpy_normalized(theirs, **options)
    np.testing.assert_allclose(values(ours.X), values(theirs.X), rtol=2e-6)
    np.testing.assert_allclose(ours.obs["factor"], theirs.obs["factor"], rtol=1e-6)
    assert ours.obs["factor"].dtype == theirs.obs["factor"].dtype


def test_median_leaves_out_empty_cells(pair, values, counts):
    ours, theirs = pair(counts, "dense")
    with pytest.warns(UserWarning, match="Some cells have zero counts"):
        lo.pp.normalize_total(ours)
    found = values(ours.X)
    np.testing.assert_allclose(found, values(scanpy_normalized(theirs).X), rtol=2e-6)
    assert not found[[3, 200]].any()


def test_totals_see_all_genes_before_a_selection(pair, values, counts):
    ours, _ = pair(counts)
    lo.pp.normalize_total(ours, target_sum=1)
    whole = values(ours.X)
    np.testing.assert_array_equal(values(ours[5:9, [3, 200, 7]].X), whole[5:9, [3, 200, 7]])


def test_lazy_and_passes(pair, counts, count_passes):
    ours, _ = pair(counts)
    path = ours.filename
    with count_passes(path) as passes:
        lo.pp.normalize_total(ours, target_sum=1e4)
    assert passes.values == 0
    assert isinstance(ours.X, LazyMatrix)
    ours, _ = pair(counts[4:100])
    for options, expected in [
        ({}, 1),
        ({"target_sum": 5, "key_added": "f"}, 1),
        ({"target_sum": 5, "exclude_highly_expressed": True}, 1),
        ({"exclude_highly_expressed": True, "key_added": "f"}, 2),
    ]:
        fresh = ours.copy()
        with count_passes(ours.filename) as passes:
            lo.pp.normalize_total(fresh, **options)
        if "exclude_highly_expressed" not in options:
            assert passes.indices == 0  # totals need no positions
        assert passes.values == pytest.approx(expected)


def test_layer_copy_and_inplace(pair, values, counts):
    x = counts[4:100]
    ours, _ = pair(x, "csr", "memory")
    ours.layers["counts"] = ours.X.copy()
    changed = lo.pp.normalize_total(ours, layer="counts", target_sum=10, copy=True)
    np.testing.assert_array_equal(values(ours.layers["counts"]), x)
    np.testing.assert_array_equal(values(changed.X), x)
    np.testing.assert_allclose(values(changed.layers["counts"]).sum(1), 10, rtol=1e-5)
    result = lo.pp.normalize_total(ours, target_sum=10, inplace=False)
    np.testing.assert_allclose(values(result["X"]).sum(1), 10, rtol=1e-5)
    np.testing.assert_allclose(result["norm_factor"], x.sum(1) / 10, rtol=1e-6)
    np.testing.assert_array_equal(values(ours.X), x)


def test_memory_stays_memory_and_obsm(pair, values, counts):
    ours, _ = pair(counts[4:100], "csr", "memory")
    ours.obsm["part"] = counts[4:100, :50] + 1
    lo.pp.normalize_total(ours, target_sum=3)
    lo.pp.normalize_total(ours, target_sum=3, obsm="part")
    assert type(ours.X).__name__ == "csr_matrix"
    np.testing.assert_allclose(ours.obsm["part"].sum(1), 3, rtol=1e-5)


def test_no_counts_at_all(pair, values):
    ours, _ = pair(np.zeros((4, 3), dtype=np.float32))
    with pytest.warns(UserWarning, match="zero counts"):
        lo.pp.normalize_total(ours)
    assert not values(ours.X).any()
    empty = lo.AnnData(np.zeros((0, 3), dtype=np.float32))
    lo.pp.normalize_total(empty)
    assert empty.shape == (0, 3)


def test_wrong_arguments(pair, counts):
    ours, _ = pair(counts)
    with pytest.raises(ValueError, match="copy=True"):
        lo.pp.normalize_total(ours, copy=True, inplace=False)
    with pytest.raises(ValueError, match="max_fraction"):
        lo.pp.normalize_total(ours, max_fraction=2)
    with pytest.raises(KeyError, match="nothing"):
        lo.pp.normalize_total(ours, layer="nothing")
    with pytest.raises(KeyError, match="nothing"):
        lo.pp.normalize_total(ours, obsm="nothing")
