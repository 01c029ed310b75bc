"""Tables with odd lists of columns, and columns that no file holds: read, or an error by name."""

from __future__ import annotations

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

pytestmark = pytest.mark.filterwarnings("ignore")
N = 3
TABLES = ("obs", "var", "raw/var", "obsm/table", "uns/table")


def write(path: Path) -> None:
    adata = ad.AnnData(np.ones((N, N), "f4"))
    table = pd.DataFrame({"n": [3, 1, 2], "g": pd.Categorical(list("aba"))}, adata.obs_names)
    adata.obs = adata.var = table
    adata.raw = adata
    adata.obsm["table"] = adata.uns["table"] = table
    adata.write_h5ad(path)


def table_of(adata: Any, name: str) -> pd.DataFrame:
    place, _, key = name.partition("/")
    held = getattr(adata, place)
    return held.var if place == "raw" else held[key] if key else held


def order(values: Any) -> Callable[[h5py.Group], None]:
    def change(group: h5py.Group) -> None:
        group.attrs["column-order"] = values

    return change


def without(*names: str) -> Callable[[h5py.Group], None]:
    def change(group: h5py.Group) -> None:
        for name in names:
            del group.attrs[name]

    return change


ORDERS: dict[str, tuple[Callable[[h5py.Group], None], list[str]]] = {
    "none": (without("column-order"), ["g", "n"]),
    "none, and no name of the index": (without("column-order", "_index"), ["g", "n"]),
    "bytes": (order(np.array([b"n", b"g"])), ["n", "g"]),
    "bytes with padding": (order(np.array([b"n", b"g"], "S8")), ["n", "g"]),
    "one text": (order("g"), ["g"]),
    "one of bytes": (order(np.bytes_(b"n")), ["n"]),
    "some": (order(["g"]), ["g"]),
    "numbers of none": (order(np.zeros(0)), []),
}


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("table", TABLES)
def test_columns_are_known(tmp_path: Path, table: str, kind: str) -> None:
    path, copy = tmp_path / "a.h5ad", tmp_path / "copy.h5ad"
    write(path)
    expected = table_of(ad.read_h5ad(path), table)
    change, columns = ORDERS[kind]
    with h5py.File(path, "r+") as file:
        change(file[table])
    adata = lo.read_h5ad(path)
    adata.write_h5ad(copy)
    if table in ("obs", "var"):
        assert getattr(adata, f"{table}_keys")() == columns  # known before they are read
    for found in (adata, adata.to_memory(), lo.read_h5ad(copy), ad.read_h5ad(copy)):
        pd.testing.assert_frame_equal(
            table_of(found, table), expected[columns], check_column_type=bool(columns)
        )


