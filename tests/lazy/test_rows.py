from __future__ import annotations

from dataclasses import dataclass

import dask.array as da
import numpy as np
import pytest

from lazyomics.errors import ShapeError
from lazyomics.kernels.steps import AsType, Log1p
from lazyomics.lazy import (
    MemorySource,
    as_lazy,
    collect_rows,
    compute,
    fold_rows,
    from_source,
    map_rows,
    materialize,
    windows,
)


@dataclass
class Sums:
    columns: np.ndarray
    rows: int

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.columns + other.columns, self.rows + other.rows)


def column_sums(block, *weights, factor=1.0) -> Sums:
    dense = block.toarray() if hasattr(block, "toarray") else block
    weight = weights[0] if weights else np.ones(len(dense))
    return Sums(factor * (dense * weight[:, None]).sum(0), len(dense))


def row_sums(block, *offsets) -> np.ndarray:
    dense = block.toarray() if hasattr(block, "toarray") else block
    return dense.sum(1) + (offsets[0] if offsets else 0)


@pytest.mark.parametrize("step", [1, 7, 100])
def test_fold_visits_each_row_once(matrix, dense, step) -> None:
    x = as_lazy(from_source(MemorySource.of(matrix), lines_per_block=step))
    weights = np.arange(len(dense), dtype=float)
    plain, weighted = compute(
        fold_rows(x, column_sums), fold_rows(x, column_sums, rows=[weights], factor=2.0)
    )
    np.testing.assert_allclose(plain.columns, dense.sum(0))
    assert plain.rows == len(dense)
    np.testing.assert_allclose(weighted.columns, 2 * (dense * weights[:, None]).sum(0))


def test_collect_keeps_the_order_of_rows(matrix, dense) -> None:
    x = as_lazy(matrix)
    offsets = np.arange(len(dense), dtype=float)
    values = collect_rows(x, row_sums, rows=[offsets], dtype=float)
    assert values.shape == (len(dense),)
    np.testing.assert_allclose(values.compute(), dense.sum(1) + offsets)


def test_vectors_must_fit(matrix) -> None:
    with pytest.raises(ShapeError, match="3 values"):
        fold_rows(as_lazy(matrix), column_sums, rows=[np.zeros(3)])


def test_folding_no_rows_gives_the_empty_state(matrix, dense) -> None:
    (state,) = compute(fold_rows(as_lazy(matrix)[:0], column_sums))
    assert state.rows == 0
    assert state.columns.shape == (dense.shape[1],)


def test_steps_on_ordinary_dask_arrays(dense) -> None:
    x = map_rows(map_rows(da.from_array(dense, chunks=(9, 5)), Log1p()), AsType("float64"))
    assert x.dtype == np.float64
    np.testing.assert_allclose(x.compute(), np.log1p(dense), rtol=1e-6)


def test_windows_give_all_blocks_in_order(lazy_matrix, dense) -> None:
    x = as_lazy(lazy_matrix)
    blocks = [block for window in windows(x, size=3) for block in window]
    parts = [b.toarray() if hasattr(b, "toarray") else b for b in blocks]
    np.testing.assert_array_equal(np.concatenate(parts), dense)


@pytest.mark.parametrize("rows", [[3, 1, 1, 50, 2], [], list(range(52, -1, -1)), [5]])
def test_gather_from_ordinary_dask_arrays(dense, rows) -> None:
    from lazyomics.lazy import take
    from lazyomics.lazy.indexer import positions

    for x in (da.from_array(dense, chunks=(9, 5)), as_lazy(dense) * 2 / 2):
        chosen = take(x, positions(rows, 53), positions(slice(1, 9), 17))
        expected = dense[np.asarray(rows, int)][:, 1:9]
        assert chosen.shape == expected.shape
        np.testing.assert_array_equal(materialize(chosen), expected)


class CountingSource(MemorySource):
    """Counts how many rows are asked for."""

    rows_read = 0

    def read(self, rows, cols):
        CountingSource.rows_read += rows.stop - rows.start
        return super().read(rows, cols)


def test_states_and_values_of_one_computation_share_the_blocks(dense) -> None:
    CountingSource.rows_read = 0
    x = from_source(CountingSource(dense), lines_per_block=7)
    state, values, total = compute(
        fold_rows(x, column_sums), collect_rows(x, row_sums, dtype=float), x.sum()
    )
    np.testing.assert_allclose(state.columns, dense.sum(0))
    np.testing.assert_allclose(values, dense.sum(1))
    assert total == dense.sum()
    assert CountingSource.rows_read == len(dense)
