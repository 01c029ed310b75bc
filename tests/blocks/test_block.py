from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import sparse
from dask.base import tokenize
from dask.sizeof import sizeof
from hypothesis import given

from lazyomics.blocks.block import CSCBlock, CSRBlock, SparseBlock, as_block
from tests.blocks.block_cases import (
    DTYPES,
    FORMATS,
    SHAPES,
    assert_like_numpy,
    assert_same,
    block_pairs,
    random_dense,
    untidy,
)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", [*DTYPES, "f2", "c8"])
def test_made_from_everything_sparse_or_dense(dtype: str, kind: type[SparseBlock]) -> None:
    for shape in SHAPES:
        dense = random_dense(shape, dtype)
        sources = [dense, kind(dense), kind(dense).T.T, kind.from_dense(dense)]
        if dtype not in ("f2", "c8"):
            sources += [sp.csr_matrix(dense), sp.csc_array(dense), sparse.COO(dense)]
            sources += [sp.coo_array(dense), sparse.GCXS(dense, compressed_axes=(0,))]
        for source in sources:
            block = kind(source)
            assert isinstance(block, sparse.GCXS)
            assert (block.ndim, block.shape, len(block)) == (2, shape, shape[0])
            assert block.fill_value == 0
            assert_same(block, dense)
    arrays = (block.data, block.indices, block.indptr)
    assert_same(kind(arrays, shape=dense.shape), dense)


def test_empty_block_by_shape_and_dtype() -> None:
    assert (
        repr(CSRBlock(shape=(3, 2), dtype="i4")) == "<CSRBlock: shape=(3, 2), dtype=int32, nnz=0>"
    )
    assert str(CSCBlock(shape=(0, 0))) == "<CSCBlock: shape=(0, 0), dtype=float64, nnz=0>"


def test_from_arrays_shares_and_does_not_look() -> None:
    data, indices, indptr = np.ones(2), np.array([99, 7]), np.array([0, 1, 2])
    block = CSRBlock.from_arrays(data, indices, indptr, (2, 3))
    assert block.data is data
    assert block.indices is indices
    assert block.indptr is indptr
    matrix = block.to_scipy()
    assert np.shares_memory(matrix.data, data)
    assert np.shares_memory(matrix.indices, indices)
    assert np.shares_memory(matrix.indptr, indptr)


@pytest.mark.parametrize("index", ["u1", "u2", "u4", "u8", "i2", "i4", "i8", ">i4", ">u2"])
@pytest.mark.parametrize("pointer", ["i4", "i8", "u4", "u8", ">i8"])
def test_index_arrays_of_any_integer_type(index: str, pointer: str) -> None:
    dense = random_dense((7, 5), "f4")
    matrix = sp.csr_array(dense)
    arrays = (matrix.indices.astype(index), matrix.indptr.astype(pointer))
    block = CSRBlock.from_arrays(matrix.data.astype(">f4"), *arrays, dense.shape)
    assert block.indices.dtype == block.indptr.dtype
    assert block.indices.dtype in (np.int32, np.int64)
    assert_same(block[[3, 0]][:, ::-1], dense[[3, 0]][:, ::-1])
    if index in ("u4", "u8"):
        assert np.shares_memory(block.indices, arrays[0])


def test_index_arrays_that_are_not_integers() -> None:
    with pytest.raises(TypeError, match="must hold integers, found float64"):
        CSRBlock.from_arrays(np.ones(1), np.zeros(1), np.array([0, 1]), (1, 1))


def test_as_block() -> None:
    dense = random_dense((6, 4), "f4")
    sources = [(sp.csr_matrix, CSRBlock), (sp.csc_array, CSCBlock), (sp.lil_array, CSRBlock)]
    for make, kind in [*sources, (sparse.COO, CSRBlock), (np.asarray, np.ndarray)]:
        source = make(dense)
        block = as_block(source)
        assert isinstance(block, kind)
        assert_same(block, dense)
        assert as_block(block) is block
        if kind is CSRBlock and make is sp.csr_matrix:
            assert np.shares_memory(block.indices, source.indices)
    with pytest.raises(ValueError, match="two dimensions"):
        as_block(np.ones(3))


@pytest.mark.parametrize("kind", FORMATS)
def test_conversions(kind: type[SparseBlock]) -> None:
    for dtype in ("f4", "u2", "?", "f2"):
        dense = random_dense((7, 5), dtype, special=True)
        block = untidy(dense, kind)
        assert isinstance(block.tocsr(), CSRBlock)
        assert isinstance(block.tocsc(), CSCBlock)
        for same in (block.tocsr(), block.tocsc(), block.copy(), block.canonical(), block.todense(),
                     block.tocsc().tocsr(), block.astype(dtype), block.distinct(), copy.copy(block),
                     copy.deepcopy(block), block.asformat("csc"), block.asformat("csr"),
                     kind.from_numpy(dense), block.change_compressed_axes((0,)),
                     block.reshape(7, 5), block.reshape((7, -1)), block.squeeze()):  # fmt: skip
            assert_same(same, dense)
        assert block.canonical().to_scipy().has_canonical_format
        assert_same(block.tocoo().todense(), dense)
        assert isinstance(block.T, block.twin)
        assert block.T.data is block.data
        assert not np.shares_memory(block.copy().data, block.data)


