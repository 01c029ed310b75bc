"""Blocks to test with: of every type, tidy and untidy, and how to compare them with numpy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lazyomics.blocks.block import CSCBlock, CSRBlock, SparseBlock

FORMATS = [CSRBlock, CSCBlock]
DTYPES = ["f4", "f8", "i4", "i8", "u2", "u1", "?"]
SHAPES = [(7, 5), (1, 6), (6, 1), (1, 1), (0, 4), (4, 0), (0, 0), (23, 11)]


def random_dense(shape: tuple[int, int], dtype: Any, seed: int = 0, special: bool = False) -> Any:
    """About a third of the values are not zero; one row and one column are empty, one is full."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    low = 0 if dtype.kind in "ub" else -4
    dense = rng.integers(low, 9, shape).astype(dtype)
    if dtype.kind == "f":
        dense += rng.random(shape).astype(dtype)
    dense[rng.random(shape) > 0.35] = 0
    if shape[0] > 3 and shape[1] > 3:
        dense[1] = 0
        dense[:, 2] = 0
        dense[3, :] = 3
    if special and dtype.kind == "f" and dense.size > 8:
        places = rng.choice(dense.size, 4, replace=False)
        dense.reshape(-1)[places] = [np.nan, np.inf, -np.inf, np.nan]
    return dense


def untidy(dense: Any, kind: type[SparseBlock], seed: int = 0) -> Any:
    """The array as a block with unsorted positions, values stored in two parts, and zeros."""
    rng = np.random.default_rng(seed)
    lines = dense if kind.major == 0 else dense.T
    data, indices, indptr = [], [], [0]
    for line in lines:
        stored = []
        for j, value in enumerate(line):
            if value == 0:
                stored += [(j, value)] if rng.random() < 0.2 else []
            elif rng.random() < 0.3:
                stored += [(j, part) for part in in_two_parts(value)]
            else:
                stored.append((j, value))
        rng.shuffle(stored)
        indices += [j for j, _ in stored]
        data += [value for _, value in stored]
        indptr.append(len(data))
    values = np.array(data, dense.dtype)
    index = (np.array(indices, np.int32), np.array(indptr, np.int32))
    return kind.from_arrays(values, *index, dense.shape)


def in_two_parts(value: Any) -> tuple[Any, Any]:
    if value.dtype.kind == "f":
        return value / 2, value / 2
    if value.dtype == bool:
        return value, value
    return value - value.dtype.type(1), value.dtype.type(1)


def as_dense(result: Any) -> Any:
    return result.toarray() if isinstance(result, SparseBlock) else np.asarray(result)


def assert_same(actual: Any, expected: Any) -> None:
    """Same shape, dtype and values (floating ones up to rounding)."""
    assert np.shape(actual) == np.shape(expected)
    expected = np.asarray(expected)
    if isinstance(actual, int):  # numpy before 2.3 counts in Python's int
        actual = np.asarray(actual)
    assert actual.dtype == expected.dtype
    found = as_dense(actual)
    if expected.dtype.kind == "f":
        tolerance = {2: 2e-3, 4: 2e-5}.get(expected.dtype.itemsize, 1e-10)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(found, expected)


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """Call without numpy's warnings about the values; an error is returned instead of raised."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            return function(*args)
        except (ValueError, TypeError, IndexError, ZeroDivisionError) as error:
            return error


def assert_like_numpy(function: Callable[..., Any], block: Any, dense: Any) -> Any:
    """``function`` gives for the block what it gives for the array, and changes no input."""
    before = [block.data.copy(), block.indices.copy(), block.indptr.copy()]
    actual, expected = quietly(function, block), quietly(function, dense)
    if isinstance(expected, Exception):
        assert type(actual) is type(expected), f"{actual!r} instead of {expected!r}"
    elif isinstance(actual, Exception):
        raise actual
    else:
        assert_same(actual, expected)
    for array, copy in zip((block.data, block.indices, block.indptr), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    return actual


@st.composite
def dense_arrays(draw: Any, dtypes: Any = ("f4", "f8", "i4", "u2", "?"), max_side: int = 6) -> Any:
    """Small arrays, mostly zero, with NaN and infinity among floating values."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=max_side))
    if dtype.kind == "f":
        values: Any = st.sampled_from([0, 0, 0, 1, -1, 2.5, 7, -0.5, np.nan, np.inf, -np.inf])
    elif dtype.kind == "b":
        values = st.sampled_from([False, False, True])
    else:
        values = st.sampled_from([0, 0, 0, 1, 2, 7, 200])
    return draw(hnp.arrays(dtype, shape, elements=values, fill=st.nothing()))


@st.composite
def block_pairs(draw: Any, **options: Any) -> Any:
    """An untidy block and the array that it stands for."""
    dense = draw(dense_arrays(**options))
    kind = draw(st.sampled_from(FORMATS))
    return untidy(dense, kind, draw(st.integers(0, 99))), dense
