"""Entries taken by position, with gaps where there are none."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.container.reindex import take_with_gaps

POSITIONS = np.array([2, -1, 0])


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "int16", "bool"])
def test_arrays_get_nan(axis: int, dtype: str) -> None:
    value = np.arange(9).reshape(3, 3).astype(dtype)
    taken = take_with_gaps(value, POSITIONS, axis)
    np.testing.assert_array_equal(taken.take([0, 2], axis), value.take([2, 0], axis))
    assert np.isnan(taken.take(1, axis)).all()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("storage", ["csr", "csc"])
def test_sparse_matrices_get_nothing(axis: int, storage: str) -> None:
    value = sp.eye(3, format=storage, dtype="float32")
    taken = take_with_gaps(value, POSITIONS, axis)
    assert (taken.format, taken.dtype, taken.nnz) == (storage, value.dtype, 2)
    np.testing.assert_array_equal(taken.toarray().take(0, axis), value.toarray().take(2, axis))


def test_without_gaps_types_stay() -> None:
    assert take_with_gaps(np.arange(3), np.array([2, 0])).tolist() == [2, 0]


def test_nothing_to_take_from() -> None:
    assert np.isnan(take_with_gaps(np.zeros((0, 2)), np.array([-1, -1]))).all()


def test_awkward_arrays_of_a_mudata_follow_its_observations() -> None:
    ak = pytest.importorskip("awkward", reason="reads rows of any length")
    rna = lo.AnnData(np.eye(3), obs={"obs_names": ["x", "y", "z"]})
    mdata = lo.MuData({"rna": rna})
    mdata.obsm["hits"] = ak.Array([[1], [2, 3], []])
    mdata["rna"]._inplace_subset_obs(["x", "z"])
    mdata.update()
    assert mdata.obsm["hits"].to_list() == [[1], []]
    mdata.mod["adt"] = lo.AnnData(np.eye(1), obs={"obs_names": ["new"]})
    mdata.update()
    assert mdata.obsm["hits"].to_list() == [[1], [], None]
