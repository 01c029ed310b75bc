"""Small things that users of anndata rely on, compared with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo

ad = pytest.importorskip("anndata", reason="compares with anndata")

pytestmark = pytest.mark.filterwarnings("ignore:The method ..._vector is deprecated")

NAMES = ["a", "b", "c"]
COLUMNS = {
    "kind": pd.Categorical(["x", "y", "x"]),
    "rank": pd.Categorical([2, 1, 2], ordered=True),
    "number": [1, 2, 3],
    "nullable": pd.array([1, None, 3], dtype="Int32"),
    "yes": pd.array([True, None, False], dtype="boolean"),
    "text": ["p", "q", "r"],
    "value": np.array([0.5, 1, 2], dtype="f4"),
}


def made(module: Any, x: Any = None) -> Any:
    table = pd.DataFrame(COLUMNS, index=NAMES)
    return module.AnnData(np.eye(3) if x is None else x, obs=table, var=table.copy())


@pytest.mark.parametrize("key", COLUMNS)
@pytest.mark.parametrize("what", ["obs", "var", "raw", "opened", "selected"])
def test_vectors_keep_what_a_column_is(key: str, what: str, tmp_path) -> None:
    found = []
    for module in (lo, ad):
        adata = made(module)
        if what == "raw":
            adata.raw = adata
        if what == "opened":
            made(ad).write_h5ad(tmp_path / "a.h5ad")
            adata = module.read_h5ad(tmp_path / "a.h5ad")
        if what == "selected":
            adata = adata[[2, 0]]
        ask = adata.raw.var_vector if what == "raw" else adata.obs_vector
        found.append(adata.var_vector(key) if what == "var" else ask(key))
    mine, expected = found
    # of raw, anndata 0.13 wraps plain values into an array of pandas
    pd.testing.assert_series_equal(pd.Series(mine), pd.Series(expected))


@pytest.mark.parametrize("axis", ["obs", "var"])
@pytest.mark.parametrize("given", ["list", "Series", "Series without a name"])
def test_name_of_given_names(axis: str, given: str) -> None:
    names: Any = {
        "list": list("xyz"),
        "Series": pd.Series(list("xyz"), name="barcode"),
        "Series without a name": pd.Series(list("xyz"), name=0),
    }[given]
    found = []
    for module in (lo, ad):
        adata = made(module)
        setattr(adata, f"{axis}_names", names)
        found.append(getattr(adata, f"{axis}_names").name)
    assert found[0] == found[1]


@pytest.mark.parametrize("axis", ["obs", "var"])
def test_an_index_is_named_by_text(axis: str) -> None:
    adata = made(lo)
    with pytest.raises(ValueError, match=r"text or None, found 0 \(int\)"):
        setattr(adata, f"{axis}_names", pd.Index(list("xyz"), name=0))
    assert list(getattr(adata, f"{axis}_names")) == NAMES


def test_objects_are_not_compared_with_equals() -> None:
    one, other = made(lo), made(lo)
    for module in (lo, ad):
        with pytest.raises(NotImplementedError, match="compare"):
            assert made(module) == made(module)
    with pytest.raises(NotImplementedError, match="compare"):
        assert one != other
    assert one in [one, other]
    assert len({one, other}) == 2


@pytest.mark.parametrize(
    "index", [[1.2, 2.0], np.array([1, 2], "f4"), sp.csr_matrix([[0.0, 1.0, 1.0]])]
)
def test_floating_point_values_are_no_index(index: Any) -> None:
    with pytest.raises(IndexError, match="has floating point values"):
        made(lo)[index]


@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize("first", [sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.csc_array])
@pytest.mark.parametrize("second", [sp.csr_matrix, sp.csr_array, sp.csc_array, np.asarray])
@pytest.mark.parametrize("axis", ["obs", "var"])
def test_class_of_joined_sparse_matrices(first: Any, second: Any, axis: str, join: str) -> None:
    parts = [first(np.eye(3)), second(np.eye(3))]
    found = [
        module.concat([made(module, x) for x in parts], axis=axis, join=join, index_unique="-").X
        for module in (lo, ad)
    ]
    assert isinstance(found[0], sp.sparray) == isinstance(found[1], sp.sparray)
    np.testing.assert_array_equal(found[0].toarray(), found[1].toarray())


def test_concat_takes_force_lazy() -> None:
    joined = lo.concat([made(lo), made(lo)], index_unique="-", force_lazy=True)
    assert joined.shape == (6, 3)
