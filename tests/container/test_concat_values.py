"""Values of every kind joined and merged, compared with anndata's concat."""

from __future__ import annotations

from importlib.metadata import version

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from tests.comparing import assert_same_value

ad = pytest.importorskip("anndata", reason="compares with anndata")
ak = pytest.importorskip("awkward", reason="joins rows of any length")

pytestmark = pytest.mark.filterwarnings(
    "ignore:Support for Awkward Arrays",
    "ignore:Outer joins on awkward",
    "ignore:Observation names are not unique",
    "ignore:Variable names are not unique",
    "ignore:.*block_diag",
    "ignore:Misaligned chunks",
    "ignore:Changing the sparsity structure",
)
AT_LEAST_0_13 = version("anndata") >= "0.13"


def groups(*names: str) -> dict:
    """What rank_genes_groups leaves in uns: records with a field for each group."""
    dtype = [(name, "U6") for name in names]
    scores = [(name, "f4") for name in names]
    return {
        "params": {"groupby": "kind", "method": "t-test"},
        "names": np.array([tuple("ab" for _ in names), tuple("cd" for _ in names)], dtype=dtype),
        "scores": np.array([tuple(1.0 for _ in names), tuple(np.nan for _ in names)], dtype=scores),
    }


RECORDS = np.array([(1, 2.0), (3, np.nan)], dtype=[("a", "i4"), ("b", "f8")])
ROWS = ak.Array([[1, 2], [], [3]])
UNS = {
    "groups": (groups("x", "y"), groups("x", "y")),
    "other groups": (groups("x", "y"), groups("x", "z")),
    "more groups": (groups("x"), groups("x", "z")),
    "records": (RECORDS, RECORDS.copy()),
    "records, other values": (RECORDS, RECORDS[::-1].copy()),
    "records, other fields": (RECORDS, np.array([("x",)], dtype=[("name", "U3")])),
    "records, other types": (RECORDS, RECORDS.astype([("a", "i8"), ("b", "f8")])),
    "records, other texts": (
        np.array([("ab",)], dtype=[("n", "U2")]),
        np.array([("ab",)], dtype=[("n", "U9")]),
    ),
    "records and numbers": (RECORDS, np.arange(2)),
    "recarrays": (RECORDS.view(np.recarray), RECORDS.copy().view(np.recarray)),
    "ragged": (ROWS, ak.Array([[1, 2], [], [3]])),
    "ragged, other values": (ROWS, ak.Array([[1, 2], [], [4]])),
    "ragged, other lengths": (ROWS, ROWS[:2]),
    "ragged, other fields": (ak.Array([{"a": 1}]), ak.Array([{"b": 1}])),
    "ints and longer ints": (np.arange(3, dtype="i4"), np.arange(3, dtype="i8")),
    "ints and floats": (np.arange(3), np.arange(3.0)),
    "floats with gaps": (np.array([1, np.nan]), np.array([1, np.nan])),
    "texts": (np.array(["a", "bb"]), np.array(["a", "bb"], dtype="U9")),
    "texts and objects": (np.array(["a", "bb"]), np.array(["a", "bb"], dtype=object)),
    "boxes": (np.ones((2, 2, 2)), np.ones((2, 2, 2))),
    "numbers": (1, 1),
    "number and text": (1, "1"),
    "nothing": (None, None),
    "lists": ([1, 2], [1, 2]),
    "lists, other": ([1, 2], [1, 3]),
    "mapping and number": ({"a": 1}, 1),
    "mappings": ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}),
    "tables": (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 2]})),
    "tables, other": (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]})),
    "sparse": (sp.csr_matrix(np.eye(2)), sp.csr_matrix(np.eye(2))),
    "sparse, other": (sp.csr_matrix(np.eye(2)), sp.csr_matrix(np.eye(2) * 2)),
    "sparse and dense": (sp.csr_matrix(np.eye(2)), np.eye(2)),
    "dense and sparse": (np.eye(2), sp.csr_matrix(np.eye(2))),
    "sparse and other dense": (sp.csr_matrix(np.eye(2)), np.ones((2, 2))),
    "sparse and dense of another shape": (sp.csr_matrix(np.eye(2)), np.ones((2, 3))),
    "only one": (np.arange(2), ...),
}


def assert_same(ours, theirs, where: str) -> None:
    if isinstance(theirs, ak.Array):
        assert isinstance(ours, ak.Array), where
        assert ours.to_list() == theirs.to_list(), where
        return
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs), where
        for key, value in theirs.items():
            assert_same(ours[key], value, f"{where}/{key}")
        return
    assert_same_value(ours, theirs, where)


