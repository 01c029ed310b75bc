from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyomics.blocks.block import CSCBlock, CSRBlock, SparseBlock
from tests.blocks.block_cases import (
    DTYPES,
    FORMATS,
    assert_like_numpy,
    assert_same,
    block_pairs,
    random_dense,
    untidy,
)

ROWS = np.array([5, 0, 0, -1])
MASK = np.array([True, False, True, True, False, False, True])
KEYS: dict[str, Any] = {
    "slice": np.s_[1:4],
    "empty slice": np.s_[4:1],
    "beyond": np.s_[3:100],
    "stepped": np.s_[::2, 1::2],
    "backwards": np.s_[::-1, ::-2],
    "negative slice": np.s_[-3:, :-2],
    "columns": np.s_[:, 1:3],
    "all": np.s_[:, :],
    "no key": (),
    "dots": ...,
    "dots columns": np.s_[..., 1:],
    "rows dots": np.s_[1:3, ...],
    "array": ROWS,
    "list": [3, 1, -7],
    "empty list": [],
    "range": np.s_[range(2, 4)],
    "unsigned": np.array([1, 4], np.uint8),
    "column array": np.s_[:, [4, 0, -2, 0]],
    "empty columns": np.s_[:, []],
    "both by slice": np.s_[ROWS, 1:],
    "slice by both": np.s_[::-1, [3, 3, 0]],
    "many rows": np.s_[[0, 3] * 9, 1:3],
    "mask": MASK,
    "mask list": MASK.tolist(),
    "mask columns": np.s_[:, MASK[:5]],
    "mask both": np.s_[MASK, ::2],
    "no rows": np.zeros(7, bool),
    "outer": np.ix_(ROWS, [2, 0]),
    "outer mask": np.ix_(MASK, [2, 0]),
}
DENSE_KEYS: dict[str, Any] = {
    "row": 2,
    "last row": -1,
    "numpy integer": np.int64(3),
    "array of no dimension": np.array(3),
    "row and slice": np.s_[3, 1:3],
    "row and list": np.s_[3, [1, 0]],
    "row and mask": np.s_[3, MASK[:5]],
    "column": np.s_[:, 2],
    "column backwards": np.s_[::-1, -1],
    "rows of column": np.s_[ROWS, 3],
    "value": (3, 4),
    "points": np.s_[ROWS, [1, 2, 3, 4]],
    "points broadcast": np.s_[ROWS, [1]],
    "no points": np.s_[[], []],
    "masked rows as points": np.s_[MASK, [1, 2, 3, 0]],
    "new axis": np.s_[:, None],
    "new axis last": np.s_[..., None],
    "new axis and row": np.s_[None, 2],
    "new axis between": np.s_[ROWS, None, 1:],
    "rows in two dimensions": np.array([[0, 1], [2, 3]]),
    "points in two dimensions": np.s_[np.array([[0, 1], [2, 3]]), np.array([[0], [1]])],
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*KEYS, *DENSE_KEYS])
def test_selection_equals_numpy(name: str, dtype: str, kind: type[SparseBlock]) -> None:
    key = (KEYS | DENSE_KEYS)[name]
    dense = random_dense((7, 5), dtype, special=True)
    for block in (kind(dense), untidy(dense, kind)):
        result = assert_like_numpy(lambda x: x[key], block, dense)
        assert isinstance(result, kind) == (name in KEYS)


@pytest.mark.parametrize("kind", FORMATS)
def test_float16_is_selected_too(kind: type[SparseBlock]) -> None:
    dense = random_dense((7, 5), "f2")
    for key in (KEYS | DENSE_KEYS).values():
        assert_like_numpy(lambda x, key=key: x[key], untidy(dense, kind), dense)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)])
def test_empty_blocks_are_selected(shape: tuple[int, int], kind: type[SparseBlock]) -> None:
    dense = np.zeros(shape, "f4")
    for key in (np.s_[:0], np.s_[:, :0], [], np.s_[:, ::-1], np.zeros(shape[0], bool), np.s_[::2]):
        assert_like_numpy(lambda x, key=key: x[key], kind(dense), dense)


@pytest.mark.parametrize("kind", FORMATS)
def test_mask_of_the_whole_shape(kind: type[SparseBlock]) -> None:
    dense = random_dense((7, 5), "f4")
    block = untidy(dense, kind)
    assert_same(block[dense > 2], dense[dense > 2])
    assert_same(block[block > 2], dense[dense > 2])
    with pytest.raises(IndexError, match="mask of that shape"):
        block[block]


@pytest.mark.parametrize(
    "key",
    [7, -8, np.s_[:, 5], [0, 7], np.s_[:, [-6]], np.ones(6, bool), [1.5], "a", np.s_[0, 0, 0],
     np.s_[..., 0, ...], np.s_[[0, 1, 2], [0, 1]], np.s_[:, np.ones(7, bool)]],
)  # fmt: skip
def test_wrong_keys_raise_index_error(key: Any) -> None:
    with pytest.raises((IndexError, TypeError)):
        CSRBlock(random_dense((7, 5), "f4"))[key]


def test_large_runs_share_memory_and_small_ones_do_not() -> None:
    block = CSRBlock(random_dense((100, 5), "f4"))
    assert np.shares_memory(block[10:].data, block.data)
    assert not np.shares_memory(block[:10].data, block.data)
    columns = block.T
    assert np.shares_memory(columns[:, 10:].indices, block.indices)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_known_of_the_order_stays_true(kind: type[SparseBlock]) -> None:
    dense = random_dense((9, 8), "f4")
    block = kind(dense).canonical()
    for key in (np.s_[2:7], np.s_[:, 1:6], np.s_[:, ::-1], np.s_[::-1], np.s_[:, [5, 1, 1]],
                np.s_[[4, 4, 0]], np.s_[:, [0, 3, 7]], np.s_[::-2, ::-3]):  # fmt: skip
        part = block[key]
        if part._order == "canonical":
            assert part.to_scipy().has_canonical_format
        assert part.canonical().to_scipy().has_canonical_format
        assert part._order is not None
        assert_same(part.canonical(), dense[key])


@given(block_pairs(), st.data())
def test_any_selection(pair: Any, data: Any) -> None:
    block, dense = pair

    def selector(n: int) -> Any:
        positions = st.lists(st.integers(-n, n - 1), max_size=2 * n) if n else st.just([])
        masks = st.lists(st.booleans(), min_size=n, max_size=n).map(lambda m: np.array(m, bool))
        return data.draw(st.one_of(st.slices(n), positions, masks))

    rows, cols = selector(dense.shape[0]), selector(dense.shape[1])
    assert_like_numpy(lambda x: x[rows][:, cols], block, dense)
    assert_like_numpy(lambda x: x[:, cols][rows], block, dense)
    if isinstance(rows, slice) or isinstance(cols, slice):
        assert_like_numpy(lambda x: x[rows, cols], block, dense)


def test_column_block_of_columns() -> None:
    dense = random_dense((7, 5), "f4")
    assert isinstance(CSCBlock(dense)[:, [0, 1]], CSCBlock)
