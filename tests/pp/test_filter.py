from __future__ import annotations

import numpy as np
import pytest

import lazyomics as lo
from lazyomics import lazy

sc = pytest.importorskip("scanpy", reason="compares with scanpy")

CELLS = [{"min_counts": 200}, {"max_counts": 300}, {"min_genes": 90}, {"max_genes": 100}]
GENES = [{"min_counts": 20}, {"max_counts": 300}, {"min_cells": 10}, {"max_cells": 100}]


@pytest.mark.parametrize("where", ["file", "memory", "subset"])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize(
    ("verb", "limit"),
    [*(("filter_cells", c) for c in CELLS), *(("filter_genes", g) for g in GENES)],
)
def test_equals_scanpy(pair, values, counts, where, kind, verb, limit):
    ours, theirs = pair(counts, kind, where)
    mask, numbers = getattr(lo.pp, verb)(ours, **limit, inplace=False)
    expected = getattr(sc.pp, verb)(theirs, **limit, inplace=False)
    np.testing.assert_array_equal(mask, expected[0])
    np.testing.assert_array_equal(numbers, expected[1])
    assert numbers.dtype == expected[1].dtype
    assert 0 < mask.sum() < len(mask)
    getattr(lo.pp, verb)(ours, **limit)
    getattr(sc.pp, verb)(theirs, **limit)
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(values(ours.X), values(theirs.X))
    for frame, other in ((ours.obs, theirs.obs), (ours.var, theirs.var)):
        assert list(frame) == list(other)
        assert frame.index.tolist() == other.index.tolist()
        for name in other:
            np.testing.assert_array_equal(frame[name], other[name])
            assert frame[name].dtype == other[name].dtype


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint16"])
def test_dtypes(pair, counts, dtype):
    ours, theirs = pair(counts.astype(dtype))
    for verb in ("filter_cells", "filter_genes"):
        found = getattr(lo.pp, verb)(ours, min_counts=30, inplace=False)
        expected = getattr(sc.pp, verb)(theirs, min_counts=30, inplace=False)
        np.testing.assert_array_equal(found[1], expected[1])
        assert found[1].dtype == expected[1].dtype


@pytest.mark.parametrize("verb", ["filter_cells", "filter_genes"])
def test_one_pass_then_lazy(pair, counts, count_passes, verb):
    ours, _ = pair(counts)
    with count_passes(ours.filename) as passes:
        getattr(lo.pp, verb)(ours, min_counts=100)
    assert passes.values == pytest.approx(1)
    assert isinstance(ours.X, lazy.LazyMatrix)


def test_matrices_copies_and_arguments(pair, counts):
    ours, _ = pair(counts)
    mask, _numbers = lo.pp.filter_cells(counts, min_genes=90)
    np.testing.assert_array_equal(mask, (counts > 0).sum(1) >= 90)
    mask, _numbers = lo.pp.filter_genes(ours.X, min_cells=10)
    np.testing.assert_array_equal(mask, (counts > 0).sum(0) >= 10)
    fewer = lo.pp.filter_cells(ours, min_genes=90, copy=True)
    assert ours.n_obs == 240 > fewer.n_obs
    fewer = lo.pp.filter_genes(ours, min_cells=10, copy=True)
    assert ours.n_vars == 300 > fewer.n_vars
    for verb in (lo.pp.filter_cells, lo.pp.filter_genes):
        with pytest.raises(ValueError, match="Only provide one"):
            verb(ours)
        with pytest.raises(ValueError, match="Only provide one"):
            verb(ours, min_counts=1, max_counts=3)