SHAPED: dict[str, Any] = {
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "transpose": lambda x: np.transpose(x),
    "transpose axes": lambda x: x.transpose(1, 0),
    "transpose nothing": lambda x: x.transpose((0, 1)),
    "transpose negative": lambda x: np.transpose(x, axes=(-1, 0)),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "reshape": lambda x: x.reshape(-1, 1),
    "reshape function": lambda x: np.reshape(x, (1, -1)),
    "reshape flat": lambda x: x.reshape(-1),
    "reshape F": lambda x: np.reshape(x, (-1, 1), order="F"),
    "ravel": lambda x: np.ravel(x),
    "flatten": lambda x: x.flatten(),
    "squeeze": lambda x: np.squeeze(x),
    "nonzero": lambda x: np.array(np.nonzero(x)),
    "take": lambda x: np.take(x, [0, 0], axis=1),
    "take rows": lambda x: np.take(x, np.array([0]), axis=0),
    "take flat": lambda x: np.take(x, [0]),
    "zeros_like": lambda x: np.zeros_like(x, dtype="i4"),
    "zeros_like shape": lambda x: np.zeros_like(x, shape=(3,)),
    "full_like": lambda x: np.full_like(x, 1),
    "ones_like": lambda x: np.ones_like(x, shape=(2, 3, 1)),
    "shape": lambda x: np.array([*np.shape(x), np.ndim(x), np.size(x), np.size(x, 1)]),
    "copy": np.copy,
    "real": lambda x: x.real,
    "array like": lambda x: np.array([1, 2], like=x),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "median": lambda x: np.median(x, axis=0),
    "unique": lambda x: np.unique(x),
    "result_type": lambda x: np.zeros(1, np.result_type(x, "f4")),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", SHAPED)
def test_shapes_and_copies_equal_numpy(name: str, kind: type[SparseBlock]) -> None:
    for shape in [(7, 5), (1, 6), (6, 1), (1, 1)]:
        for dtype in ("f4", "u2"):
            dense = random_dense(shape, dtype)
            assert_like_numpy(SHAPED[name], untidy(dense, kind), dense)


def test_nan_and_infinity() -> None:
    dense = random_dense((7, 5), "f4", special=True)
    block = CSRBlock(dense)
    assert_same(block.isnan(), np.isnan(dense))
    assert_same(block.isinf(), np.isinf(dense))
    assert_same(np.isfinite(block), np.isfinite(dense))


@pytest.mark.parametrize("kind", FORMATS)
def test_pickle_is_compact(kind: type[SparseBlock]) -> None:
    dense = random_dense((400, 50), "f4")
    block = kind(dense).canonical()
    again = pickle.loads(pickle.dumps(block))
    assert isinstance(again, kind)
    assert again._order == "canonical"
    assert_same(again, dense)
    assert len(pickle.dumps(block)) < block.nbytes + 1000
    assert (
        len(pickle.dumps(block[:240] if kind is CSRBlock else block[:, :30])) < 0.7 * block.nbytes
    )
    buffers: list[Any] = []
    assert len(pickle.dumps(block, protocol=5, buffer_callback=buffers.append)) < 1000
    assert len(buffers) == 3


def test_sizes_and_tokens() -> None:
    block = CSRBlock(random_dense((40, 50), "f4"))
    arrays = block.data.nbytes + block.indices.nbytes + block.indptr.nbytes
    assert block.nbytes == arrays
    assert arrays <= sizeof(block) < arrays + 1000
    assert tokenize(block) == tokenize(block.copy())
    others = [block * 2, block.T, block[:-1], block.astype("f8"), CSRBlock(block.T.tocsr())]
    assert len({tokenize(block), *map(tokenize, others)}) == 6


def test_small_dense_guard() -> None:
    block = CSRBlock(shape=(2000, 2000))
    with pytest.raises(ValueError, match="too large"):
        block.maybe_densify()
    assert_same(CSRBlock(np.eye(2)).maybe_densify(), np.eye(2))
    assert "csrblock" in CSRBlock(np.eye(2))._repr_html_()


@given(block_pairs())
def test_canonical_form_stands_for_the_same_array(pair: Any) -> None:
    block, dense = pair
    for form in (block.distinct(), block.canonical(), block.tocsr(), block.tocsc(), block.T.T):
        assert_same(form, dense)
    assert block.canonical().to_scipy().has_canonical_format
    assert block.distinct().nnz == block.canonical().nnz