@pytest.mark.parametrize("rule", ["same", "unique", "first", "only"])
@pytest.mark.parametrize("kind", UNS)
def test_uns_is_merged_as_in_anndata(kind: str, rule: str) -> None:
    found = []
    for module in (lo, ad):
        parts = [
            module.AnnData(np.ones((2, 2)), uns={} if value is ... else {"v": value})
            for value in UNS[kind]
        ]
        found.append(dict(module.concat(parts, uns_merge=rule, index_unique="-").uns))
    assert_same(found[0], found[1], kind)


def test_lists_of_other_lengths_inside_of_uns() -> None:
    """anndata raises what numpy says of them."""
    parts = [lo.AnnData(np.ones((2, 2)), uns={"v": v}) for v in ([[1], [1, 2]], [[1], [1, 2]])]
    assert "v" in lo.concat(parts, uns_merge="same", index_unique="-").uns
    parts[1].uns["v"] = [[1], [1, 3]]
    assert "v" not in lo.concat(parts, uns_merge="same", index_unique="-").uns


def x_of(dtype: str, stored: str):
    values = np.arange(6).reshape(2, 3) % 2 if dtype == "?" else np.arange(6).reshape(2, 3)
    return {"dense": np.asarray, "csr": sp.csr_matrix, "csc": sp.csc_matrix}[stored](
        values.astype(dtype)
    )


@pytest.mark.parametrize("how", ["file", "given"])
@pytest.mark.parametrize(
    ("join", "fill"), [("inner", None), ("outer", None), ("outer", 0), ("outer", 2.5)]
)
@pytest.mark.parametrize("stored", ["dense", "csr", "csc"])
@pytest.mark.parametrize("dtypes", ["i4 i4", "i8 f4", "u1 i2", "f4 f8", "? ?", "? i4"])
def test_types_of_x_and_layers(dtypes, stored, join, fill, how, tmp_path) -> None:
    names = (["a", "b", "c"], ["b", "c", "d"])
    theirs, ours = [], []
    for k, (dtype, var) in enumerate(zip(dtypes.split(), names, strict=True)):
        x = x_of(dtype, stored)
        one = ad.AnnData(x, obs=pd.DataFrame(index=[f"{k}0", f"{k}1"]), var=pd.DataFrame(index=var))
        one.layers["l"] = x.copy()
        theirs.append(one)
        if how == "file":
            one.write_h5ad(tmp_path / f"{k}.h5ad")
            ours.append(lo.read_h5ad(tmp_path / f"{k}.h5ad"))
            continue
        mine = lo.AnnData.from_anndata(one)
        if how == "given":
            block = type(x)
            for place in ("X", "l"):
                lazy = da.from_array(np.asarray(one.to_df()), chunks=(1, 3))
                if stored != "dense":
                    lazy = lazy.map_blocks(block, dtype=x.dtype, meta=block((0, 0), dtype=x.dtype))
                if place == "X":
                    mine.X = lazy
                else:
                    mine.layers["l"] = lazy
        ours.append(mine)
    options = {"join": join, "fill_value": fill}
    expected = ad.concat(theirs, **options)
    found = lo.concat(ours, **options).to_memory()
    for mine, their in ((found.X, expected.X), (found.layers["l"], expected.layers["l"])):
        assert sp.issparse(mine) == sp.issparse(their)
        dense_mine, dense_their = (
            m.toarray() if sp.issparse(m) else np.asarray(m) for m in (mine, their)
        )
        if their.dtype == object:  # booleans with gaps, which anndata cannot write
            dense_their = dense_their.astype(mine.dtype)
        elif AT_LEAST_0_13 and their.dtype == np.int64 and mine.dtype.kind in "iu":
            # anndata 0.13 fills dense integers as int64, 0.12 and lazyomics keep their type.
            assert mine.dtype in (np.int64, np.result_type(*dtypes.split()))
        else:
            assert mine.dtype == their.dtype
        np.testing.assert_array_equal(dense_mine, dense_their)