DAMAGED: dict[str, tuple[Any, str]] = {
    "unknown": (["n", "zz"], "/zz': expected a group or dataset"),
    "other tables": (["n", "../obs/g"], r"\.\./obs/g'"),
    "numbers": (np.arange(2), "column names in 'column-order', found values of int64"),
    "two dimensions": (np.array([["n", "g"]], object), r"'column-order', .*shape \(1, 2\)"),
    "nothing": (h5py.Empty("S1"), "column names in 'column-order'"),
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("table", TABLES)
def test_columns_that_are_none_are_named(tmp_path: Path, table: str, kind: str) -> None:
    path, copy = tmp_path / "a.h5ad", tmp_path / "copy.h5ad"
    write(path)
    values, message = DAMAGED[kind]
    with h5py.File(path, "r+") as file:
        order(values)(file[table])
    for use in (
        lambda: table_of(lo.read_h5ad(path), table),
        lambda: lo.read_h5ad(path).to_memory(),
        lambda: lo.read_h5ad(path).write_h5ad(copy),
    ):
        with pytest.raises(FileFormatError, match=message):
            use()
    assert not copy.exists()


ASSIGN: dict[str, Callable[[Any, Any], None]] = {
    "obs": lambda adata, values: adata.obs.__setitem__("new", values),
    "var": lambda adata, values: adata.var.__setitem__("new", values),
    "obsm": lambda adata, values: adata.obsm.__setitem__(
        "new", pd.DataFrame({"new": values}, index=adata.obs_names)
    ),
    "uns": lambda adata, values: adata.uns.__setitem__("new", pd.DataFrame({"new": values})),
    "uns array": lambda adata, values: adata.uns.__setitem__("new", {"new": np.asarray(values)}),
    "uns records": lambda adata, values: adata.uns.__setitem__(
        "new", {"new": np.rec.fromarrays([np.asarray(values)], names=["field"])}
    ),
}
PLACES = {
    "obs": "'/obs', column 'new'",
    "var": "'/var', column 'new'",
    "obsm": "'/obsm/new', column 'new'",
    "uns": "'/uns/new', column 'new'",
    "uns array": "/uns/new/new",
    "uns records": "/uns/new/new",
}


def opened(tmp_path: Path, saving: str) -> tuple[Any, Callable[[], None], Path]:
    """An object, how it is saved, and where it is then."""
    path, other = tmp_path / "a.h5ad", tmp_path / "b.h5ad"
    write(path)
    adata = lo.read_h5ad(path)
    if saving == "in place":
        return adata, adata.write, path
    return adata, lambda: adata.write_h5ad(other), other


@pytest.mark.parametrize("saving", ["in place", "new file"])
@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i4", ">u2", ">c8"])
@pytest.mark.parametrize("place", ASSIGN)
def test_the_other_byte_order(tmp_path: Path, place: str, dtype: str, saving: str) -> None:
    values = np.array([3, 1, 2], dtype)
    adata, save, path = opened(tmp_path, saving)
    ASSIGN[place](adata, values)
    cut = adata[[2, 0]]
    if place in ("obs", "obsm"):
        table = cut.obs if place == "obs" else cut.obsm["new"]
        assert list(table["new"]) == [2, 3]
    save()
    for found in (lo.read_h5ad(path), ad.read_h5ad(path)):
        held: Any = getattr(found, place.partition(" ")[0])
        held = held if place in ("obs", "var") else held["new"]
        got = held["new"]["field"] if place == "uns records" else held["new"]
        assert list(got) == [3, 1, 2]


MIXED = {
    "texts and numbers": ["1", 2, 3],
    "bools and NaN": [True, np.nan, False],
    "nothing": [None, None, None],
    "lists": [[1], [2], [3]],
    "tables": [pd.DataFrame(), 1, 2],
}


@pytest.mark.parametrize("saving", ["in place", "new file"])
@pytest.mark.parametrize("kind", MIXED)
@pytest.mark.parametrize("place", ASSIGN)
def test_objects_are_refused_by_name(tmp_path: Path, place: str, kind: str, saving: str) -> None:
    values = np.empty(N, object)
    values[:] = MIXED[kind]
    adata, save, path = opened(tmp_path, saving)
    before = path.read_bytes() if path.exists() else None
    ASSIGN[place](adata, values)
    with pytest.raises(TypeError, match=PLACES[place]):
        save()
    assert (path.read_bytes() if path.exists() else None) == before


RECORDS = {
    "NaN": (np.array(["g1", np.nan], object), TypeError, "holds nan .*field 'a'"),
    "None": (np.array(["g1", None], object), TypeError, "holds None .*field 'a'"),
    "numbers": (np.array([1, 2], object), TypeError, "holds 1 .*field 'a'"),
    "dates": (np.array(["2020", "2021"], "M8[D]"), TypeError, "field 'a' is datetime64"),
    "NUL": (np.array(["g\0x", "y"], object), ValueError, "NULL"),
}


@pytest.mark.parametrize("saving", ["in place", "new file"])
@pytest.mark.parametrize("kind", RECORDS)
def test_records_are_refused_by_name(tmp_path: Path, kind: str, saving: str) -> None:
    values, error, message = RECORDS[kind]
    adata, save, path = opened(tmp_path, saving)
    before = path.read_bytes() if path.exists() else None
    adata.uns["markers"] = {"names": np.rec.fromarrays([values], names=["a"])}
    with pytest.raises(error, match=f"/uns/markers/names: .*{message}"):
        save()
    assert (path.read_bytes() if path.exists() else None) == before
