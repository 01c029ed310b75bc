from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from lazyomics.errors import FileFormatError
from lazyomics.io.encodings import element_kind, read_element, sparse_info, write_element

MATRIX = sp.csr_matrix(np.array([[0, 1, 0], [2, 0, 3]], dtype="float32"))


@pytest.fixture(params=["csr", "csc"])
def stored(request: pytest.FixtureRequest, h5: h5py.File) -> h5py.Group:
    write_element(h5, "m", MATRIX.asformat(request.param))
    return h5["m"]


def test_info(stored: h5py.Group) -> None:
    form = element_kind(stored)[:3]
    assert sparse_info(stored) == (form, (2, 3))
    assert read_element(stored).format == form
    np.testing.assert_array_equal(read_element(stored).toarray(), MATRIX.toarray())


@pytest.mark.parametrize("tag", ["CSR", "csr", "Csr_Matrix", b"csr_matrix"])
def test_tags_of_other_writers(h5: h5py.File, tag: str | bytes) -> None:
    write_element(h5, "m", MATRIX)
    h5["m"].attrs["encoding-type"] = tag
    assert element_kind(h5["m"]) == "csr_matrix"
    assert read_element(h5["m"]).nnz == 3


@pytest.mark.parametrize("form", [b"csc", "csr", np.array([b"csr"])])
def test_h5sparse(h5: h5py.File, form: Any) -> None:
    matrix = MATRIX.tocsc() if b"csc" in np.atleast_1d(form) else MATRIX
    write_element(h5, "m", matrix)
    for name in list(h5["m"].attrs):
        del h5["m"].attrs[name]
    h5["m"].attrs.update({"h5sparse_format": form, "h5sparse_shape": (2, 3)})
    assert sparse_info(h5["m"]) == (matrix.format, (2, 3))
    np.testing.assert_array_equal(read_element(h5["m"]).toarray(), MATRIX.toarray())


@pytest.mark.parametrize("indices", ["u1", "u2", "u4", "i4", "i8", "u8"])
@pytest.mark.parametrize("indptr", ["i4", "i8", "u8"])
def test_index_types(h5: h5py.File, indices: str, indptr: str) -> None:
    write_element(h5, "m", MATRIX)
    for name, dtype in (("indices", indices), ("indptr", indptr)):
        values = h5["m"][name][()].astype(dtype)
        del h5["m"][name]
        h5["m"][name] = values
    matrix = read_element(h5["m"])
    assert matrix.indices.dtype == matrix.indptr.dtype
    assert matrix.indices.dtype == ("int64" if indices == indptr == "i8" else "int32")
    np.testing.assert_array_equal((matrix @ sp.eye(3)).toarray(), MATRIX.toarray())


def test_more_columns_than_int32_counts(h5: h5py.File) -> None:
    n_cols = 3_088_286_401
    wide = sp.csr_matrix(
        (np.ones(2, "f4"), np.array([0, n_cols - 1]), np.array([0, 1, 2])), shape=(2, n_cols)
    )
    write_element(h5, "m", wide)
    assert sparse_info(h5["m"]) == ("csr", (2, n_cols))
    assert read_element(h5["m"])[1, n_cols - 1] == 1


def test_unsorted_and_duplicate_entries_stay(h5: h5py.File, anndata_read: Any, same: Any) -> None:
    messy = sp.csr_matrix(
        (np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2]), np.array([0, 3])), shape=(1, 3)
    )
    write_element(h5, "m", messy)
    matrix = read_element(h5["m"])
    assert matrix.indices.tolist() == [2, 0, 2]
    same(matrix, anndata_read(h5["m"]))
    assert matrix.toarray().tolist() == [[2.0, 0.0, 4.0]]


@pytest.mark.parametrize("form", ["coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
def test_other_formats_become_csr(h5: h5py.File, form: str, kind: Any) -> None:
    write_element(h5, "m", kind(MATRIX).asformat(form))
    assert element_kind(h5["m"]) == "csr_matrix"
    np.testing.assert_array_equal(read_element(h5["m"]).toarray(), MATRIX.toarray())


def test_blocks(h5: h5py.File) -> None:
    block = pytest.importorskip("lazyomics.blocks.block")
    write_element(h5, "m", block.as_block(MATRIX))
    np.testing.assert_array_equal(read_element(h5["m"]).toarray(), MATRIX.toarray())


def test_can_be_resized(h5: h5py.File) -> None:
    write_element(h5, "m", MATRIX, dataset_kwargs={"indptr_dtype": "int64"})
    assert h5["m/data"].maxshape == (None,)
    assert h5["m/indptr"].dtype == "int64"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"shape": (3, 3)}, "indptr of length 4, found 3"),
        ({"shape": (2, 2)}, "indices from 0 to 2"),
        ({"shape": (10**15, 3)}, "indptr of length"),
        ({"shape": (2, -3)}, "negative"),
        ({"shape": (2,)}, "two integers"),
        ({"shape": (2.5, 3)}, "two integers"),
        ({"shape": "2x3"}, "two integers"),
        ({"indptr": [0, 2, 1]}, "indptr from 0 to 1"),
        ({"indptr": [0, 4, 3]}, "rising: False"),
        ({"indptr": [1, 1, 3]}, "indptr from 1"),
        ({"indptr": [0, 1, 4]}, "indptr from 0 to 4"),
        ({"indptr": [0.0, 1.0, 3.0]}, "float64"),
        ({"indices": [1, 0, 3]}, "indices from 0 to 3"),
        ({"indices": [1, 0, -1]}, "indices from -1"),
        ({"indices": [1, 0]}, r"as many indices as values \(3\), found 2"),
        ({"data": [[1.0, 2.0, 3.0]]}, "one dimension"),
    ],
)
def test_damaged(h5: h5py.File, change: dict[str, Any], found: str) -> None:
    write_element(h5, "m", MATRIX)
    for name, value in change.items():
        if name == "shape":
            h5["m"].attrs["shape"] = value
        else:
            del h5["m"][name]
            h5["m"][name] = value
    with pytest.raises(FileFormatError, match=found):
        read_element(h5["m"])


@pytest.mark.parametrize("part", ["data", "indices", "indptr"])
def test_parts_missing(stored: h5py.Group, part: str) -> None:
    del stored[part]
    with pytest.raises(FileFormatError, match=f"/m/{part}"):
        read_element(stored)


def test_no_shape(stored: h5py.Group) -> None:
    del stored.attrs["shape"]
    with pytest.raises(FileFormatError, match="attribute 'shape'"):
        sparse_info(stored)


def test_not_sparse(h5: h5py.File) -> None:
    write_element(h5, "x", np.zeros(3))
    with pytest.raises(FileFormatError, match="CSR or CSC matrix, found array"):
        sparse_info(h5["x"])