COLUMNS = {
    "bool, absent": ([True, False], None),
    "bool, bool": ([True, False], [False, False]),
    "bool, ints": ([True, False], [1, 2]),
    "bool, objects": ([True, False], pd.Series([True, None], dtype=object)),
    "bool, nullable": ([True, False], pd.array([True, None], dtype="boolean")),
    "nullable, absent": (pd.array([True, None], dtype="boolean"), None),
    "categories of booleans, bool": (pd.Categorical([True, False]), [True, False]),
    "categories of booleans, absent": (pd.Categorical([True, False]), None),
    "ints, absent": ([1, 2], None),
    "ints, floats": ([1, 2], [0.5, 1]),
    "nullable ints, absent": (pd.array([1, None], dtype="Int32"), None),
    "categories": (pd.Categorical(["b", "a"]), pd.Categorical(["c", "a"])),
    "categories, absent": (pd.Categorical(["b", "a"]), None),
    "categories, texts": (pd.Categorical(["b", "a"]), ["c", "a"]),
    "ordered": (
        pd.Categorical(["b", "a"], ["b", "a"], ordered=True),
        pd.Categorical(["b", "b"], ["b", "a"], ordered=True),
    ),
    "texts, absent": (["x", "y"], None),
}


@pytest.mark.parametrize(("join", "again"), [("inner", False), ("outer", False), ("outer", True)])
@pytest.mark.parametrize("place", ["obs", "obsm"])
@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_of_tables(kind: str, place: str, join: str, again: bool) -> None:
    found = []
    for module in (lo, ad):
        parts = []
        for k, values in enumerate(COLUMNS[kind]):
            table = pd.DataFrame({"n": [1.0, 2.0]}, index=[f"{k}0", f"{k}1"])
            if values is not None:
                table["v"] = np.asarray(values) if isinstance(values, list) else values
                if isinstance(values, pd.Series):
                    table["v"] = values.to_numpy()
            obs = table if place == "obs" else table[[]]
            obsm = {} if place == "obs" else {"t": table}
            parts.append(module.AnnData(np.ones((2, 1)), obs=obs, obsm=obsm))
        made = module.concat(parts, join=join)
        if again:  # what became objects the first time
            other = parts[0].copy()
            other.obs_names = ["20", "21"]
            made = module.concat([made, other], join=join)
        found.append(made.obs if place == "obs" else made.obsm["t"])
    pd.testing.assert_frame_equal(found[0], found[1])


OBSM = {
    "vectors": (np.arange(2.0), np.arange(2.0)),
    "vector, absent": (np.arange(2.0), None),
    "vector, matrix": (np.arange(2.0), np.ones((2, 3))),
    "ints, absent": (np.arange(4).reshape(2, 2), None),
    "bool, absent": (np.eye(2, dtype=bool), None),
    "other widths": (np.ones((2, 2)), np.ones((2, 3))),
    "boxes": (np.ones((2, 2, 2)), np.zeros((2, 2, 2))),
    "sparse": (sp.csr_matrix(np.eye(2)), sp.csc_matrix(np.eye(2))),
    "sparse, dense": (sp.csr_matrix(np.eye(2)), np.ones((2, 2))),
    "ragged": (ak.Array([[1], [1, 2]]), ak.Array([[], [3]])),
    "ragged, absent": (ak.Array([[1], [1, 2]]), None),
    "absent, ragged": (None, ak.Array([[1], [1, 2]])),
    "ragged records": (ak.Array([{"x": 1}, {"x": 2}]), ak.Array([{"x": 3}, {"x": 4}])),
    "other fields": (
        ak.Array([{"x": 1, "y": 0}, {"x": 2, "y": 0}]),
        ak.Array([{"x": 3, "z": "a"}, {"x": 4, "z": "b"}]),
    ),
}


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize("kind", OBSM)
def test_obsm_is_joined_as_in_anndata(kind: str, join: str, empty: bool) -> None:
    found = []
    for module in (lo, ad):
        parts = []
        for k, values in enumerate(OBSM[kind]):
            one = module.AnnData(np.ones((2, 2), "f4"), obs=pd.DataFrame(index=[f"{k}0", f"{k}1"]))
            if values is not None:
                one.obsm["m"] = values
            parts.append(one)
        if empty:
            parts.insert(1, parts[0][:0].copy())
            parts.append(module.AnnData(np.ones((0, 2), "f4")))
        try:
            found.append(module.concat(parts, join=join))
        except Exception as error:
            if module is lo:
                raise
            pytest.skip(f"anndata cannot: {error}")
    assert set(found[0].obsm) == set(found[1].obsm)
    if "m" not in found[1].obsm:
        return
    ours, theirs = (a.obsm["m"] for a in found)
    if isinstance(theirs, ak.Array):
        assert ours.to_list() == theirs.to_list()
        assert str(ours.type) == str(theirs.type)
    elif sp.issparse(theirs):
        assert type(ours).__name__ == type(theirs).__name__
        np.testing.assert_array_equal(ours.toarray(), theirs.toarray())
    else:
        np.testing.assert_array_equal(np.asarray(ours, "f8"), np.asarray(theirs, "f8"))
        assert theirs.dtype == object or ours.dtype == theirs.dtype


