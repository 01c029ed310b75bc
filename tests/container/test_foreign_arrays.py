"""What users assign, beside anndata: dask arrays of any blocks, formats, masks, tables."""

from __future__ import annotations

import warnings

import anndata as ad
import dask
import dask.array as da
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sparse

import lazyomics as lo
from lazyomics.blocks.block import CSRBlock, SparseBlock
from lazyomics.errors import ShapeError
from lazyomics.lazy.matrix import BlockArray

pytestmark = pytest.mark.filterwarnings(
    "ignore:the matrix subclass:PendingDeprecationWarning",
    "ignore:Support for Awkward Arrays",
)

N, M = 31, 9
VALUES = np.random.default_rng(0).poisson(0.7, (N, M)).astype("f4")


def cut(values: np.ndarray) -> da.Array:
    return da.from_array(values, chunks=(12, values.shape[1]))


def mapped(make, **options):
    return lambda values: cut(values).map_blocks(make, **options)


def meta(make):
    return {"meta": make((0, 0), dtype="f4"), "dtype": "f4"}


def delayed_blocks(make):
    def of(values: np.ndarray) -> da.Array:
        parts = [values[a : a + 12] for a in range(0, len(values), 12)]
        return da.concatenate(
            [
                da.from_delayed(dask.delayed(make)(part), part.shape, dtype=part.dtype)
                for part in parts
            ]
        )

    return of


ARRAYS = {
    "ndarray": cut,
    "column chunks": lambda v: da.from_array(v, chunks=(7, 2)),
    "np.matrix": mapped(np.asmatrix),
    **{
        f"{name} of scipy": mapped(getattr(sp, name), **meta(getattr(sp, name)))
        for name in ("csr_matrix", "csr_array", "csc_matrix", "csc_array")
    },
    "csr without meta": mapped(sp.csr_matrix),
    "coo without meta": mapped(sp.coo_matrix),
    "csc in column chunks": lambda v: da.from_array(v, chunks=(v.shape[0], 2)).map_blocks(
        sp.csc_matrix, **meta(sp.csc_matrix)
    ),
    "csr in column chunks": lambda v: da.from_array(v, chunks=(7, 2)).map_blocks(
        sp.csr_matrix, **meta(sp.csr_matrix)
    ),
    "sparse.COO": mapped(sparse.COO.from_numpy),
    "sparse.GCXS": mapped(sparse.GCXS.from_numpy),
    "sparse.DOK": mapped(sparse.DOK.from_numpy, meta=sparse.COO.from_numpy(np.zeros((0, 0), "f4"))),
    # what they declare is not what they hold
    "says csr, is csc": mapped(sp.csc_matrix, **meta(sp.csr_matrix)),
    "says csr, is coo": mapped(sp.coo_matrix, **meta(sp.csr_matrix)),
    "says csr, is dense": lambda v: cut(v).map_blocks(lambda b: b + 0, **meta(sp.csr_matrix)),
    "says csc, is csr": mapped(sp.csr_matrix, **meta(sp.csc_matrix)),
    "says csr, is COO": mapped(sparse.COO.from_numpy, **meta(sp.csr_matrix)),
    "says csr, is GCXS": mapped(sparse.GCXS.from_numpy, **meta(sp.csr_matrix)),
    "says dense, is csr": delayed_blocks(sp.csr_matrix),
    "says dense, is COO": delayed_blocks(sparse.COO.from_numpy),
    "says f4, is f8": lambda v: cut(v).map_blocks(
        lambda b: sp.csr_matrix(b.astype("f8")), **meta(sp.csr_matrix)
    ),
    "says f8, is f4": mapped(sp.csr_matrix, meta=sp.csr_matrix((0, 0)), dtype="f8"),
    "says ours, is scipy's": lambda v: cut(v).map_blocks(
        sp.csc_matrix, meta=CSRBlock(shape=(0, 0), dtype="f4"), dtype="f4"
    ),
}
SHAPES = {
    "X": (N, M),
    "layers": (N, M),
    "obsm": (N, 4),
    "varm": (M, 4),
    "obsp": (N, N),
    "varp": (M, M),
}


def dense(x) -> np.ndarray:
    x = x.compute() if isinstance(x, da.Array) else x
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x)


def values_for(place: str) -> np.ndarray:
    return np.random.default_rng(1).poisson(0.7, SHAPES[place]).astype("f4")


def put(adata, place: str, value) -> None:
    if place == "X":
        adata.X = value
    else:
        getattr(adata, place)["k"] = value


def got(adata, place: str):
    return adata.X if place == "X" else getattr(adata, place)["k"]


