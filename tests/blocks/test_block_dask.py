"""Every operation on a dask array of blocks gives what numpy gives, without warnings."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from lazyomics.blocks.block import CSCBlock, CSRBlock, SparseBlock
from lazyomics.blocks.reduce import ElementCount, count_elements
from tests.blocks.block_cases import FORMATS, assert_same, random_dense, untidy

N, M = 23, 11
ROWS = [5, 0, 0, 22, -1, 7]
COLS = [10, 3, 3, -2]
ROW_MASK = np.random.default_rng(1).random(N) > 0.5
COL_MASK = np.random.default_rng(2).random(M) > 0.5
PER_ROW = np.arange(1.0, N + 1)
PER_COL = np.arange(1.0, M + 1).astype("f4")

LAYOUTS: dict[str, tuple[Any, Any, type[SparseBlock]]] = {
    "rows": ((9, 1, 0, 13), (M,), CSRBlock),
    "rows and columns": ((10, 13), (4, 1, 6), CSRBlock),
    "columns": ((N,), (5, 4, 2), CSCBlock),
    "one": ((N,), (M,), CSRBlock),
}


def lazy(dense: Any, layout: str) -> Any:
    """A dask array of untidy blocks."""
    rows, cols, kind = LAYOUTS[layout]
    x = da.from_array(dense, chunks=(rows, cols))
    meta = kind(shape=(0, 0), dtype=dense.dtype)
    return x.map_blocks(untidy, kind=kind, dtype=dense.dtype, meta=meta)


def both(function_name: str, **options: Any) -> Any:
    """The function of that name, of dask for dask arrays and of numpy for the others."""

    def call(x: Any) -> Any:
        module = da if isinstance(x, da.Array) else np
        return getattr(module, function_name)(x, **options)

    return call


SPARSE: dict[str, Any] = {
    "as it is": lambda x: x,
    "log1p": lambda x: np.log1p(abs(x)),
    "sqrt": lambda x: np.sqrt(abs(x)),
    "abs": abs,
    "negative": lambda x: -x,
    "times 2": lambda x: x * 2,
    "by column": lambda x: x * PER_ROW[:, None],
    "by row": lambda x: x / PER_COL,
    "share": lambda x: x / (1 + abs(x).sum(axis=1, keepdims=True)),
    "share of column": lambda x: x / (1 + abs(x).sum(axis=0)),
    "above 0": lambda x: x > 0,
    "not 0": lambda x: x != 0,
    "masked": lambda x: x * (x > 2),
    "sum of two": lambda x: x + x,
    "difference of two": lambda x: np.sqrt(abs(x)) - x,
    "astype": lambda x: x.astype("f8"),
    "round": lambda x: x.round(2),
    "clip": lambda x: x.clip(0, 1),
    "clip function": lambda x: np.clip(x, 0, 2),
    "square": lambda x: x**2,
    "maximum": lambda x: np.maximum(x, 0),
    "nan_to_num": both("nan_to_num"),
    "slice": lambda x: x[3:20:2],
    "backwards": lambda x: x[::-1, ::-1],
    "rows": lambda x: x[ROWS],
    "columns": lambda x: x[:, COLS],
    "rows then columns": lambda x: x[ROWS][:, COLS],
    "rows and slice": lambda x: x[ROWS, 2:9],
    "row mask": lambda x: x[ROW_MASK],
    "column mask": lambda x: x[:, COL_MASK],
    "masks": lambda x: x[ROW_MASK][:, COL_MASK],
    "no rows": lambda x: x[[]],
    "empty slice": lambda x: x[5:5],
    "T": lambda x: x.T,
    "T T": lambda x: x.T.T[ROWS],
    "take": lambda x: both("take", indices=ROWS, axis=0)(x),
}
DENSE: dict[str, Any] = {
    "plus 1": lambda x: x + 1,
    "minus column means": lambda x: x - x.mean(axis=0),
    "minus row": lambda x: x - PER_COL,
    "scaled": lambda x: (x - x.mean(0)) / (x.std(0) + 1),
    "exp": np.exp,
    "equal 0": lambda x: x == 0,
    "not": lambda x: ~(x > 0),
    "row": lambda x: x[4],
    "column": lambda x: x[:, 3],
    "value": lambda x: x[4, 5],
    "new axis": lambda x: x[:, None],
    "where": lambda x: (da if isinstance(x, da.Array) else np).where(x > 1, x, 5),
    "ravel": lambda x: x.ravel(),
    "isclose": lambda x: (da if isinstance(x, da.Array) else np).isclose(x, 3),
    "matrix product": lambda x: x @ np.ones((M, 3), "f4"),
    "vector product": lambda x: x @ PER_COL,
    "product from the left": lambda x: np.ones((2, N), "f4") @ x,
    "gram": lambda x: x.T @ x,
    "outer gram": lambda x: x @ x.T,
    "transposed product": lambda x: x.T @ np.ones((N, 2)),
    "dot": lambda x: x.dot(np.ones((M, 2))),
    "dot gram": lambda x: x.T.dot(x),
    "tensordot": lambda x: (da if isinstance(x, da.Array) else np).tensordot(x, x, axes=(0, 0)),
    "covariance": lambda x: (x - x.mean(0)).T @ (x - x.mean(0)) / (N - 1),
    "median": lambda x: (da if isinstance(x, da.Array) else np).median(x, axis=0),
    "isin": lambda x: (da if isinstance(x, da.Array) else np).isin(x, [0, 3]),
}


def check(function: Any, dense: Any, x: Any) -> tuple[Any, Any]:
    """Compare with numpy; in its types of integer sums dask differs, with numpy blocks, too."""
    expected = function(dense)
    in_dask = function(da.from_array(dense, chunks=x.chunks))
    result = function(x)
    assert isinstance(result, da.Array)
    assert result.shape == np.shape(expected)
    assert result.dtype == in_dask.dtype
    computed = result.compute(scheduler="sync")
    assert_same(computed, np.asarray(expected).astype(in_dask.dtype))
    assert not isinstance(computed, ElementCount)
    return result, computed


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f4", "u2"])
@pytest.mark.parametrize("name", SPARSE)
def test_results_that_are_blocks(name: str, dtype: str, layout: str) -> None:
    dense = random_dense((N, M), dtype)
    result, computed = check(SPARSE[name], dense, lazy(dense, layout))
    assert isinstance(result._meta, SparseBlock)
    assert isinstance(computed, SparseBlock)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f4", "u2"])
@pytest.mark.parametrize("name", DENSE)
def test_results_that_are_dense(name: str, dtype: str, layout: str) -> None:
    if name == "scaled" and layout == "rows" and Version(dask.__version__) < Version("2025.10"):
        pytest.skip("this dask gives NaN for the deviation of blocks without rows, numpy's too")
    dense = random_dense((N, M), dtype)
    result, _ = check(DENSE[name], dense, lazy(dense, layout))
    assert isinstance(result._meta, np.ndarray)


REDUCTIONS: dict[str, Any] = {
    **{
        name: lambda x, _name=name, **o: getattr(x, _name)(**o)
        for name in ("sum", "mean", "var", "std", "max", "min", "any", "all", "prod")
    },
    "var ddof": lambda x, **o: x.var(ddof=1, **o),
    "sum f8": lambda x, **o: x.sum(dtype="f8", **o),
    "above 0 sum": lambda x, **o: (x > 0).sum(**o),
    "above 0 mean": lambda x, **o: (x > 0).mean(**o),
    "log1p mean": lambda x, **o: np.log1p(abs(x)).mean(**o),
    "max of rows": lambda x, **o: x[ROWS].max(**o),
    "nansum": lambda x, **o: both("nansum", **o)(x),
    "nanmean": lambda x, **o: both("nanmean", **o)(x),
    "nanvar": lambda x, **o: both("nanvar", **o)(x),
    "nanmax": lambda x, **o: both("nanmax", **o)(x),
    "function mean": lambda x, **o: np.mean(x, **o),
}
# What dask makes of chunks without rows by these is not numpy's result for numpy blocks either.
EMPTY_CHUNKS_FAIL = ("max", "min", "nanmax", "var", "var ddof", "std")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f4", "i4"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name: str, dtype: str, layout: str) -> None:
    dense = random_dense((N, M), dtype)
    if name == "prod":
        dense = (dense > 0).astype(dtype)
    if 0 in LAYOUTS[layout][0] and name in EMPTY_CHUNKS_FAIL:
        layout = "rows and columns"
    function = REDUCTIONS[name]
    for axis in (None, 0, 1, -1, (0, 1)):
        for keepdims in (False, True):
            result, _ = check(
                partial(function, axis=axis, keepdims=keepdims), dense, lazy(dense, layout)
            )
            assert isinstance(result._meta, np.ndarray)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f4", "i4", "u1"])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions_of_extremes(name: str, dtype: str, layout: str) -> None:
    dense = random_dense((N, M), dtype)
    x = lazy(dense, "one" if layout == "rows" else layout)
    for axis in (0, 1, -1):
        for keepdims in (False, True):
            check(both(name, axis=axis, keepdims=keepdims), dense, x)
    # Among equal values in several chunks, dask takes the first chunk's, not the first row's.
    in_dask = both(name)(da.from_array(dense, chunks=x.chunks))
    assert both(name)(x).compute() == in_dask.compute()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_count_nonzero(layout: str) -> None:
    dense = random_dense((N, M), "f4")
    for axis in (None, 0, 1):
        check(both("count_nonzero", axis=axis), dense, lazy(dense, layout))


@pytest.mark.parametrize("layout", ["rows and columns", "columns", "one"])
def test_cumulative_sums(layout: str) -> None:
    dense = random_dense((N, M), "f4")
    x = lazy(dense, layout)
    assert_same(x.cumsum(axis=0).compute(), dense.cumsum(axis=0))
    assert_same(x.cumsum(axis=1).compute(), dense.cumsum(axis=1))


@pytest.mark.parametrize("kind", FORMATS)
def test_variance_is_sparse_and_stable(kind: type[SparseBlock], monkeypatch: Any) -> None:
    dense = (1e4 + np.random.default_rng(0).normal(size=(N, M))).astype("f4")
    x = lazy(dense, "columns" if kind is CSCBlock else "rows and columns")
    for axis in (0, 1, None):
        expected = dense.astype("f8").var(axis)
        variance, deviation = x.var(axis), x.std(axis)
        moment = da.reductions.moment(x, 4, axis=axis)
        monkeypatch.setattr(SparseBlock, "toarray", None)  # nothing may become dense
        np.testing.assert_allclose(variance.compute(), expected, rtol=2e-3)
        np.testing.assert_allclose(deviation.compute(), np.sqrt(expected), rtol=2e-3)
        deviations = dense.astype("f8") - dense.astype("f8").mean(axis, keepdims=True)
        np.testing.assert_allclose(moment.compute(), (deviations**4).mean(axis), rtol=5e-3)
        monkeypatch.undo()


def test_reductions_of_arrays_without_rows() -> None:
    x = lazy(random_dense((N, M), "f4"), "one")[:0]
    assert_same(x.sum(0).compute(), np.zeros(M, "f4"))
    assert_same(x.any(1).compute(), np.zeros(0, bool))
    assert_same(np.log1p(x).compute(), np.zeros((0, M), "f4"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_joining_and_rechunking(layout: str) -> None:
    dense = random_dense((N, M), "f4")
    x = lazy(dense, layout)
    for joined, expected in [
        (da.concatenate([x, x]), np.concatenate([dense, dense])),
        (da.concatenate([x, x * 2], axis=1), np.concatenate([dense, dense * 2], axis=1)),
        (da.vstack([x, x]), np.vstack([dense, dense])),
        (da.hstack([x, x]), np.hstack([dense, dense])),
        (x.rechunk((5, 3)), dense),
        (x.rechunk((N, M)), dense),
        (x.rechunk((4, -1))[ROWS], dense[ROWS]),
        (x.persist(), dense),
        (x.map_blocks(lambda b: b * 2, dtype="f4"), dense * 2),
    ]:
        assert isinstance(joined._meta, SparseBlock)
        assert isinstance(joined.compute(), SparseBlock)
        assert_same(joined.compute(), expected)
    mixed = da.concatenate([x, da.from_array(dense)])
    assert_same(mixed.compute(), np.concatenate([dense, dense]))
    assert_same(da.stack([x, x]).compute(), np.stack([dense, dense]))
    assert_same(np.asarray(x), dense)
    assert_same(x.to_backend("numpy").compute(), dense)


def test_the_computed_block_is_a_copy() -> None:
    block = CSRBlock(random_dense((N, M), "f4"))
    x = da.from_array(block, chunks=-1)
    assert isinstance(x._meta, CSRBlock)
    result = x.compute()
    assert not np.shares_memory(result.data, block.data)
    assert_same(da.from_array(block, chunks=(5, 4)).compute(), block.toarray())


def test_selection_by_lazy_positions() -> None:
    dense = random_dense((N, M), "f4")
    x = lazy(dense, "rows and columns")
    positions = da.from_array(np.array([4, 0, 21]), chunks=2)
    assert_same(x[positions].compute(), dense[[4, 0, 21]])
    keep = x.sum(axis=1) > 3
    assert_same(x[keep].compute(), dense[dense.sum(1) > 3])
    assert_same(x[x > 2].compute_chunk_sizes().compute(scheduler="sync"), dense[dense > 2])


def test_tokens_of_blocks_are_deterministic() -> None:
    block = CSRBlock(random_dense((N, M), "f4"))
    with dask.config.set({"tokenize.ensure-deterministic": True}):
        assert dask.base.tokenize(block) == dask.base.tokenize(block.copy())


def test_element_count_leaves_no_trace() -> None:
    block = CSRBlock(random_dense((6, 4), "f4"))
    count = count_elements(block, (0,), keepdims=True)
    assert isinstance(np.ones(4) / count, ElementCount)
    for other in (count + 1, np.ones(4) * count, count / 2, count.sum(), np.concatenate([count])):
        assert not isinstance(other, ElementCount)
    assert count_elements(block, 1).tolist() == [4] * 6
    assert count_elements(block) == 24
    assert_same(block + np.asarray(count), block.toarray() + np.full((1, 4), 6.0))
    assert_same(block * count, block.toarray() * np.full((1, 4), 6.0))


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_any_chunking(data: Any) -> None:
    dense = random_dense((N, M), data.draw(st.sampled_from(["f4", "i4"])), 5)
    kind = data.draw(st.sampled_from(FORMATS))
    cut = st.lists(st.integers(1, 7), min_size=1, max_size=4)
    chunks = tuple(_chunks(data.draw(cut), n) for n in dense.shape)
    meta = kind(shape=(0, 0), dtype=dense.dtype)
    x = da.from_array(dense, chunks=chunks).map_blocks(
        untidy, kind=kind, dtype=dense.dtype, meta=meta
    )
    options = {
        "axis": data.draw(st.sampled_from([None, 0, 1])),
        "keepdims": data.draw(st.booleans()),
    }
    reductions = {name: partial(call, **options) for name, call in REDUCTIONS.items()}
    functions = reductions | SPARSE | DENSE
    name = data.draw(st.sampled_from([name for name in functions if name != "prod"]))
    check(functions[name], dense, x)


def _chunks(sizes: list[int], n: int) -> tuple[int, ...]:
    bounds = sorted({min(b, n) for b in np.cumsum([0, *sizes])} | {n})
    return tuple(int(b) - int(a) for a, b in pairwise(bounds))
