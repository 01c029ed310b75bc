"""Rank sums against scipy's ranks, for any values and groups."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import rankdata

from lazyomics.blocks.block import as_block
from lazyomics.errors import ShapeError
from lazyomics.kernels.rank_sums import GeneValues, rank_sums

N, M, GROUPS = 60, 5, 4


def cells(dtype: str, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Values of few kinds, so that there are ties, or of many; and the group of each cell."""
    rng = np.random.default_rng(0)
    if kind == "many":
        x = rng.normal(0, 50, (N, M)) * (rng.random((N, M)) < 0.6)
    else:
        x = rng.integers(-3, 4, (N, M)).astype(float)
    if np.dtype(dtype).kind == "u":
        x = np.abs(x)
    x[:, 0], x[:, 1] = 0, 2
    return x.astype(dtype), rng.integers(-1, GROUPS, N)


def gathered(x: np.ndarray, codes: np.ndarray) -> GeneValues:
    counts = (x[codes >= 0] != 0).sum(axis=0)
    values = GeneValues(counts, x.dtype, GROUPS)
    for part in (slice(0, 20), slice(20, 21), slice(21, N)):
        block = x[part] if part.start else as_block(sp.csr_matrix(x[part]))
        assert values(block, codes[part]) + None is values
    values.check_filled()
    return values


def ties(values: np.ndarray) -> float:
    counts = np.unique(values, return_counts=True)[1].astype(float)
    return float((counts**3 - counts).sum())


@pytest.mark.parametrize("kind", ["few", "many"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int64", "uint32"])
def test_sums_and_ties_are_scipys(dtype, kind):
    x, codes = cells(dtype, kind)
    sizes = np.bincount(codes[codes >= 0], minlength=GROUPS)
    held = gathered(x, codes)
    together = rank_sums(held.values, held.groups, held.start, sizes)
    beside = rank_sums(held.values, held.groups, held.start, sizes, reference=1)
    mine = codes >= 0
    for gene in range(M):
        ranks = rankdata(x[mine, gene])
        assert together.ties[0, gene] == ties(x[mine, gene])
        for group in range(GROUPS):
            assert together.sums[group, gene] == ranks[codes[mine] == group].sum()
            if group != 1:
                pair = np.isin(codes, (group, 1))
                inside = codes[pair] == group
                assert beside.sums[group, gene] == rankdata(x[pair, gene])[inside].sum()
                assert beside.ties[group, gene] == ties(x[pair, gene])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_of_any_sign_is_above_all(dtype):
    x = np.array([[np.inf, -1, 0, np.nan, -np.nan, -np.inf]], dtype).T
    held = gathered_all(x)
    found = rank_sums(held.values, held.groups, held.start, np.ones(6, int))
    assert found.sums[:, 0].tolist() == [4, 2, 3, 5.5, 5.5, 1]


def gathered_all(x: np.ndarray) -> GeneValues:
    values = GeneValues((x != 0).sum(axis=0), x.dtype, len(x))
    return values(x, np.arange(len(x)))


def test_many_groups_take_wider_codes():
    x = np.random.default_rng(1).integers(0, 50, (300, 2)).astype(np.float32)
    held = gathered_all(x)
    assert held.groups.dtype == np.uint16
    found = rank_sums(held.values, held.groups, held.start, np.ones(300, int))
    np.testing.assert_array_equal(found.sums.T, rankdata(x, axis=0).T)


def test_a_matrix_that_changed_is_refused():
    x = np.ones((3, 2), np.float32)
    codes = np.zeros(3, int)
    with pytest.raises(ShapeError, match="more values"):
        GeneValues(np.array([3, 2]), x.dtype, 1)(x, codes)
    with pytest.raises(ShapeError, match="fewer values"):
        GeneValues(np.array([3, 4]), x.dtype, 1)(x, codes).check_filled()
