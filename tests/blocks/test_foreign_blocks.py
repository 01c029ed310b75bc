"""Blocks that others made: converted to what is declared, or refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import sparse

from lazyomics.blocks.block import CSCBlock, CSRBlock
from lazyomics.blocks.foreign import checked_block
from lazyomics.errors import ShapeError

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")

VALUES = np.array([[0, 2, 0], [0, 0, 0], [1, 0, 3], [0, 0, 5]], "f4")
F4 = np.dtype("f4")

MAKERS = {
    "ndarray": np.asarray,
    "fortran": np.asfortranarray,
    "np.matrix": np.asmatrix,
    "masked, nothing": np.ma.masked_array,
    **{
        f"{fmt} {family}": getattr(sp, f"{fmt}_{family}")
        for fmt in ("csr", "csc", "coo", "dok", "lil", "bsr", "dia")
        for family in ("matrix", "array")
    },
    "sparse.COO": sparse.COO.from_numpy,
    "sparse.GCXS": sparse.GCXS.from_numpy,
    "sparse.DOK": sparse.DOK.from_numpy,
    "CSRBlock": CSRBlock,
    "CSCBlock": CSCBlock,
    "float64": lambda m: m.astype("f8"),
    "ints": lambda m: sp.csr_matrix(m.astype("i2")),
    "big-endian": lambda m: m.astype(">f4"),
}
KINDS = {"csr": CSRBlock, "csc": CSCBlock, "dense": np.ndarray}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("maker", MAKERS)
def test_blocks_become_what_is_declared(maker: str, kind: str) -> None:
    found = checked_block(MAKERS[maker](VALUES), VALUES.shape, F4, kind)
    assert type(found) is KINDS[kind]
    assert found.dtype == F4
    np.testing.assert_array_equal(np.asarray(found), VALUES)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_values_stored_twice_are_added_up(kind: str) -> None:
    twice = sp.csr_matrix((np.ones(3, "f4"), [1, 1, 0], [0, 2, 3]), shape=(2, 3))
    found = checked_block(twice, (2, 3), F4, kind)
    np.testing.assert_array_equal(np.asarray(found), [[0, 2, 0], [1, 0, 0]])
    assert getattr(found, "nnz", 2) == 2
    np.testing.assert_array_equal(twice.data, 1)


def _broken(**arrays):
    matrix = sp.csr_matrix(VALUES)
    for name, values in arrays.items():
        setattr(matrix, name, np.asarray(values, getattr(matrix, name).dtype))
    return matrix


def _broken_block(**arrays):
    block = CSRBlock(VALUES)
    parts = {name: getattr(block, name) for name in ("data", "indices", "indptr")}
    parts.update({name: np.asarray(v, parts[name].dtype) for name, v in arrays.items()})
    return CSRBlock.from_arrays(*parts.values(), block.shape, "canonical")


@pytest.mark.parametrize("make", [_broken, _broken_block])
@pytest.mark.parametrize(
    "arrays",
    [
        {"indices": [1, 0, 3, 2]},
        {"indices": [1, 0, -1, 2]},
        {"indptr": [0, 1, 1, 3, 9]},
        {"indptr": [0, 3, 1, 3, 4]},
        {"indptr": [1, 1, 1, 3, 4]},
        {"indptr": [0, 1, 4]},
        {"data": [1.0]},
        {"indices": [1]},
    ],
)
def test_positions_that_lead_outside_are_refused(make, arrays) -> None:
    with pytest.raises(ShapeError):
        checked_block(make(**arrays), VALUES.shape, F4, "csr")


@pytest.mark.parametrize(
    ("block", "error", "says"),
    [
        (VALUES[:3], ShapeError, r"\(4, 3\), found \(3, 3\)"),
        (sp.csr_matrix(VALUES.T), ShapeError, r"found \(3, 4\)"),
        (VALUES.ravel(), ShapeError, "dimensions|shape"),
        (np.ma.masked_equal(VALUES, 2), TypeError, "masked"),
        (sp.csr_matrix(VALUES.astype("c8")), TypeError, "float32, found complex64"),
        (VALUES.astype(str), TypeError, "float32, found <U"),
        (VALUES.astype(object), TypeError, "float32, found object"),
        (sparse.COO.from_numpy(VALUES[None]), TypeError, "2 dimensions, found 3"),
        (sparse.COO.from_numpy(VALUES + 1, fill_value=1), ValueError, "fill_value|zero|fill"),
        (None, TypeError, "NoneType"),
        ([[1, 2]], TypeError, "list"),
    ],
)
@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_what_does_not_fit_is_refused(block, error, says, kind) -> None:
    with pytest.raises(error, match=says):
        checked_block(block, VALUES.shape, F4, kind)


def test_floats_are_not_cut_to_integers() -> None:
    with pytest.raises(TypeError, match="int32, found float32"):
        checked_block(VALUES, VALUES.shape, np.dtype("i4"), "dense")


def test_memory_is_shared_where_it_fits() -> None:
    matrix = sp.csr_matrix(VALUES)
    assert np.shares_memory(checked_block(matrix, VALUES.shape, F4, "csr").data, matrix.data)
    assert np.shares_memory(checked_block(VALUES, VALUES.shape, F4, "dense"), VALUES)
