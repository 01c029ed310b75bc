from __future__ import annotations

import pickle

import dask
import dask.array as da
import numpy as np
import pytest

from lazyomics.blocks.block import CSCBlock, CSRBlock
from lazyomics.kernels.steps import Log1p, NormalizeRows
from lazyomics.lazy import as_lazy, map_rows, materialize, recipe_of


def as_dense(x) -> np.ndarray:
    value = materialize(x)
    return value.toarray() if hasattr(value, "toarray") else np.asarray(value)


def normalized(dense: np.ndarray) -> np.ndarray:
    totals = dense.sum(1, keepdims=True)
    return np.log1p(dense * 100 / np.where(totals == 0, 1, totals))


SELECTIONS = [
    (slice(3, 40), slice(None)),
    (slice(None), slice(2, 9)),
    (slice(None, None, -2), slice(None)),
    ([5, 3, 3, -1], slice(None)),
    ([], slice(None)),
    (slice(None), [4, 1, 1, -2]),
    (slice(None), []),
]


def test_it_is_a_dask_array_of_blocks(lazy_matrix, dense) -> None:
    assert isinstance(lazy_matrix, da.Array)
    assert lazy_matrix.shape == dense.shape
    assert type(lazy_matrix._meta) in (CSRBlock, CSCBlock, np.ndarray)
    np.testing.assert_array_equal(as_dense(lazy_matrix), dense)


@pytest.mark.parametrize(("rows", "cols"), SELECTIONS)
def test_selections_equal_numpy(lazy_matrix, dense, rows, cols) -> None:
    index = lambda key: np.asarray(key, dtype=int) if isinstance(key, list) else key  # noqa: E731
    expected = dense[index(rows)][:, index(cols)]
    chosen = lazy_matrix[rows][:, cols]
    assert recipe_of(chosen) is not None
    np.testing.assert_array_equal(as_dense(chosen), expected)


def test_masks_and_masks_of_masks(lazy_matrix, dense) -> None:
    mask = dense.sum(1) > np.median(dense.sum(1))
    again = np.arange(mask.sum()) % 2 == 0
    np.testing.assert_array_equal(as_dense(lazy_matrix[mask][again]), dense[mask][again])


def test_integers_and_pointwise_keys_behave_as_in_dask(lazy_matrix, dense) -> None:
    np.testing.assert_array_equal(np.asarray(as_dense(lazy_matrix[3])).ravel(), dense[3])
    assert float(lazy_matrix[3, 2].compute()) == dense[3, 2]
    with pytest.raises(NotImplementedError):
        lazy_matrix[[1, 2], [1, 2]]


@pytest.mark.parametrize(("rows", "cols"), SELECTIONS)
def test_selecting_after_steps_equals_steps_then_selecting(matrix, dense, rows, cols) -> None:
    x = map_rows(map_rows(matrix, NormalizeRows(100.0)), Log1p())
    index = lambda key: np.asarray(key, dtype=int) if isinstance(key, list) else key  # noqa: E731
    expected = normalized(dense)[index(rows)][:, index(cols)]
    np.testing.assert_allclose(as_dense(x[rows][:, cols]), expected, rtol=1e-6)
    np.testing.assert_allclose(as_dense(x[:, cols][rows]), expected, rtol=1e-6)


def test_steps_between_selections_keep_their_order(matrix, dense) -> None:
    cols = [8, 2, 5, 3]
    x = map_rows(as_lazy(matrix)[:, cols], NormalizeRows(100.0))[:, [2, 0]]
    x = map_rows(map_rows(x, NormalizeRows(10.0)), Log1p())[:, [1]]
    first = dense[:, cols]
    totals = first.sum(1, keepdims=True)
    first = (first * 100 / np.where(totals == 0, 1, totals))[:, [2, 0]]
    totals = first.sum(1, keepdims=True)
    second = np.log1p(first * 10 / np.where(totals == 0, 1, totals))[:, [1]]
    np.testing.assert_allclose(as_dense(x), second, rtol=1e-5)


def test_column_selection_reaches_the_source_only_below_full_row_steps(matrix) -> None:
    logged = map_rows(matrix, Log1p())[:, [3, 1]]
    assert recipe_of(logged).cols.tolist() == [3, 1]
    scaled = map_rows(matrix, NormalizeRows(1.0))[:, [3, 1]]
    assert recipe_of(scaled).cols == slice(0, scaled.recipe.source.shape[1], 1)


def test_pickles_with_its_recipe(lazy_matrix, dense) -> None:
    again = pickle.loads(pickle.dumps(lazy_matrix))
    assert recipe_of(again) is not None
    np.testing.assert_array_equal(as_dense(again), dense)


def test_persisted_and_changed_arrays_have_no_recipe(lazy_matrix, dense) -> None:
    (kept,) = dask.persist(lazy_matrix)
    assert recipe_of(kept) is None
    np.testing.assert_array_equal(as_dense(kept), dense)
    assert recipe_of(lazy_matrix * 2) is None


def test_lazy_gives_row_blocks_of_anything(matrix, dense) -> None:
    for given in (matrix, as_lazy(matrix), da.from_array(dense, chunks=(10, 4))):
        x = as_lazy(given)
        assert x.numblocks[1] == 1
        np.testing.assert_array_equal(as_dense(x), dense)
    with pytest.raises(TypeError, match="list"):
        as_lazy([[1, 2]])


def test_the_graph_holds_nothing_per_cell() -> None:
    import scipy.sparse as sp

    n = 200_000
    x = map_rows(map_rows(sp.csr_matrix((n, 5), dtype="f4"), NormalizeRows(1.0)), Log1p())
    source = recipe_of(x).source
    size = sum(
        len(pickle.dumps(v)) for v in dict(x.dask).values() if getattr(v, "source", None) is None
    )
    assert size < 50_000, source
