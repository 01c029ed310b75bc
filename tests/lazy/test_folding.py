"""Runs of blocks: one task reads several, holds one at a time, and leaves one state."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from typing import Any, Literal

import dask
import numpy as np
import pytest
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.blocks.block import as_block
from lazyomics.errors import ShapeError
from lazyomics.kernels.steps import NormalizeRows
from lazyomics.lazy.recipe import LONGEST_RUN, RUNS_AT_LEAST, run_bounds
from lazyomics.lazy.reduction import BLOCK_BYTES

MATRIX = sp.random(4000, 30, 0.3, format="csr", random_state=0)
alive = {"now": 0, "most": 0}


def forget() -> None:
    alive["now"] -= 1


@dataclass(frozen=True)
class Counted:
    """Stands for a file: gives new blocks, and knows how many of them are still held."""

    grain_bytes: int = 0
    format: Literal["csr"] = "csr"
    shape: tuple[int, int] = MATRIX.shape
    dtype: np.dtype[Any] = MATRIX.dtype

    def stored_per_line(self) -> Any:
        return np.diff(MATRIX.indptr).astype(np.int64)

    def read(self, rows: Any, cols: Any) -> Any:
        block = as_block(MATRIX[rows][:, cols].copy())
        weakref.finalize(block, forget)
        alive["now"] += 1
        alive["most"] = max(alive.values())
        return block

    def read_columns(self, rows: Any, cols: Any) -> Any:
        raise AssertionError


def lazy_matrix(lines: int = 10):
    return lazy.from_source(Counted(), lines_per_block=lines)


def totals_of_run(parts):
    count, total = 0, np.zeros(30)
    for (block,) in parts:
        count += 1
        total += np.asarray(block.sum(axis=0)).ravel()
        del block
    return np.array([1, count, *total])


def test_runs_hold_many_blocks_and_give_one_state_each() -> None:
    (found,) = lazy.compute(lazy.fold_runs(lazy_matrix(), totals_of_run))
    runs, blocks = found[:2]
    assert blocks == 400
    assert runs == len(run_bounds(400)) - 1
    assert RUNS_AT_LEAST / 2 < runs <= 2 * RUNS_AT_LEAST
    np.testing.assert_allclose(found[2:], np.asarray(MATRIX.sum(axis=0)).ravel())


def test_a_worker_holds_one_block_at_a_time() -> None:
    gc.collect()
    alive.update(now=0, most=0)
    with dask.config.set(scheduler="synchronous"):
        lazy.compute(lazy.fold_runs(lazy_matrix(), totals_of_run))
    assert alive["most"] == 1


@pytest.mark.parametrize("n_blocks", [0, 1, 5, 63, 64, 65, 1000, 100_000])
def test_runs_are_neither_few_nor_endless(n_blocks) -> None:
    bounds = run_bounds(n_blocks)
    lengths = np.diff(bounds)
    assert bounds[0] == 0
    assert bounds[-1] == n_blocks
    assert lengths.max() <= LONGEST_RUN
    assert len(lengths) >= min(n_blocks, RUNS_AT_LEAST / 2)


def weighted(block, weights):
    return np.asarray(block.T @ weights).ravel()


def test_row_vectors_are_cut_like_the_blocks() -> None:
    weights = np.arange(MATRIX.shape[0], dtype=float)
    for x in (lazy_matrix(7), lazy.as_lazy(MATRIX)):
        (found,) = lazy.compute(lazy.fold_rows(x, weighted, rows=(weights,)))
        np.testing.assert_allclose(found, MATRIX.T @ weights)
    with pytest.raises(ShapeError, match="3 values for 4000 rows"):
        lazy.fold_rows(lazy_matrix(), weighted, rows=(np.zeros(3),))


def test_steps_and_selections_reach_the_runs() -> None:
    x = lazy.map_rows(lazy_matrix(), NormalizeRows(1.0))[5:3000:3][:, [4, 2]]
    (found,) = lazy.compute(lazy.fold_rows(x, weighted, rows=(np.ones(x.shape[0]),)))
    rows = MATRIX[5:3000:3]
    normalized = sp.diags(1 / np.asarray(rows.sum(axis=1)).ravel()) @ rows
    np.testing.assert_allclose(found, np.asarray(normalized[:, [4, 2]].sum(axis=0)).ravel())


@dataclass
class Sum:
    """A state that adds in place where it may."""

    value: float
    frozen: bool = False

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.value + other.value, frozen=True)

    def __iadd__(self, other: Sum) -> Sum:
        assert not self.frozen
        self.value += other.value
        return self


def total(block) -> Sum:
    return Sum(float(block.data.sum()))


def test_states_add_in_place_inside_of_a_run_only() -> None:
    (found,) = lazy.compute(lazy.fold_rows(lazy_matrix(), total))
    assert found.frozen
    assert found.value == pytest.approx(MATRIX.sum())


def test_small_blocks_unless_they_would_share_large_chunks() -> None:
    def blocks(grain: int) -> int:
        x = lazy.from_source(Counted(grain_bytes=grain), target_bytes=64 << 10)
        (found,) = lazy.compute(lazy.fold_runs(x, totals_of_run))
        return int(found[1])

    assert BLOCK_BYTES > 64 << 10  # never larger than the blocks of the matrix itself
    assert (
        blocks(0)
        == blocks(1 << 20)
        == lazy.from_source(Counted(), target_bytes=64 << 10).npartitions
    )


def test_an_empty_matrix_has_a_state() -> None:
    (found,) = lazy.compute(lazy.fold_runs(lazy_matrix()[:0], totals_of_run))
    assert found[1] == 1
    assert not found[2:].any()