@pytest.mark.parametrize("place", SHAPES)
@pytest.mark.parametrize("kind", ARRAYS)
def test_dask_arrays_are_converted_where_they_enter(kind: str, place: str, tmp_path) -> None:
    values = values_for(place)
    adata = lo.AnnData(np.zeros((N, M), "f4"))
    put(adata, place, ARRAYS[kind](values))
    held = got(adata, place)
    assert isinstance(held, BlockArray)
    assert isinstance(held._meta, np.ndarray | SparseBlock)
    np.testing.assert_array_equal(dense(held), values)
    np.testing.assert_array_equal(dense(got(adata.to_memory(), place)), values)
    axes = {"obsm": (True, False), "varm": (False, False), "varp": (False, False)}.get(place)
    if axes is None or axes[0]:  # some cells in another order
        rows = np.array([30, 2, 2, 7])
        expected = values[rows][:, rows] if place == "obsp" else values[rows]
        np.testing.assert_array_equal(dense(got(adata[rows], place)), expected)
    adata.write_h5ad(tmp_path / "new.h5ad")
    np.testing.assert_array_equal(dense(got(ad.read_h5ad(tmp_path / "new.h5ad"), place)), values)


@pytest.mark.parametrize("kind", ARRAYS)
def test_dask_arrays_given_to_the_constructor(kind: str) -> None:
    made = ARRAYS[kind]
    adata = lo.AnnData(
        made(VALUES),
        layers={"k": made(VALUES)},
        obsm={"k": made(VALUES)},
        raw={"X": made(VALUES), "var": None},
    )
    for x in (adata.X, adata.layers["k"], adata.obsm["k"], adata.raw.X):
        assert isinstance(x, BlockArray)
        np.testing.assert_array_equal(dense(x), VALUES)
    part = adata[[3, 1], ["2", "0"]]
    np.testing.assert_array_equal(dense(part.X), VALUES[[3, 1]][:, [2, 0]])
    np.testing.assert_array_equal(dense(part.raw.X), VALUES[[3, 1]])


@pytest.mark.parametrize("kind", ARRAYS)
def test_dask_arrays_saved_in_place(kind: str, tmp_path) -> None:
    path = tmp_path / "a.h5ad"
    ad.AnnData(sp.csr_matrix(VALUES)).write_h5ad(path)
    adata = lo.read_h5ad(path)
    adata.layers["k"] = ARRAYS[kind](VALUES)
    adata.obsm["k"] = ARRAYS[kind](VALUES)
    adata.write()
    again = ad.read_h5ad(path)
    np.testing.assert_array_equal(dense(again.layers["k"]), VALUES)
    np.testing.assert_array_equal(dense(again.obsm["k"]), VALUES)


@pytest.mark.parametrize("stored", [sp.csr_matrix, sp.csc_matrix, np.asarray])
def test_what_anndata_opens_lazily(stored, tmp_path) -> None:
    path = tmp_path / "a.h5ad"
    ad.AnnData(stored(VALUES)).write_h5ad(path)
    with h5py.File(path, "r") as file:
        chunks = (N, 4) if stored is sp.csc_matrix else (10, M)
        x = ad.experimental.read_elem_lazy(file["X"], chunks=chunks)
        adata = lo.AnnData(x)
        lo.pp.normalize_total(adata, target_sum=10)
        np.testing.assert_array_equal(dense(lo.AnnData(x).X), VALUES)
        totals = dense(adata.X).sum(axis=1)
    np.testing.assert_allclose(totals[VALUES.sum(axis=1) > 0], 10, rtol=1e-5)


def test_a_block_of_another_kind_is_named() -> None:
    def third(block, block_info=None):
        (k, _) = block_info[0]["chunk-location"]
        return block[:2] if k == 1 else block

    x = cut(VALUES).map_blocks(third, meta=np.empty((0, 0), "f4"))
    adata = lo.AnnData(np.zeros((N, M)))
    adata.layers["counts"] = x
    with pytest.raises(
        ShapeError, match=r"layers\['counts'\]: block \(1, 0\).*\(12, 9\).*\(2, 9\)"
    ):
        adata.layers["counts"].compute()


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (da.ma.masked_equal(cut(VALUES), 0), TypeError, "masked.*filled"),
        (
            cut(VALUES)[da.from_array(np.ones(N, bool), chunks=12)],
            ShapeError,
            "compute_chunk_sizes",
        ),
        (np.ma.masked_equal(VALUES, 0), TypeError, "mask.*filled"),
        (sparse.COO.from_numpy(VALUES + 1, fill_value=1), TypeError, "leaves out 1"),
        (object(), TypeError, "cannot hold object"),
    ],
)
@pytest.mark.parametrize("place", ["X", "layers", "obsm"])
def test_what_cannot_be_held_is_refused_where_it_enters(x, error, says, place) -> None:
    adata = lo.AnnData(np.zeros((N, M)))
    name = "X" if place == "X" else rf"{place}\['k'\]"
    with pytest.raises(error, match=f"^{name}: .*{says}"):
        put(adata, place, x)


