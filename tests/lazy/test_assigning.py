"""Values assigned to items of lazy matrices, compared with numpy."""

from __future__ import annotations

import pickle

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.blocks.block import SparseBlock, as_block
from lazyomics.kernels.steps import Log1p
from lazyomics.lazy import MemorySource, from_source, recipe_of
from lazyomics.lazy.matrix import known_blocks
from tests.lazy.conftest import random_csr

VALUES = random_csr().toarray()
N, M = VALUES.shape
MASK = VALUES > 4
EVERY_OTHER = np.arange(N) % 2 == 0

STORED = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}


def _from_memory(name: str):
    return from_source(MemorySource.of(STORED[name](VALUES)), lines_per_block=7)


HOW = {
    **{f"read {name}": lambda name=name: _from_memory(name) for name in STORED},
    "computed": lambda: known_blocks(_from_memory("csr") * 1),
    "given": lambda: known_blocks(da.from_array(VALUES, chunks=(9, 5)).map_blocks(sp.csr_matrix)),
    "given dense": lambda: known_blocks(da.from_array(VALUES, chunks=(9, 5))),
    "persisted": lambda: _from_memory("csr").persist(),
    "assigned before": lambda: _assigned_before(),
}


def _assigned_before():
    x = _from_memory("csr")
    x[0, 0] = 77
    x[0, 0] = VALUES[0, 0]
    return x


KEYS = {
    "place": ((3, 4), 9),
    "place, zero": ((0, int(np.flatnonzero(VALUES[0])[0])), 0),
    "negative place": ((-1, -2), 9),
    "row": (2, 0),
    "row of values": (2, np.arange(M)),
    "last row": (-1, 3.5),
    "column": ((slice(None), 2), 7),
    "column of values": ((slice(None), 2), np.arange(N)),
    "some rows": (slice(3, 20, 4), 5),
    "backwards": (slice(20, 3, -4), np.arange(5)[:, None]),
    "rows at positions": ([5, 1, 30], 0),
    "row, columns": ((1, [0, 2]), [11.0, 12.0]),
    "rows, column": (([4, 1], 3), [11.0, 12.0]),
    "crossings": ((slice(2, 9), slice(1, 4)), np.arange(21).reshape(7, 3)),
    "crossings of ix_": (np.ix_([7, 2], [3, 1]), [[1, 2], [3, 4]]),
    "pairs": (([1, 2, 3], [4, 5, 6]), [1, 0, 3]),
    "pairs named twice": (([1, 1, 1], [4, 4, 4]), [1, 2, 3]),
    "mask of rows": (EVERY_OTHER, 0),
    "mask of rows, column": ((EVERY_OTHER, 1), np.arange(EVERY_OTHER.sum())),
    "two masks": ((np.arange(N) < 3, np.arange(M) < 3), 8),
    "mask": (MASK, 0),
    "mask, values": (MASK, np.arange(MASK.sum())),
    "mask, nan": (MASK, np.nan),
    "everything": (slice(None), 1),
    "dots": (..., 2),
    "dots, column": ((..., 2), 2),
    "nothing": ([], 1),
    "mask as a table": (pd.DataFrame(MASK), 3),
    "rows as a series": (pd.Series(EVERY_OTHER), 3),
    "leading ones": (2, np.arange(M)[None]),
}


def _values(x) -> np.ndarray:
    found = lazy.materialize(x)
    return found.toarray() if sp.issparse(found) else np.asarray(found)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("how", HOW)
def test_assigning_is_numpys(how: str, key: str) -> None:
    x, expected = HOW[how](), VALUES.copy()
    sparse = isinstance(x._meta, SparseBlock)
    at, value = KEYS[key]
    x[at] = value
    expected[np.asarray(at) if hasattr(at, "to_numpy") else at] = value
    np.testing.assert_array_equal(_values(x), expected)
    assert isinstance(x._meta, SparseBlock) is sparse
    assert x.dtype == VALUES.dtype


@pytest.mark.parametrize("key", ["place", "crossings", "pairs", "mask", "row of values"])
@pytest.mark.parametrize("how", HOW)
def test_what_follows_an_assignment_sees_it(how: str, key: str) -> None:
    x, expected = HOW[how](), VALUES.copy()
    at, value = KEYS[key]
    x[at] = value
    expected[at] = value
    logged = lazy.map_rows(x, Log1p())
    rows, cols = np.array([30, 2, 2, 5]), np.array([6, 1, 4, 3, 0])
    np.testing.assert_array_equal(_values(lazy.take(x, rows, cols)), expected[rows][:, cols])
    np.testing.assert_allclose(
        _values(lazy.take(logged, rows, cols)), np.log1p(expected)[rows][:, cols]
    )
    again = pickle.loads(pickle.dumps(x))
    np.testing.assert_array_equal(_values(again), expected)


