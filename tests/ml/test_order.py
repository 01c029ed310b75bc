"""Every row once, in another order each epoch, shared between workers, and found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyomics.ml.order import Order

SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=4).map(tuple).filter(sum)


def taken(order: Order, epoch: int = 0, skip: int = 0) -> list[int]:
    return [int(row) for rows in order.buffers(epoch, skip) for row in rows]


@settings(max_examples=60, deadline=None)
@given(
    sizes=SIZES,
    block=st.integers(1, 30),
    buffer=st.integers(1, 70),
    shards=st.integers(1, 5),
    epoch=st.integers(0, 3),
    shuffle=st.booleans(),
    skip=st.integers(0, 50),
)
def test_shards_share_all_rows(sizes, block, buffer, shards, epoch, shuffle, skip) -> None:
    order = Order(sizes, block, buffer, seed=3, shuffle=shuffle)
    parts = [taken(order.of_shard(k, shards), epoch) for k in range(shards)]
    assert sorted([row for part in parts for row in part]) == list(range(sum(sizes)))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for k, part in enumerate(parts):
        assert taken(order.of_shard(k, shards), epoch, skip) == part[skip:]
    if not shuffle:
        assert taken(order, epoch) == list(range(sum(sizes)))


def test_epochs_and_seeds_differ() -> None:
    orders = [taken(Order((500,), 10, 200, seed), epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert orders[0] == taken(Order((500,), 10, 200, 0), 0)


def test_no_block_holds_rows_of_two_matrices() -> None:
    for rows in Order((25, 25), 10, 10, shuffle=True).of_shard(0, 1).buffers(0):
        assert len(rows) <= 10
    first = next(iter(Order((7, 20), 10, 7, shuffle=False).buffers(0)))
    assert first.tolist() == list(range(7))


def test_rows_are_drawn_by_their_weights() -> None:
    weights = np.repeat([1.0, 3.0, 0.0], 100)
    order = Order((300,), 16, 90, weights=weights)
    counts = np.zeros(300)
    for epoch in range(40):
        rows = taken(order, epoch)
        assert len(rows) == 300
        np.add.at(counts, rows, 1)
    assert counts[200:].sum() == 0
    share = counts[100:200].sum() / counts.sum()
    assert share == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize(("block", "buffer", "most"), [(1, 4000, 1.3), (16, 1000, 3.0)])
def test_batches_of_a_sorted_file_are_mixed(block, buffer, most) -> None:
    """Shares of ten sorted groups of equal size in batches of 100, against independent draws."""
    n, groups, size = 4000, 10, 100
    rows = np.array(taken(Order((n,), block, buffer)))
    labels = rows * groups // n
    batches = labels[: n // size * size].reshape(-1, size)
    counts = np.array([np.bincount(batch, minlength=groups) for batch in batches])
    independent = size * (1 / groups) * (1 - 1 / groups)
    assert counts.var() < most * independent
