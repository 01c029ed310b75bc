"""Square roots: scanpy's values and types, of objects and of bare matrices."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.lazy import LazyMatrix

sc = pytest.importorskip("scanpy", reason="compares with scanpy")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint16"])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("where", ["file", "memory", "subset"])
def test_equals_scanpy(pair, values, counts, dtype, kind, where):
    ours, theirs = pair(counts.astype(dtype), kind, where)
    lo.pp.sqrt(ours)
    sc.pp.sqrt(theirs)
    np.testing.assert_array_equal(values(ours.X), values(theirs.X))
    assert values(ours.X).dtype == theirs.X.dtype
    assert isinstance(ours.X, LazyMatrix) == (where != "memory")
    part = values(ours[[5, 80, 2], 2:9].X)
    np.testing.assert_array_equal(part, values(theirs.X)[[5, 80, 2], 2:9])


def test_of_recorded_steps_reads_nothing(pair, values, counts, count_passes):
    ours, theirs = pair(counts)
    for module, adata in ((lo, ours), (sc, theirs)):
        module.pp.log1p(adata)
    with count_passes(ours.filename) as passes:
        lo.pp.sqrt(ours, chunked=True, chunk_size=7)
    assert passes.values == 0
    sc.pp.sqrt(theirs)
    np.testing.assert_array_equal(values(ours.X), values(theirs.X))


def test_copies(pair, values, counts):
    ours, _ = pair(counts)
    rooted = lo.pp.sqrt(ours, copy=True)
    np.testing.assert_array_equal(values(ours.X), counts)
    np.testing.assert_array_equal(values(rooted.X), np.sqrt(counts))


def test_small_whole_numbers_are_not_halves(pair, values, counts):
    """NumPy's root of a uint8 is a float16, of which scipy makes no matrix."""
    for kind in ("csr", "dense"):
        ours, _ = pair((counts % 200).astype("uint8"), kind)
        lo.pp.sqrt(ours)
        assert values(ours.X).dtype == np.float32
        np.testing.assert_allclose(values(ours.X), np.sqrt(counts % 200), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_bare_matrices(counts, kind, dtype):
    x = kind(counts.astype(dtype))
    found, expected = lo.pp.sqrt(x), sc.pp.sqrt(x)
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    if sp.issparse(found):
        found, expected, x = found.toarray(), expected.toarray(), x.toarray()
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(x, counts)
    lazily = lo.pp.sqrt(da.from_array(counts.astype(dtype), chunks=(50, -1)))
    assert isinstance(lazily, da.Array)
    np.testing.assert_array_equal(lazily.compute(), expected)


def test_negative_values(pair, values):
    ours, _ = pair(np.array([[4.0, -1.0]], "f4"), "csr", "file")
    lo.pp.sqrt(ours)
    with pytest.warns(RuntimeWarning, match="invalid value"):
        found = values(ours.X)
    np.testing.assert_array_equal(found, [[2, np.nan]])


def test_what_it_does_not_take():
    with pytest.raises(TypeError, match=r"pp\.sqrt takes .*found list"):
        lo.pp.sqrt([1, 2])