@pytest.mark.parametrize("place", SHAPES)
@pytest.mark.parametrize("fmt", ["coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("family", ["matrix", "array"])
def test_other_formats_become_csr(place: str, fmt: str, family: str) -> None:
    adata = lo.AnnData(np.zeros((N, M)))
    put(adata, place, getattr(sp, f"{fmt}_{family}")(values_for(place)))
    held = got(adata, place)
    assert type(held) is getattr(sp, f"csr_{family}")
    np.testing.assert_array_equal(held.toarray(), values_for(place))


@pytest.mark.parametrize("make", [sparse.COO.from_numpy, sparse.GCXS.from_numpy, CSRBlock])
def test_arrays_of_the_sparse_library_become_csr(make) -> None:
    adata = lo.AnnData(make(VALUES))
    assert type(adata.X) is sp.csr_matrix
    np.testing.assert_array_equal(adata.X.toarray(), VALUES)


def test_views_of_anndata_become_plain() -> None:
    for x in (VALUES.copy(), sp.csr_matrix(VALUES)):
        view = ad.AnnData(x, obsm={"m": VALUES.copy()})[:5]
        adata = lo.AnnData(view.X, obsm={"m": view.obsm["m"]})
        assert type(adata.X) is type(x)
        assert type(adata.obsm["m"]) is np.ndarray


TABLES = {
    "floats": pd.DataFrame(VALUES),
    "mixed": pd.DataFrame({k: VALUES[:, k].astype("i4" if k else "f8") for k in range(M)}),
    "sparse": pd.DataFrame.sparse.from_spmatrix(sp.csr_matrix(VALUES)),
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("place", ["X", "layers", "obsp", "varp"])
def test_tables_become_arrays_as_in_anndata(kind: str, place: str) -> None:
    table = TABLES[kind]
    size = {"obsp": N, "varp": M}.get(place)
    if size is not None:
        table = pd.concat([table] * 5, axis=1).set_axis(range(5 * M), axis=1)
        table = table.iloc[:size, :size] if size <= N else table
    found = []
    for module in (ad, lo):
        adata = module.AnnData(np.zeros((N, M)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if place == "X" and module is ad:
                adata = module.AnnData(table.set_axis(map(str, range(M)), axis=1))
            else:
                put(adata, place, table)
        found.append(got(adata, place))
    assert type(found[0]) is type(found[1])
    assert found[0].dtype == found[1].dtype
    np.testing.assert_array_equal(dense(found[0]), dense(found[1]))


def test_a_table_of_several_types_says_so() -> None:
    adata = lo.AnnData(np.zeros((N, M)))
    with pytest.warns(UserWarning, match=r"layers\['k'\].*float64"):
        adata.layers["k"] = TABLES["mixed"]


@pytest.mark.parametrize("place", ["obsm", "varm"])
def test_vectors_become_columns(place: str) -> None:
    n = N if place == "obsm" else M
    found = []
    for module in (ad, lo):
        adata = module.AnnData(np.zeros((N, M)))
        put(adata, place, np.arange(float(n)))
        found.append(got(adata, place))
    np.testing.assert_array_equal(*found)
    assert found[0].shape == found[1].shape == (n, 1)


def test_copies_do_not_change_with_the_original(tmp_path) -> None:
    ad.AnnData(sp.csr_matrix(VALUES), layers={"k": VALUES}).write_h5ad(tmp_path / "a.h5ad")
    for adata in (
        lo.read_h5ad(tmp_path / "a.h5ad"),
        lo.AnnData(cut(VALUES), layers={"k": cut(VALUES)}),
    ):
        adata.X, adata.layers["k"]  # opened
        adata.raw = adata
        others = [adata.copy(), adata[:], adata[:, :], adata.raw.to_adata()]
        adata.X[0] = 9
        adata.layers["k"][:, 0] = 9
        for other in others:
            np.testing.assert_array_equal(dense(other.X), VALUES)
            if "k" in other.layers:
                np.testing.assert_array_equal(dense(other.layers["k"]), VALUES)
        np.testing.assert_array_equal(dense(adata.raw.X), VALUES)
        assert dense(adata.X)[0].tolist() == [9] * M
        assert dense(adata.layers["k"])[:, 0].tolist() == [9] * N


@pytest.mark.parametrize("stored", [sp.csr_matrix, sp.csc_matrix, np.asarray])
def test_items_assigned_to_x_and_layers_reach_the_file(stored, tmp_path) -> None:
    path, expected = tmp_path / "a.h5ad", VALUES.copy()
    ad.AnnData(stored(VALUES), layers={"k": stored(VALUES)}).write_h5ad(path)
    adata = lo.read_h5ad(path)
    for x in (adata.X, adata.layers["k"], expected):
        x[x > 2] = 0
        x[1] = 5
        x[:, 2] = np.arange(N)
        x[3, [0, 4]] = [7, 8]
    adata.write_h5ad(tmp_path / "b.h5ad")
    again = ad.read_h5ad(tmp_path / "b.h5ad")
    np.testing.assert_array_equal(dense(again.X), expected)
    np.testing.assert_array_equal(dense(again.layers["k"]), expected)
    adata.write(overwrite_x=True)
    again = ad.read_h5ad(path)
    np.testing.assert_array_equal(dense(again.X), expected)
    np.testing.assert_array_equal(dense(again.layers["k"]), expected)


@pytest.mark.parametrize("stored", [sp.csr_matrix, sp.csc_matrix, np.asarray])
@pytest.mark.filterwarnings("ignore:Treating an array-like:DeprecationWarning")
def test_one_gene_as_a_column_of_obs(stored, tmp_path) -> None:
    ad.AnnData(stored(VALUES)).write_h5ad(tmp_path / "a.h5ad")
    adata = lo.read_h5ad(tmp_path / "a.h5ad")
    ways = {
        "compute": adata[:, "3"].X.compute(),
        "lazy": adata[:, "3"].X,
        "toarray": adata[:, "3"].X.toarray(),
        "asarray": np.asarray(adata[:, "3"].X),
        "vector": adata.obs_vector("3"),
        "column": adata.X[:, 3],
        "block": adata.X[:, [3]].compute(),
        "flat": adata[:, "3"].X.flatten(),
    }
    for name, values in ways.items():
        adata.obs[name] = values
        assert adata.obs[name].dtype == np.float32
        np.testing.assert_array_equal(adata.obs[name], VALUES[:, 3])
    with pytest.raises(ValueError, match=r"1D|dimension"):
        adata.obs["all"] = adata.X.compute()


def test_lazy_arrays_in_uns_and_raw_are_loaded_and_written(tmp_path) -> None:
    def made(module):
        adata = module.AnnData(VALUES, varm={"d": da.ones((M, 4), chunks=2)})
        adata.uns = {
            "top": da.ones(4),
            "n": {"d": da.ones(4), "m": {"s": da.zeros((2, 2))}, "k": 1},
        }
        adata.raw = adata.copy()
        return adata

    adata, other = made(lo), made(ad)
    loaded, expected = adata.to_memory(), other.to_memory()
    for x, y in ((loaded, expected), (lo.AnnData.compute(adata), expected)):
        np.testing.assert_array_equal(x.uns["top"], y.uns["top"])
        np.testing.assert_array_equal(x.uns["n"]["d"], y.uns["n"]["d"])
        for value in (
            x.uns["top"],
            x.uns["n"]["d"],
            x.uns["n"]["m"]["s"],
            x.raw.varm["d"],
            x.varm["d"],
        ):
            assert type(value) is np.ndarray
    assert isinstance(adata.uns["n"]["d"], da.Array)
    adata.write_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(
        ad.read_h5ad(tmp_path / "a.h5ad").uns["n"]["m"]["s"], np.zeros((2, 2))
    )
    opened = lo.read_h5ad(tmp_path / "a.h5ad")
    opened.uns["new"] = {"d": da.arange(3)}
    opened.write()
    np.testing.assert_array_equal(ad.read_h5ad(tmp_path / "a.h5ad").uns["new"]["d"], np.arange(3))


@pytest.mark.parametrize("place", ["obsm", "varm"])
def test_awkward_arrays_are_copied(place: str) -> None:
    ak = pytest.importorskip("awkward")
    n = N if place == "obsm" else M
    for module in (ad, lo):
        adata = module.AnnData(np.ones((N, M)))
        put(adata, place, ak.Array([{"x": k} for k in range(n)]))
        copy = adata.copy()
        copies = [copy] if module is ad else [copy, adata[:], adata.to_memory(copy=True)]
        for other in copies:
            got(other, place)["x"] = np.full(n, -1)
            assert got(adata, place)["x"].tolist() == list(range(n))
