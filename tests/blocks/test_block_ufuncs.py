from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import sparse
from hypothesis import given
from hypothesis import strategies as st

from lazyomics.blocks.block import CSCBlock, CSRBlock, SparseBlock
from tests.blocks.block_cases import (
    DTYPES,
    FORMATS,
    SHAPES,
    assert_like_numpy,
    assert_same,
    block_pairs,
    quietly,
    random_dense,
    untidy,
)

KEEP_ZERO: dict[str, Any] = {
    "sqrt": np.sqrt,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "abs": abs,
    "sign": np.sign,
    "rint": np.rint,
    "square": np.square,
    "negative": np.negative,
    "isnan": np.isnan,
    "sin": np.sin,
    "log1p to f8": lambda x: np.log1p(x, dtype=np.float64),
    "round": lambda x: np.round(x, 1),
    "round method": lambda x: x.round(1),
    "clip": lambda x: np.clip(x, 0, 3),
    "clip method": lambda x: x.clip(0, 1),
    "clip below": lambda x: np.clip(x, None, 2),
    "nan_to_num": np.nan_to_num,
    "astype f4": lambda x: x.astype(np.float32),
    "astype i8": lambda x: x.astype(np.int64),
    "astype bool": lambda x: x.astype(bool),
    "times 3": lambda x: x * 3,
    "times 2.5": lambda x: 2.5 * x,
    "times f8": lambda x: x * np.float64(1.5),
    "times 1x1": lambda x: x * np.array([[2.0]]),
    "by 4": lambda x: x / 4,
    "floor by 2": lambda x: x // 2,
    "floor by 0": lambda x: x // 0 if x.dtype.kind in "iu" else x // 1,
    "remainder": lambda x: x % 3,
    "squared": lambda x: x**2,
    "power": lambda x: np.power(x, 3),
    "above 0": lambda x: x > 0,
    "at least 1": lambda x: x >= 1,
    "below -1": lambda x: x < -1.0,
    "equal 3": lambda x: x == 3,
    "not 0": lambda x: x != 0,
    "2 below": lambda x: 2 < x,  # noqa: SIM300
    "maximum": lambda x: np.maximum(x, 0),
    "minimum": lambda x: np.minimum(2, x),
    "plus 0": lambda x: x + 0,
}
FILL_ZERO: dict[str, Any] = {
    "exp": np.exp,
    "cos": np.cos,
    "plus 1": lambda x: x + 1,
    "from 1": lambda x: 1 - x,
    "above -1": lambda x: x > -1.0,
    "equal 0": lambda x: x == 0,
    "at least 0": lambda x: x >= 0,
    "by 0": lambda x: x / 0,
    "under 1": lambda x: 1 / x,
    "power 0": lambda x: x**0,
    "to the power": lambda x: 2.0**x,
    "maximum 1": lambda x: np.maximum(x, 1),
    "clip 1": lambda x: np.clip(x, 1, 3),
    "logical_not": np.logical_not,
    "row": lambda x: x - np.arange(x.shape[1]),
    "row above": lambda x: x > np.arange(x.shape[1])[None],
    "column": lambda x: x + np.arange(x.shape[0])[:, None],
    "matrix": lambda x: x - np.ones(x.shape),
    "times 3d": lambda x: x * np.ones((2, 1, 1)),
    "modf": lambda x: np.modf(x)[1],
    "where": lambda x: np.where(x > 1, x, 5),
    "isclose": lambda x: np.isclose(x, 3),
    "outer": lambda x: np.multiply.outer(x, np.arange(2)),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*KEEP_ZERO, *FILL_ZERO])
def test_elementwise_equals_numpy(name: str, dtype: str, kind: type[SparseBlock]) -> None:
    function = (KEEP_ZERO | FILL_ZERO)[name]
    for seed, shape in enumerate(SHAPES):
        dense = random_dense(shape, dtype, seed, special=True)
        result = assert_like_numpy(function, untidy(dense, kind), dense)
        if not isinstance(result, Exception):
            assert isinstance(result, kind if name in KEEP_ZERO else np.ndarray)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("operation", [np.multiply, np.divide, np.floor_divide])
@pytest.mark.parametrize("vector", ["row", "flat", "column", "matrix"])
def test_scaling_gives_a_block_also_beside_zero_and_infinity(
    vector: str, operation: Any, shape: tuple[int, int], kind: type[SparseBlock]
) -> None:
    n_rows, n_cols = shape
    sizes = {"row": (1, n_cols), "flat": (n_cols,), "column": (n_rows, 1), "matrix": shape}
    for dtype in ["f4", "u2", "?"]:
        for value in (2.0, 0.0, np.inf, np.nan):
            dense = random_dense(shape, dtype, 3, special=True)
            factors = np.arange(1.0, 1 + np.prod(sizes[vector])).reshape(sizes[vector])
            factors.reshape(-1)[-1:] = value
            for scale in (factors, factors.astype("f4")):
                result = assert_like_numpy(
                    lambda x, scale=scale: operation(x, scale), untidy(dense, kind), dense
                )
                assert isinstance(result, kind)


