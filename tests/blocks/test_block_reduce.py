from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyomics.blocks.block import CSRBlock, SparseBlock
from tests.blocks.block_cases import (
    FORMATS,
    SHAPES,
    assert_like_numpy,
    assert_same,
    block_pairs,
    random_dense,
    untidy,
)

REDUCTIONS: dict[str, Any] = {
    "sum": np.sum,
    "mean": np.mean,
    "var": np.var,
    "var ddof": lambda x, **o: np.var(x, ddof=1, **o),
    "std": np.std,
    "max": np.max,
    "min": np.min,
    "any": np.any,
    "all": np.all,
    "prod": np.prod,
    "nansum": np.nansum,
    "count_nonzero": np.count_nonzero,
    "argmax": np.argmax,
    "argmin": np.argmin,
    "method": lambda x, **o: x.sum(**o),
    "method max": lambda x, **o: x.max(**o),
    "method var": lambda x, **o: x.var(ddof=0, **o),
    "add.reduce": lambda x, axis=None, **o: np.add.reduce(x, axis, **o),
    "maximum.reduce": lambda x, axis=None, **o: np.maximum.reduce(x, axis, **o),
    "logical_or.reduce": lambda x, axis=None, **o: np.logical_or.reduce(x, axis, **o),
    "hypot.reduce": lambda x, axis=None, **o: np.hypot.reduce(x, axis or 0, **o),
    "sum f8": lambda x, **o: np.sum(x, dtype="f8", **o),
    "sum f4": lambda x, **o: np.sum(x, dtype="f4", **o),
    "sum bool": lambda x, **o: np.sum(x, dtype=bool, **o),
    "mean f8": lambda x, **o: np.mean(x, dtype="f8", **o),
    "max where": lambda x, **o: np.max(x, initial=1, **o),
    "amin": np.amin,
}
AXES: list[Any] = [None, 0, 1, -1, (0, 1), (1,), ()]


def reduced(name: str, axis: Any, keepdims: bool) -> Any:
    return lambda x: REDUCTIONS[name](x, axis=axis, keepdims=keepdims)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1", "?", "f2", "c16"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_equals_numpy(name: str, dtype: str, kind: type[SparseBlock]) -> None:
    for seed, shape in enumerate(SHAPES):
        for special in (False, True):
            dense = random_dense(shape, dtype, seed, special)
            block = untidy(dense, kind) if dtype != "c16" else kind(dense)
            for axis in AXES:
                if isinstance(axis, tuple) and ("arg" in name or "hypot" in name):
                    continue
                for keepdims in (False, True):
                    result = assert_like_numpy(reduced(name, axis, keepdims), block, dense)
                    assert not isinstance(result, SparseBlock)


@pytest.mark.parametrize("kind", FORMATS)
def test_sums_and_means_of_small_types_do_not_lose_digits(kind: type[SparseBlock]) -> None:
    dense = np.full((1000, 3), 200, np.uint8)
    assert_same(kind(dense).sum(0), np.full(3, 200_000, np.uint64))
    large = np.full((100_000, 2), 0.1, np.float32)
    block = kind(large)
    for result in (block.sum(0), block.T.sum(1)):
        np.testing.assert_array_equal(result, large.sum(0, dtype="f8").astype("f4"))
    assert block.mean().dtype == np.float32
    assert block.mean() == np.float32(0.1)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("axis", [0, 1, None])
def test_variance_far_from_zero_is_stable(axis: int | None, kind: type[SparseBlock]) -> None:
    dense = (1e4 + np.random.default_rng(0).normal(size=(500, 40))).astype(np.float32)
    block = kind(dense)
    np.testing.assert_allclose(block.var(axis), dense.astype("f8").var(axis), rtol=1e-6)
    np.testing.assert_allclose(block.std(axis, ddof=1), dense.astype("f8").std(axis, ddof=1), 1e-6)


def test_more_values_than_one_panel() -> None:
    dense = np.zeros((900, 700), np.float32)
    dense[100:] = random_dense((800, 700), "f4")
    dense[400] = 1.5
    for kind in FORMATS:
        for name in ("sum", "mean", "var", "max", "count_nonzero", "argmax"):
            for axis in (0, 1, None):
                assert_like_numpy(reduced(name, axis, False), kind(dense), dense)


@pytest.mark.parametrize("kind", FORMATS)
def test_first_position_among_equals(kind: type[SparseBlock]) -> None:
    rows = [[0, 0, 0], [-1, 0, 0], [-1, -1, 0], [0, -1, 2], [2, 2, 0], [-1, -2, -1]]
    dense = np.array([*rows, [0, np.nan, np.nan], [np.nan, 5, 0]])
    for axis in (0, 1, None):
        for function in (np.argmax, np.argmin):
            for values in (dense, dense[:6], dense[:1]):
                for block in (kind(values), untidy(values, kind)):
                    assert_like_numpy(lambda x, f=function, a=axis: f(x, axis=a), block, values)


def test_out_receives_the_result() -> None:
    dense = random_dense((6, 4), "f4")
    out = np.empty(4, "f4")
    assert CSRBlock(dense).sum(0, out=out) is out
    assert_same(out, dense.sum(0))


def test_empty_slices_warn_as_numpy_does() -> None:
    block = CSRBlock(shape=(0, 3), dtype="f4")
    with pytest.warns(RuntimeWarning, match="Mean of empty slice"):
        assert np.isnan(block.mean(0)).all()
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        assert np.isnan(block.var(0)).all()
    with pytest.raises(np.exceptions.AxisError):
        block.sum(2)


@given(block_pairs(), st.sampled_from(list(REDUCTIONS)), st.sampled_from(AXES), st.booleans())
def test_any_reduction(pair: Any, name: str, axis: Any, keepdims: bool) -> None:
    block, dense = pair
    if not isinstance(axis, tuple):
        assert_like_numpy(reduced(name, axis, keepdims), block, dense)