@pytest.mark.parametrize("how", HOW)
def test_lazy_masks(how: str) -> None:
    x, expected = HOW[how](), VALUES.copy()
    sparse = isinstance(x._meta, SparseBlock)
    x[x > 4] = 0
    expected[expected > 4] = 0
    x[x < 2] = 9  # a mask that is not sparse
    expected[expected < 2] = 9
    np.testing.assert_array_equal(_values(x), expected)
    assert isinstance(x._meta, SparseBlock) is sparse


@pytest.mark.parametrize("mask", [sp.csr_matrix(MASK), sp.csc_array(MASK), da.from_array(MASK)])
def test_masks_of_other_kinds(mask) -> None:
    x, expected = _from_memory("csr"), VALUES.copy()
    x[mask] = 5
    expected[MASK] = 5
    np.testing.assert_array_equal(_values(x), expected)


@pytest.mark.parametrize(
    "value", [sp.csr_matrix(VALUES[:2] + 1), da.from_array(VALUES[:2] + 1, chunks=1)]
)
def test_values_of_other_kinds(value) -> None:
    x, expected = _from_memory("csr"), VALUES.copy()
    x[4:6] = value
    expected[4:6] = VALUES[:2] + 1
    np.testing.assert_array_equal(_values(x), expected)


def test_operators_on_items() -> None:
    x, expected = _from_memory("csr"), VALUES.copy()
    x[:, 2] *= 3
    expected[:, 2] *= 3
    x[4] += 1
    expected[4] += 1
    np.testing.assert_array_equal(_values(x), expected)


def test_assignments_in_a_loop_are_one_step() -> None:
    x, expected = _from_memory("csr"), VALUES.copy()
    for k in range(30):
        x[k, k % M] = k
        expected[k, k % M] = k
    x[3, 3] = 0
    expected[3, 3] = 0
    assert len(recipe_of(x).steps) == 1
    np.testing.assert_array_equal(_values(x), expected)


def test_large_tables_are_not_kept_as_places(monkeypatch) -> None:
    monkeypatch.setattr("lazyomics.lazy.assign.FEW_POINTS", 3)
    for how in HOW:
        for key in KEYS:
            test_assigning_is_numpys(how, key)


@pytest.mark.parametrize("dtype", ["i4", "u1", "f8", "f2", "?"])
@pytest.mark.parametrize("stored", STORED)
def test_values_are_cast_as_numpy_casts_them(dtype: str, stored: str) -> None:
    expected = VALUES.astype(dtype)
    held = as_block(STORED[stored](VALUES)).astype(dtype)
    x = from_source(MemorySource.of(held), lines_per_block=7)
    x[3] = 2.7
    expected[3] = 2.7
    found = x.compute()
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(np.asarray(found), expected)


@pytest.mark.parametrize(
    ("key", "value", "error", "says"),
    [
        ((99, 0), 1, IndexError, "position 99"),
        ((0, 0, 0), 1, IndexError, "two axes"),
        ((None, 0), 1, IndexError, "two axes"),
        (MASK[:3], 1, IndexError, "mask"),
        (2, [1, 2, 3], ValueError, "broadcast"),
        (MASK, [1, 2, 3], ValueError, "broadcast"),
        ("gene", 1, TypeError, "index by"),
        (0, "text", ValueError, "text"),
    ],
)
def test_what_numpy_refuses_is_refused_at_once(key, value, error, says) -> None:
    x = _from_memory("csr")
    with pytest.raises(error, match=says):
        x[key] = value
    np.testing.assert_array_equal(_values(x), VALUES)


def test_values_that_do_not_fit_are_refused() -> None:
    x = from_source(MemorySource.of(sp.csr_matrix(VALUES.astype("i4"))))
    for value in (np.nan, [np.inf] * M):
        with pytest.raises(ValueError, match="neither NaN nor infinity"):
            x[0] = value
    with pytest.raises(ValueError, match="one number"):
        x[x > 3] = np.arange(5)


def test_lazy_values_need_memory() -> None:
    x = _from_memory("csr")
    with (
        dask.config.set({"lazyomics.memory": "1 kiB"}),
        pytest.raises(MemoryError, match=r"lazyomics\.memory"),
    ):
        x[:] = da.ones((N, M))


def test_copies_and_selections_stay_as_they_are() -> None:
    for how in HOW:
        x = HOW[how]()
        others = [x.copy(), lazy.take(x, slice(0, N, 1), slice(0, M, 1)), lazy.as_lazy(x.copy())]
        x[0] = 5
        for other in others:
            np.testing.assert_array_equal(_values(other), VALUES)