def test_scaling_by_finite_factors_shares_positions() -> None:
    block = CSRBlock(random_dense((6, 4), "f4"))
    for scaled in (
        block * np.arange(4),
        block / np.full((6, 1), 2),
        2 * block,
        np.sqrt(abs(block)),
    ):
        assert scaled.indices is block.indices
        assert scaled.indptr is block.indptr


def test_division_by_the_sum_of_empty_rows_stores_nan_in_them_only() -> None:
    dense = np.array([[1.0, 3, 0], [0, 0, 0]])
    with np.errstate(invalid="ignore"):
        shares = CSRBlock(dense) / dense.sum(1, keepdims=True)
    assert shares.nnz == 2 + 3
    np.testing.assert_array_equal(shares.toarray(), [[0.25, 0.75, 0], [np.nan] * 3])


PAIRS: dict[str, Any] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "greater": np.greater,
    "not_equal": np.not_equal,
    "equal": np.equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "hypot": np.hypot,
    "power": lambda x, y: np.abs(x) ** y,
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(
    "dtypes", [("f4", "f4"), ("f8", "u2"), ("u1", "i4"), ("?", "?"), ("?", "f4")]
)
def test_two_blocks(name: str, dtypes: tuple[str, str], kind: type[SparseBlock]) -> None:
    for shape in SHAPES:
        a, b = (random_dense(shape, d, i, special=True) for i, d in enumerate(dtypes))
        expected = quietly(PAIRS[name], a, b)
        for other in (untidy(b, CSRBlock), untidy(b, CSCBlock), CSRBlock(b)):
            result = quietly(PAIRS[name], untidy(a, kind), other)
            if isinstance(expected, Exception):
                assert type(result) is type(expected)
            else:
                assert_same(result, expected)


def test_two_blocks_with_the_same_positions() -> None:
    dense = random_dense((9, 7), "f4", special=True)
    block = CSRBlock(dense)
    with np.errstate(invalid="ignore"):
        assert_same(block * (block > 1), dense * (dense > 1))
        messy = untidy(dense, CSRBlock)
        assert_same(messy - messy, dense - dense)
    assert (abs(block) + (block > 1)).indices is block.indices


def test_blocks_of_broadcasting_shapes() -> None:
    dense = random_dense((5, 4), "f8")
    block = CSRBlock(dense)
    for part in (np.s_[:1], np.s_[:, :1], np.s_[:1, :1]):
        assert_same(block * CSRBlock(dense[part]), dense * dense[part])
        assert_same(CSRBlock(dense[part]) + block, dense[part] + dense)
    assert_same(CSRBlock(dense[:, :1]) * np.arange(3), dense[:, :1] * np.arange(3))
    with pytest.raises(ValueError, match="broadcast"):
        block * np.arange(3)


def test_other_sparse_types_are_operands() -> None:
    dense = random_dense((5, 4), "f8")
    block = CSRBlock(dense)
    for other in (sp.coo_array(dense), sp.csc_matrix(dense), sparse.COO(dense)):
        assert_same(block + other, dense + dense)


def test_nothing_is_written_into_a_block() -> None:
    dense = random_dense((5, 4), "f8")
    block = CSRBlock(dense)
    alias = block
    alias *= 2
    alias += 1
    assert_same(alias, dense * 2 + 1)
    assert_same(block, dense)
    with pytest.raises(TypeError, match="never written"):
        np.add(block, 1, out=block)
    with pytest.raises(TypeError):
        block[0, 0] = 1
    target = np.empty(dense.shape)
    assert np.multiply(block, 2, out=target) is target
    assert_same(target, dense * 2)


def test_asarray_is_a_request_for_a_dense_array() -> None:
    dense = random_dense((5, 4), "f4")
    block = CSRBlock(dense)
    assert_same(np.asarray(block), dense)
    assert_same(np.array(block, dtype="f8"), dense.astype("f8"))
    with pytest.raises(ValueError, match="copy=False"):
        np.asarray(block, copy=False)


@given(block_pairs(), st.sampled_from([*KEEP_ZERO, *FILL_ZERO]))
def test_any_block_any_function(pair: Any, name: str) -> None:
    block, dense = pair
    assert_like_numpy((KEEP_ZERO | FILL_ZERO)[name], block, dense)


@given(block_pairs(), st.sampled_from(["row", "column"]), st.data())
def test_any_scaling(pair: Any, direction: str, data: Any) -> None:
    block, dense = pair
    n = dense.shape[1 if direction == "row" else 0]
    elements = st.sampled_from([1.0, 2.0, -3.0, 0.0, np.inf, np.nan])
    factors = np.array(data.draw(st.lists(elements, min_size=n, max_size=n)))
    factors = factors[None] if direction == "row" else factors[:, None]
    assert_like_numpy(lambda x: x * factors, block, dense)
    assert_like_numpy(lambda x: x / factors, block, dense)
