"""Names that are stored or given as numbers, bytes and others: text, as anndata makes it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from lazyomics.errors import FileFormatError

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

N = 4
KINDS = {
    "int64": np.array([3, 1, 0, 2]),
    "uint8": np.array([3, 1, 0, 2], "u1"),
    "big-endian": np.array([3, 1, 0, 2], ">i4"),
    "float64": np.array([3.0, 1.0, 0.5, 2.0]),
    "float32": np.array([3.0, 1.0, 0.5, 2.0], "f4"),
    "complex": np.array([3, 1, 0, 2j]),
    "bytes": np.array([b"3", b"1", b"0", b"2"]),
}
TABLES = ("obs", "var", "raw/var", "obsm/table", "varm/table")
pytestmark = pytest.mark.filterwarnings("ignore")


def small(module: Any = ad) -> Any:
    adata = module.AnnData(np.arange(N * N, dtype="f4").reshape(N, N))
    adata.obs["group"] = list("abab")
    return adata


def with_tables() -> Any:
    adata = small()
    adata.raw = adata
    adata.obsm["table"] = pd.DataFrame({"x": range(N)}, index=adata.obs_names)
    adata.varm["table"] = pd.DataFrame({"x": range(N)}, index=adata.var_names)
    return adata


def rename(group: h5py.Group, table: str, values: Any, *, marked: bool = True) -> None:
    """Store other names in a table, and in the one of its axis that must agree with it."""
    axes = {"obsm/table": ("obs",), "varm/table": ("var",)}.get(table, ())
    for name in (table, *axes):
        key = group[name].attrs["_index"]
        del group[name][key]
        group[name][key] = values
        if marked:
            kind = {"encoding-type": "array", "encoding-version": "0.2.0"}
            group[name][key].attrs.update(kind)


def as_anndata_reads(path: Path) -> Any:
    """Read a file without its obsm and varm: anndata compares names before they are text."""
    with h5py.File(path) as file:
        parts = {name: ad.io.read_elem(file[name]) for name in ("X", "obs", "var")}
        raw = {name: ad.io.read_elem(file["raw"][name]) for name in ("X", "var")}
    return ad.AnnData(**parts, raw=raw)


def names_in(adata: Any, table: str) -> pd.Index:
    if table == "raw/var":
        return adata.raw.var_names
    mapping, _, key = table.partition("/")
    return getattr(adata, mapping)[key].index if key else getattr(adata, f"{mapping}_names")


def assert_text(found: pd.Index, expected: pd.Index) -> None:
    assert list(found) == list(expected)
    assert all(isinstance(name, str) for name in found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("marked", [True, False], ids=["today", "without-encoding"])
def test_names_of_files_are_text(tmp_path: Path, table: str, kind: str, marked: bool) -> None:
    path = tmp_path / "names.h5ad"
    with_tables().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        rename(file, table, KINDS[kind], marked=marked)
    expected = names_in(as_anndata_reads(path), table.replace("m/table", ""))
    for backed in (True, False):
        adata = lo.read_h5ad(path, backed=backed)
        assert_text(names_in(adata, table), expected)
        assert_text(names_in(adata.to_memory(), table), expected)
        assert_text(names_in(adata[1:], table)[-1:], expected[-1:])
        if table != "raw/var":
            if table == "var":  # its file is not in order: the table in varm has other names
                del adata.varm["table"]
            assert_text(
                names_in(lo.concat([adata], merge="same"), table.replace("obsm/table", "obs")),
                expected,
            )


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_compound_tables_are_text(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "old.h5ad"
    table = np.zeros(N, dtype=[("index", KINDS[kind].dtype), ("n", "i4")])
    table["index"] = KINDS[kind]
    with h5py.File(path, "w") as file:
        file["X"] = file["raw.X"] = np.eye(N)
        file["obs"] = file["var"] = file["raw.var"] = table
    adata, expected = lo.read_h5ad(path), ad.read_h5ad(path)
    for table_name in ("obs", "var", "raw/var"):
        assert_text(names_in(adata, table_name), names_in(expected, table_name))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "big-endian"])  # mudata fails
@pytest.mark.parametrize("axis", ["obs", "var"])
def test_names_of_modalities_are_text(tmp_path: Path, axis: str, kind: str) -> None:
    md = pytest.importorskip("mudata", reason="mudata is the reference of this test")
    path = tmp_path / "names.h5mu"
    other = small()
    other.var_names = [f"p{k}" for k in range(N)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        md.MuData({"rna": small(), "adt": other}).write(path)
    shared = axis == "obs"
    with h5py.File(path, "r+") as file:
        for place in (file, file["mod/rna"], file["mod/adt"]) if shared else (file["mod/rna"],):
            rename(place, axis, KINDS[kind])
    expected = getattr(md.read_h5mu(path)["rna"], f"{axis}_names")
    for mdata in (lo.read_h5mu(path), lo.read_h5mu(path, backed=False)):
        assert_text(getattr(mdata["rna"], f"{axis}_names"), expected)
        if shared:
            assert_text(mdata.obs_names, expected)
            mdata.update()
            assert_text(mdata.obs_names, expected)
        cut = mdata[mdata.obs_names[:2]]
        assert_text(cut["rna"].obs_names, mdata["rna"].obs_names[:2])
    assert_text(getattr(lo.read(f"{path}/rna"), f"{axis}_names"), expected)


GIVEN: dict[str, Callable[[Any, str, Any], Any]] = {
    "made": lambda module, axis, names: module.AnnData(
        np.eye(N), **{axis: pd.DataFrame({"n": range(N)}, index=names)}
    ),
    "assigned table": lambda module, axis, names: _assigned(
        module, axis, pd.DataFrame({"n": range(N)}, index=names)
    ),
    "assigned names": lambda module, axis, names: _assigned(module, f"{axis}_names", names),
}


def _assigned(module: Any, attribute: str, value: Any) -> Any:
    adata = small(module)
    setattr(adata, attribute, value)
    return adata


@pytest.mark.parametrize("kind", [*KINDS, "mixed", "categories", "index"])
@pytest.mark.parametrize("axis", ["obs", "var"])
@pytest.mark.parametrize("how", [*GIVEN, "changed in the table", "X is a table"])
def test_names_that_are_given_are_text(axis: str, kind: str, how: str) -> None:
    names: Any = {
        **KINDS,
        "mixed": np.array(["a", 1, 2.0, "b"], object),
        "categories": pd.Categorical([3, 1, 0, 2]),
        "index": pd.Index([3, 1, 0, 2]),
    }[kind]
    expected = getattr(GIVEN["made"](ad, axis, names), f"{axis}_names")
    if how == "changed in the table":
        adata = small(lo)
        getattr(adata, axis).index = names
    elif how == "X is a table":
        table = pd.DataFrame(np.eye(N), index=pd.Index(names))
        adata = lo.AnnData(table if axis == "obs" else table.T)
    else:
        adata = GIVEN[how](lo, axis, names)
    found = getattr(adata, f"{axis}_names")
    assert_text(found, expected)
    assert getattr(adata, axis).index is found
    cut = adata[found[[2, 0]]] if axis == "obs" else adata[:, found[[2, 0]]]
    assert_text(getattr(cut, f"{axis}_names"), expected[[2, 0]])
    np.testing.assert_array_equal(
        np.asarray(cut.X), np.asarray(adata.X)[[2, 0]] if axis == "obs" else adata.X[:, [2, 0]]
    )
    adata.raw = adata
    assert_text(adata.raw.var_names, adata.var_names)
    assert_text(getattr(lo.concat([adata], merge="same"), f"{axis}_names"), expected)
    assert_text(getattr(lo.MuData({"rna": adata}), f"{axis}_names"), expected)


MISSING = {
    "NA": pd.array(["a", None, "b", "c"], dtype="string"),
    "None": np.array(["a", None, "b", "c"], object),
    "NaN": np.array([1.0, np.nan, 2.0, 3.0]),
    "no category": pd.Categorical(["a", None, "b", "c"]),
}


@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("axis", ["obs", "var"])
@pytest.mark.parametrize("how", [*GIVEN, "changed in the table"])
def test_names_that_are_missing_are_refused(axis: str, kind: str, how: str) -> None:
    if how == "changed in the table":
        adata = small(lo)
        getattr(adata, axis).index = pd.Index(MISSING[kind])
        with pytest.raises(ValueError, match="row 1 has no name"):
            getattr(adata, f"{axis}_names")
        return
    with pytest.raises(ValueError, match="row 1 has no name"):
        GIVEN[how](lo, axis, MISSING[kind])


def test_names_that_are_missing_can_be_replaced() -> None:
    adata = small(lo)
    adata.obs.index = pd.Index(MISSING["NA"])
    adata.obs_names = list("wxyz")
    assert list(adata.obs.index) == list("wxyz")


@pytest.mark.parametrize("kind", ["NA", "NaN", "no category"])
@pytest.mark.parametrize("table", ["obs", "var", "raw/var"])
def test_names_that_are_missing_in_files_name_the_element(
    tmp_path: Path, table: str, kind: str
) -> None:
    path = tmp_path / "missing.h5ad"
    with_tables().write_h5ad(path)
    with h5py.File(path, "r+") as file, ad.settings.override(allow_write_nullable_strings=True):
        key = file[table].attrs["_index"]
        del file[table][key]
        ad.io.write_elem(file[table], key, MISSING[kind])
    adata = lo.read_h5ad(path)
    with pytest.raises(FileFormatError, match=f"missing.h5ad: element '/{table}/{key}'.* row 1 "):
        names_in(adata, table)


@pytest.mark.parametrize("how", GIVEN)
def test_names_of_several_levels_are_refused(how: str) -> None:
    levels = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    with pytest.raises(ValueError, match="2 levels"):
        GIVEN[how](lo, "obs", levels)


@pytest.mark.parametrize(
    ("axis", "key"),
    [("obs", "obs_names"), ("obs", "row_names"), ("var", "var_names"), ("var", "col_names")],
)
def test_names_among_columns(axis: str, key: str) -> None:
    columns = {"n": range(N), key: list("wxyz")}
    adata, expected = (m.AnnData(np.eye(N), **{axis: columns}) for m in (lo, ad))
    pd.testing.assert_frame_equal(getattr(adata, axis), getattr(expected, axis))


@pytest.mark.parametrize(("axis", "key"), [("obs", "col_names"), ("var", "row_names")])
def test_columns_that_are_names_of_the_other_axis(axis: str, key: str) -> None:
    columns = {"n": range(N), key: list("wxyz")}
    adata, expected = (m.AnnData(np.eye(N), **{axis: columns}) for m in (lo, ad))
    pd.testing.assert_frame_equal(getattr(adata, axis), getattr(expected, axis))
