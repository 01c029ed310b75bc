"""What a selection of columns reads, in every order and state of the stored indices."""

from __future__ import annotations

from itertools import chain

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.blocks import canonical
from lazyomics.blocks.canonical import positions_of
from lazyomics.errors import FileFormatError
from lazyomics.io.hdf5 import count_reads
from lazyomics.io.readers import reader_of
from lazyomics.lazy import from_source, materialize, recipe_of, windows


@pytest.fixture
def blocky(tmp_path):
    """A matrix whose last column has values in the last rows only, in chunks of 64 values."""
    dense = np.random.default_rng(0).poisson(1.0, (400, 20)).astype(np.float32)
    dense[:, 19] = 0
    dense[390:, 19] = 5
    dense[:, 7] = 0
    lo.AnnData(sp.csr_matrix(dense)).write_h5ad(tmp_path / "wide.h5ad")
    with h5py.File(tmp_path / "wide.h5ad", "r+") as file:
        for part in ("data", "indices"):
            values = file["X"][part][:]
            del file["X"][part]
            file["X"].create_dataset(part, data=values, chunks=(64,), compression="gzip")
    return tmp_path / "wide.h5ad", dense


def counted(path, read) -> tuple[object, int, int]:
    with count_reads() as counter:
        made = read()
    name = str(path)
    parts = (counter.by_dataset[name, f"X/{p}"].chunks for p in ("data", "indices"))
    return made, *parts


def test_values_are_read_only_where_a_column_has_some(blocky) -> None:
    path, dense = blocky
    x = lo.read_h5ad(path).X
    n_chunks = -(-np.count_nonzero(dense) // 64)
    made, values, indices = counted(path, lambda: x[:, [19]].compute().to_scipy().toarray())
    np.testing.assert_array_equal(made, dense[:, [19]])
    assert values <= 3 < n_chunks == indices
    made, values, _ = counted(path, lambda: x[:, [7]].compute().to_scipy().toarray())
    assert values == 0
    assert not made.any()
    some = [391, 5, 395]
    made, values, _ = counted(path, lambda: x[some][:, [19, 7]].compute().to_scipy().toarray())
    np.testing.assert_array_equal(made, dense[some][:, [19, 7]])
    assert values <= 3


@pytest.mark.parametrize("order", ["sorted", "shuffled", "repeated"])
@pytest.mark.parametrize("rows", [slice(None), slice(3, 11), [8, 2, 2, 0]])
@pytest.mark.parametrize("cols", [[5], [1, 2, 3], [9, 0, 4], [4, 4, 1], [], slice(2, 8)])
@pytest.mark.parametrize("layout", ["csr", "csc"])
def test_columns_of_indices_in_any_order(tmp_path, order, rows, cols, layout) -> None:
    rng = np.random.default_rng(1)
    kind = {"csr": sp.csr_matrix, "csc": sp.csc_matrix}[layout]
    lines = rng.poisson(0.6, (12, 10)).astype(np.float32)
    matrix = kind(lines)
    if order != "sorted":
        for a, b in zip(matrix.indptr, matrix.indptr[1:], strict=False):
            at = a + rng.permutation(b - a)
            matrix.data[a:b], matrix.indices[a:b] = matrix.data[at], matrix.indices[at]
            if order == "repeated" and b - a > 1:
                matrix.indices[a + 1] = matrix.indices[a]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        group = file.create_group("X")
        group.attrs.update({"encoding-type": f"{layout}_matrix", "encoding-version": "0.1.0"})
        group.attrs["shape"] = matrix.shape
        for part in ("data", "indices", "indptr"):
            group[part] = getattr(matrix, part)
        reader = reader_of(group)
    dense = kind(matrix, copy=True).toarray()
    full = np.arange(12)[rows]
    across = np.arange(10)[np.asarray(cols, int) if isinstance(cols, list) else cols]
    lazy = from_source(reader, lines_per_block=5)[rows][:, cols]
    made = materialize(lazy)
    np.testing.assert_array_equal(made.toarray(), dense[full][:, across])
    assert sp.csr_matrix(made).has_sorted_indices
    axis = int(recipe_of(lazy).by_columns)
    for block in chain.from_iterable(windows(lazy, axis=axis)):
        assert np.log1p(block)._order == "canonical"  # so nobody need look
        assert block.to_scipy().has_canonical_format


@pytest.mark.parametrize("columns", [[0], [3, 4, 5], [1, 99], list(range(0, 100, 7)), []])
@pytest.mark.parametrize("looped", [0, 1 << 60])
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16])
def test_positions_of_columns(columns, looped, dtype, monkeypatch) -> None:
    monkeypatch.setattr(canonical, "LOOPED", looped)
    monkeypatch.setattr(canonical, "AT_ONCE", 999)
    indices = np.random.default_rng(0).integers(0, 100, 5000).astype(dtype)
    found = positions_of(indices, np.array(columns, np.int64), 100)
    np.testing.assert_array_equal(found, np.flatnonzero(np.isin(indices, columns)))


def test_pointers_of_another_state_of_the_file(tmp_path) -> None:
    """Two files at one path, alike but for their pointers: each opening sees its own."""
    path = tmp_path / "a.h5ad"
    first = sp.csr_matrix(np.array([[1, 1, 0], [0, 0, 1]], dtype="f4"))
    lo.AnnData(first).write_h5ad(path)
    np.testing.assert_array_equal(lo.read_h5ad(path).X.compute().todense(), first.toarray())
    for ends in ([0, 1, 3], [0, 3, 3], [0, 2, 3]):
        with h5py.File(path, "r+") as file:
            file["X/indptr"][...] = ends
        lines = sp.csr_matrix((first.data, first.indices, ends), shape=(2, 3))
        np.testing.assert_array_equal(lo.read_h5ad(path).X.compute().todense(), lines.toarray())
    with h5py.File(path, "r+") as file:
        file["X/indptr"][...] = [0, 5, 3]
    with pytest.raises(lo.errors.FileFormatError, match="never decrease"):
        lo.read_h5ad(path).X.compute()


@pytest.mark.parametrize("layout", ["csr", "array"])
def test_numbers_of_a_type_that_numpy_does_not_have(tmp_path, layout) -> None:
    path = tmp_path / "a.h5ad"
    lo.AnnData(sp.eye(3, format="csr") if layout == "csr" else np.eye(3)).write_h5ad(path)
    kind = h5py.h5t.IEEE_F64LE.copy()
    kind.set_ebias(100_000)
    name = "X/data" if layout == "csr" else "X"
    with h5py.File(path, "r+") as file:
        shape, attributes = file[name].shape, dict(file[name].attrs)
        del file[name]
        h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(shape))
        file[name].attrs.update(attributes)
    with pytest.raises(FileFormatError, match=r"a\.h5ad: element '/?X.*precision"):
        lo.read_h5ad(path).to_memory()
