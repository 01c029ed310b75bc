from __future__ import annotations

from itertools import pairwise
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
    quietly,
    random_dense,
    untidy,
)

PRODUCTS: dict[str, Any] = {
    "matrix": lambda x: x @ np.ones((x.shape[1], 3), "f4"),
    "vector": lambda x: x @ np.arange(x.shape[1]),
    "matrix on the left": lambda x: np.ones((3, x.shape[0])) @ x,
    "vector on the left": lambda x: np.arange(x.shape[0]) @ x,
    "gram": lambda x: x.T @ x,
    "outer gram": lambda x: x @ x.T,
    "transposed by matrix": lambda x: x.T @ np.ones((x.shape[0], 2)),
    "dot": lambda x: np.dot(x, np.ones(x.shape[1])),
    "dot method": lambda x: x.dot(np.ones((x.shape[1], 2))),
    "dot scalar": lambda x: np.dot(x, 2),
    "matmul": lambda x: np.matmul(x, np.ones((x.shape[1], 2), "f2")),
    "matmul stack": lambda x: np.matmul(x, np.ones((2, x.shape[1], 1))),
    "tensordot": lambda x: np.tensordot(x, np.ones((4, x.shape[1])), axes=((1,), (1,))),
    "tensordot one": lambda x: np.tensordot(x, np.ones((x.shape[0], 2)), axes=(0, 0)),
    "tensordot blocks": lambda x: np.tensordot(x, x, axes=((0,), (0,))),
    "tensordot last": lambda x: np.tensordot(x, np.ones((x.shape[1], 2)), axes=1),
    "tensordot full": lambda x: np.tensordot(x, x, axes=2),
    "einsum": lambda x: np.einsum("ij,ij->i", x, x),
    "not finite": lambda x: x @ np.array([[np.nan, 1], [np.inf, 2]])[np.arange(x.shape[1]) % 2],
    "wrong length": lambda x: x @ np.ones(x.shape[1] + 1),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", [*DTYPES, "f2"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_product_equals_numpy(name: str, dtype: str, kind: type[SparseBlock]) -> None:
    for seed, shape in enumerate([(7, 5), (1, 6), (6, 1), (0, 4), (4, 0), (23, 11)]):
        for special in (False, True):
            dense = random_dense(shape, dtype, seed, special)
            assert_like_numpy(PRODUCTS[name], untidy(dense, kind), dense)


def test_product_of_two_blocks_is_a_block_of_the_left_format() -> None:
    a, b = random_dense((6, 4), "f4", 1), random_dense((4, 5), "f8", 2)
    for left in FORMATS:
        for right in FORMATS:
            product = left(a) @ right(b)
            assert isinstance(product, left)
            assert_same(product, a @ b)


@given(block_pairs(), st.sampled_from(list(PRODUCTS)))
def test_any_product(pair: Any, name: str) -> None:
    block, dense = pair
    assert_like_numpy(PRODUCTS[name], block, dense)


JOINS: dict[str, Any] = {
    "rows": lambda x, y: np.concatenate([x, y]),
    "columns": lambda x, y: np.concatenate([x, y, x], axis=1),
    "last axis": lambda x, y: np.concatenate((x, y), axis=-1),
    "vstack": lambda x, y: np.vstack([x, y]),
    "hstack": lambda x, y: np.hstack([x, y]),
    "stack": lambda x, y: np.stack([x, y], axis=1),
    "flat": lambda x, y: np.concatenate([x, y], axis=None),
    "one": lambda x, y: np.concatenate([x]),
    "third axis": lambda x, y: np.concatenate([x, y], axis=2),
    "unequal": lambda x, y: np.concatenate([x, y[:, :-1]]),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", JOINS)
@pytest.mark.parametrize("dtypes", [("f4", "f4"), ("f4", "i8"), ("u1", "?"), ("f2", "f2")])
def test_join_equals_numpy(name: str, dtypes: tuple[str, str], kind: type[SparseBlock]) -> None:
    join = JOINS[name]
    for shape in [(7, 5), (1, 6), (0, 4), (4, 1)]:
        a, b = (random_dense(shape, dtype, i) for i, dtype in enumerate(dtypes))
        expected = quietly(join, a, b)
        for other in (untidy(b, CSRBlock), untidy(b, CSCBlock), CSRBlock(b).canonical(), b):
            result = quietly(join, untidy(a, kind), other)
            if isinstance(expected, Exception):
                assert isinstance(result, ValueError)
                continue
            assert_same(result, expected)
            dense = name in ("stack", "flat") or (other is b and name != "one")
            assert isinstance(result, np.ndarray if dense else kind)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.sampled_from([0, 1]), st.data())
def test_pieces_join_to_the_whole(sizes: list[int], axis: int, data: Any) -> None:
    kind = data.draw(st.sampled_from(FORMATS))
    shape = (sum(sizes), 4) if axis == 0 else (4, sum(sizes))
    dense = random_dense(shape, "f4", 1)
    block = untidy(dense, kind)
    bounds = np.cumsum([0, *sizes])
    key = [slice(None), slice(None)]
    pieces = []
    for first, last in pairwise(bounds):
        key[axis] = slice(first, last)
        pieces.append(block[tuple(key)])
    assert_same(np.concatenate(pieces, axis), dense)