@pytest.mark.parametrize("rule", ["same", "unique", "first", "only"])
def test_ragged_arrays_of_genes_in_an_outer_join(rule: str) -> None:
    """anndata gives genes that an object lacks the values of its last gene."""
    names = (["a", "b", "c"], ["b", "c", "d"])
    rows = (ak.Array([[1], [2, 2], []]), ak.Array([[2, 2], [], [4]]))
    parts = [
        lo.AnnData(np.ones((1, 3)), var=pd.DataFrame(index=index), varm={"r": values})
        for index, values in zip(names, rows, strict=True)
    ]
    inner = lo.concat(parts, join="inner", merge=rule, index_unique="-")
    theirs = [
        ad.AnnData(np.ones((1, 3)), var=pd.DataFrame(index=index), varm={"r": values})
        for index, values in zip(names, rows, strict=True)
    ]
    expected = ad.concat(theirs, join="inner", merge=rule, index_unique="-")
    assert set(inner.varm) == set(expected.varm)
    if "r" in expected.varm:
        assert inner.varm["r"].to_list() == expected.varm["r"].to_list() == [[2, 2], []]
    outer = lo.concat(parts, join="outer", merge=rule, index_unique="-")
    if rule == "first":
        assert outer.varm["r"].to_list() == [[1], [2, 2], [], None]
    else:  # they differ in the genes that one of them lacks
        assert "r" not in outer.varm
    single = lo.concat([parts[0], parts[1][:, :0]], join="outer", merge="first", index_unique="-")
    assert single.varm["r"].to_list() == rows[0].to_list()


def test_joined_awkward_arrays_are_written(tmp_path) -> None:
    parts = [
        lo.AnnData(np.ones((2, 1)), obsm={"r": ak.Array([[1], [1, 2]])}),
        lo.AnnData(np.ones((1, 1))),
    ]
    lo.concat(parts, join="outer", index_unique="-").write_h5ad(tmp_path / "a.h5ad")
    assert ad.read_h5ad(tmp_path / "a.h5ad").obsm["r"].to_list() == [[1], [1, 2], None]


SIDE_BY_SIDE = {
    "vectors": (np.arange(2.0), np.arange(2)),
    "vector, absent": (np.arange(2.0), None),
    "bool, absent": (np.eye(2, dtype=bool), None),
    "ragged": (ak.Array([[1], [1, 2]]), ak.Array([[], [3]])),
    "ragged, absent": (ak.Array([[1], [1, 2]]), None),
    "sparse, absent": (sp.csr_matrix(np.eye(2)), None),
}


@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize("stored", ["dense", "csr"])
@pytest.mark.parametrize("dtype", ["i4", "?"])
@pytest.mark.parametrize("kind", SIDE_BY_SIDE)
def test_objects_beside_each_other(kind: str, dtype: str, stored: str, join: str) -> None:
    found = []
    for module in (lo, ad):
        parts = []
        for k, values in enumerate(SIDE_BY_SIDE[kind]):
            x = x_of(dtype, stored).T
            one = module.AnnData(
                x.tocsr() if sp.issparse(x) else x.copy(),
                obs=pd.DataFrame({"n": [1, 2, 3]}, index=list("abcd")[k : k + 3]),
                var=pd.DataFrame({"b": [True, False]}, index=[f"{k}0", f"{k}1"]),
            )
            one.layers["l"] = one.X.copy()
            one.obsm["o"] = np.arange(3)[:, None] + k
            if k == 0:
                one.var["only"] = [True, False]
            if values is not None:
                one.varm["m"] = values
            parts.append(one)
        found.append(module.concat(parts, axis="var", join=join, merge="first"))
    ours, theirs = found
    pd.testing.assert_frame_equal(ours.var, theirs.var)
    pd.testing.assert_frame_equal(ours.obs, theirs.obs)
    assert set(ours.varm) == set(theirs.varm)
    for mine, their in (
        (ours.X, theirs.X),
        (ours.layers["l"], theirs.layers["l"]),
        *((m, theirs.varm[key]) for key, m in ours.varm.items()),
        *((m, theirs.obsm[key]) for key, m in ours.obsm.items()),
    ):
        if isinstance(their, ak.Array):
            assert mine.to_list() == their.to_list()
            continue
        assert sp.issparse(mine) == sp.issparse(their)
        if their.dtype == object:  # booleans with gaps, which anndata cannot write
            np.testing.assert_array_equal(np.asarray(mine), their.astype(mine.dtype))
        else:
            assert mine.dtype == their.dtype
            np.testing.assert_array_equal(
                *(m.toarray() if sp.issparse(m) else m for m in (mine, their))
            )


