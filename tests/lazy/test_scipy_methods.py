"""Methods of scipy's matrices on lazy ones."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.lazy import materialize
from lazyomics.lazy.matrix import BlockArray

COUNTS = sp.random(60, 25, density=0.2, random_state=0, format="csr", dtype="f4")
ROWS = np.array([3, 3, 0, 41, 7])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scipy")
    for name, x in {"csr": COUNTS, "csc": COUNTS.tocsc(), "dense": COUNTS.toarray()}.items():
        lo.AnnData(x).write_h5ad(folder / f"{name}.h5ad")
    return folder


CUTS = {
    "whole": (lambda a: a.X, lambda x: x),
    "rows": (lambda a: a[ROWS].X, lambda x: x[ROWS]),
    "columns": (lambda a: a[:, 4:17].X, lambda x: x[:, 4:17]),
    "logged": (lambda a: _logged(a).X, lambda x: x.log1p() if sp.issparse(x) else np.log1p(x)),
    "by dask": (lambda a: BlockArray.of(a.X * 2), lambda x: x * 2),
}


def _logged(adata: lo.AnnData) -> lo.AnnData:
    lo.pp.log1p(adata)
    return adata


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
def test_results_are_scipys(files, form: str, cut: str) -> None:
    ours, theirs = CUTS[cut]
    x = ours(lo.read_h5ad(files / f"{form}.h5ad"))
    expected = theirs({"csr": COUNTS, "csc": COUNTS.tocsc(), "dense": COUNTS.toarray()}[form])
    whole = sp.csr_matrix(expected)
    np.testing.assert_allclose(x.toarray(), whole.toarray(), rtol=1e-6)
    assert isinstance(x.todense(), np.matrix)
    np.testing.assert_array_equal(x.A, x.toarray())
    for kind in ("csr", "csc", "coo"):
        found = getattr(x, f"to{kind}")()
        assert type(found) is getattr(sp, f"{kind}_matrix")
        assert found.dtype == whole.dtype
        np.testing.assert_allclose(found.toarray(), whole.toarray(), rtol=1e-6)
    if form == "dense":
        assert not any(hasattr(x, name) for name in ("nnz", "data", "indices", "indptr"))
        return
    assert x.nnz == expected.nnz
    for axis in (0, 1):
        np.testing.assert_array_equal(x.getnnz(axis), expected.getnnz(axis))
    kind = type(materialize(x))  # as it is in memory
    again = kind((x.data, x.indices, x.indptr), shape=x.shape)
    np.testing.assert_allclose(again.toarray(), whole.toarray(), rtol=1e-6)


def test_what_would_not_reach_the_matrix_is_refused(files) -> None:
    x = lo.read_h5ad(files / "csr.h5ad").X
    with pytest.raises(ValueError, match="read-only"):
        x.data[:] = 1
    with pytest.raises(AttributeError, match=r"x = adata\.X\.tocsr\(\)"):
        x.data = np.ones(3)
    with pytest.raises(AttributeError, match=r"adata\.X\.tocsr\(\)\.multiply"):
        x.multiply(2)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = x.nothing


@pytest.mark.parametrize("call", ["toarray", "todense", "tocsr", "tocsc", "data", "indices"])
def test_more_than_the_memory_is_refused_before_it_is_read(files, call: str) -> None:
    x = lo.read_h5ad(files / "csr.h5ad").X
    with (
        dask.config.set({"lazyomics.memory": "1 KiB"}),
        pytest.raises(MemoryError, match=r"60 × 25 takes about .* KiB.*adata\[:, genes\]"),
    ):
        getattr(x, call)()
    with dask.config.set({"lazyomics.memory": "1 KiB"}):
        assert x.nnz == COUNTS.nnz
        assert x[:3].tocsr().shape == (3, 25)
