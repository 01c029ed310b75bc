from __future__ import annotations

import numpy as np
import pytest

import lazyomics as lo

sc = pytest.importorskip("scanpy", reason="compares with scanpy")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint16"])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("base", [None, 2])
def test_equals_scanpy(pair, values, counts, dtype, kind, base):
    ours, theirs = pair(counts.astype(dtype), kind)
    lo.pp.log1p(ours, base=base)
    sc.pp.log1p(theirs, base=base)
    np.testing.assert_allclose(values(ours.X), values(theirs.X), rtol=1e-6)
    assert values(ours.X).dtype == (dtype if dtype.startswith("float") else "float32")
    assert dict(ours.uns["log1p"]) == theirs.uns["log1p"]


@pytest.mark.parametrize("where", ["memory", "subset"])
def test_layers_memory_and_subsets(pair, values, counts, where):
    ours, _ = pair(counts, "csr", where)
    ours.layers["counts"] = ours.X
    lo.pp.log1p(ours, layer="counts")
    np.testing.assert_array_equal(values(ours.X), counts)
    np.testing.assert_allclose(values(ours.layers["counts"]), np.log1p(counts), rtol=1e-6)


def test_lazy(pair, counts, count_passes):
    ours, _ = pair(counts)
    with count_passes(ours.filename) as passes:
        lo.pp.log1p(ours)
    assert passes.values == 0


def test_copy_and_warning(pair, values, counts):
    ours, _ = pair(counts)
    logged = lo.pp.log1p(ours, copy=True)
    assert "log1p" not in ours.uns
    np.testing.assert_array_equal(values(ours.X), counts)
    with pytest.warns(UserWarning, match="already log-transformed"):
        lo.pp.log1p(logged)