@pytest.mark.parametrize("merge", ["same", "unique", "first", "only"])
@pytest.mark.parametrize("axis", ["obs", "var"])
def test_merged_booleans_with_gaps_can_be_written(axis: str, merge: str, tmp_path) -> None:
    """They are nullable, as in anndata 0.13; in 0.12 they become objects."""
    other = "var" if axis == "obs" else "obs"
    parts = []
    for names, column in ((list("abc"), "one"), (list("bcd"), "two")):
        table = pd.DataFrame({column: [True, False, True], "n": [1, 2, 3]}, index=names)
        parts.append(lo.AnnData(np.ones((3, 3), dtype=np.float32), **{other: table}))
    for join, dtype in (("outer", pd.BooleanDtype()), ("inner", np.dtype(bool))):
        joined = lo.concat(parts, axis=axis, join=join, merge=merge, index_unique="-")
        found = getattr(joined, other)
        kept = [c for c in ("one", "two") if c in found]
        assert bool(kept) == (merge != "same")
        assert all(found[c].dtype == dtype for c in kept)
        joined.write(tmp_path / f"{join}.h5ad")
        again = getattr(ad.read_h5ad(tmp_path / f"{join}.h5ad"), other)
        pd.testing.assert_frame_equal(again, found, check_column_type=False)
        if AT_LEAST_0_13:
            theirs = [p.to_anndata() for p in parts]
            expected = ad.concat(theirs, axis=axis, join=join, merge=merge, index_unique="-")
            pd.testing.assert_frame_equal(found, getattr(expected, other), check_column_type=False)


@pytest.mark.parametrize("stored", ["dense", "csr"])
@pytest.mark.parametrize("fill", [0, 1.5, -1, None, True])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int64", "float32"])
def test_what_an_object_lacks_is_of_the_type_of_the_fill_value(dtype, fill, stored) -> None:
    found = []
    for module in (lo, ad):
        values = np.eye(2).astype(dtype)
        tables = [pd.DataFrame(index=list(names)) for names in ("ab", "cd")]
        parts = [module.AnnData(values, obs=table) for table in tables]
        for held in (parts[0].layers, parts[0].obsm):
            held["m"] = values if stored == "dense" else sp.csr_matrix(values)
        joined = module.concat(parts, join="outer", fill_value=fill)
        joined = joined.to_memory() if module is lo else joined
        found.append((joined.layers["m"], joined.obsm["m"]))
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == theirs.dtype
        a, b = (x.toarray() if sp.issparse(x) else np.asarray(x) for x in (ours, theirs))
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("place", ["X", "layers", "obsm", "boxes"])
@pytest.mark.parametrize(("fill", "dtype"), [(-1, "int16"), (300, "uint16"), (7, "uint8")])
def test_unsigned_integers_widen_for_a_fill_value(fill: int, dtype: str, place: str) -> None:
    """anndata 0.12 takes these types, too; 0.13 takes int64."""
    shape = (2, 3, 2) if place == "boxes" else (2, 3)
    wide = np.ones(shape, dtype=np.uint8)
    names = (["a", "b"], ["c", "d"])
    parts = [
        lo.AnnData(np.ones((2, n), np.uint8), obs=pd.DataFrame(index=index))
        for n, index in zip((3, 2), names, strict=True)
    ]
    for part, values in zip(parts, (wide, wide[:, :2]), strict=True):
        if place == "layers":
            part.layers["m"] = values
        elif place != "X":
            part.obsm["m"] = values
    joined = lo.concat(parts, join="outer", fill_value=fill).to_memory()
    found = {"X": joined.X, "layers": joined.layers.get("m")}.get(place, joined.obsm.get("m"))
    assert found.dtype == dtype
    assert set(found[2:, 2].ravel().tolist()) == {fill}
    assert set(found[:2].ravel().tolist()) == {1}
