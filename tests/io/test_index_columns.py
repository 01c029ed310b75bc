"""Tables whose index is a column too, which share one dataset; tables without order of columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lazyomics as lo
from tests.io.odd_saves import (
    SAVES,
    TABLES,
    adata_of,
    change,
    put,
    read_by_all,
    saved,
    table_of,
    write,
)

pytestmark = pytest.mark.filterwarnings("ignore")


def as_column(table: h5py.Group) -> None:
    """List the index among the columns, as anndata does for ``set_index(…, drop=False)``."""
    table.move(table.attrs["_index"], "barcode")
    table.attrs["_index"] = "barcode"
    order = ["barcode", *table.attrs["column-order"]]
    table.attrs["column-order"] = np.array(order, h5py.string_dtype())


def test_anndata_writes_such_files(tmp_path: Path) -> None:
    adata = adata_of(list("abcd"))
    adata.obs["barcode"] = adata.obs_names
    adata.obs = adata.obs.set_index("barcode", drop=False)
    adata.write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(write(tmp_path, "h5ad"), "r+") as file, h5py.File(tmp_path / "a.h5ad") as other:
        as_column(file["obs"])
        assert file["obs"].attrs["_index"] == other["obs"].attrs["_index"]
        assert set(file["obs"]) == set(other["obs"])
        assert "barcode" in other["obs"].attrs["column-order"]


def delete(data: Any, name: str) -> None:
    del table_of(data, name)["barcode"]


def select(data: Any, name: str) -> None:
    put(data, name, table_of(data, name)[["n"]])


def add(data: Any, name: str) -> None:
    table_of(data, name)["z"] = table_of(data, name)["n"] * 2


def unname(data: Any, name: str) -> None:
    """Change the column, and let the index have no name."""
    table = table_of(data, name)
    table.index.name = None
    table["barcode"] = [f"x{k}" for k in range(len(table))]


CHANGES = {f.__name__: f for f in (delete, select, add, unname)}
FEW = ("h5ad:obs", "h5ad:varm/table", "h5mu:mod/rna/raw/var", "h5mu:obs")
CASES = [
    *((place, kind, "in place") for place in TABLES for kind in CHANGES),
    *((place, "delete", how) for place in FEW for how in SAVES if how != "in place"),
]


@pytest.mark.parametrize(("place", "kind", "how"), CASES)
def test_names_stay(tmp_path: Path, place: str, kind: str, how: str) -> None:
    suffix, name = place.split(":")
    path = write(tmp_path, suffix)
    change(path, lambda file: as_column(file[name]))
    data = lo.read(path)
    names, numbers = list(table_of(data, name).index), list(table_of(data, name)["n"])
    CHANGES[kind](data, name)
    target = saved(data, path, how)
    for found in read_by_all(target):
        table = table_of(found, name)
        assert list(table.index) == names
        assert list(table["n"]) == numbers
        assert ("barcode" in table) is (kind in ("add", "unname"))
        if kind == "add":
            assert list(table["barcode"]) == names
            assert list(table["z"]) == [2 * n for n in numbers]
        if kind == "unname":
            assert list(table["barcode"]) == [f"x{k}" for k in range(len(names))]


@pytest.mark.parametrize(
    ("place", "how"),
    [*((place, "in place") for place in TABLES), *(("h5ad:obs", how) for how in SAVES)],
)
def test_a_column_that_differs_from_the_index_of_its_name(
    tmp_path: Path, place: str, how: str
) -> None:
    suffix, name = place.split(":")
    path = write(tmp_path, suffix)
    change(path, lambda file: as_column(file[name]))
    before, data = path.read_bytes(), lo.read(path)
    table = table_of(data, name)
    table["barcode"] = [f"x{k}" for k in range(len(table))]
    with pytest.raises(ValueError, match=f"{name}'.*both named 'barcode' but differ"):
        saved(data, path, how)
    assert path.read_bytes() == before


@pytest.mark.parametrize("how", ["in place", "replaced"])
@pytest.mark.parametrize("place", ["h5ad:obs", "h5ad:var", "h5mu:mod/rna/obs"])
def test_names_are_changed_and_the_column_stays(tmp_path: Path, place: str, how: str) -> None:
    suffix, name = place.split(":")
    path = write(tmp_path, suffix)
    change(path, lambda file: as_column(file[name]))
    data = lo.read(path)
    if suffix == "h5mu":
        del data.obsm["table"]  # mudata cannot bring a table of the whole to the new order
    names = list(table_of(data, name).index)
    table_of(data, name).index = [f"x{k}" for k in range(len(names))]
    target = saved(data, path, how)
    for found in read_by_all(target):
        assert list(table_of(found, name).index) == [f"x{k}" for k in range(len(names))]
        assert list(table_of(found, name)["barcode"]) == names


@pytest.mark.parametrize("kind", ["add", "rename"])
@pytest.mark.parametrize("place", TABLES)
def test_no_order_of_columns(tmp_path: Path, place: str, kind: str) -> None:
    suffix, name = place.split(":")
    path = write(tmp_path, suffix)
    change(path, lambda file: file[name].attrs.__delitem__("column-order"))
    data = lo.read(path)
    names, numbers = list(table_of(data, name).index), list(table_of(data, name)["n"])
    if kind == "rename":
        table_of(data, name).rename(columns={"n": "m"}, inplace=True)
    else:
        add(data, name)
    target = saved(data, path, "in place")
    for found in read_by_all(target):
        table = table_of(found, name)
        assert list(table.index) == names
        assert list(table["m" if kind == "rename" else "n"]) == numbers
        assert ("z" in table) is (kind == "add")


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("how", ["in place", "replaced", "repacked"])
@pytest.mark.parametrize("kind", ["hidden", "added by another"])
@pytest.mark.parametrize("table", ["obs", "var"])
def test_columns_that_the_object_lacks(
    tmp_path: Path, table: str, kind: str, how: str, repeated: bool
) -> None:
    """Also when names repeat themselves, and the table is written as a whole for new names."""
    path = write(tmp_path, "h5ad", ["a", "a", "b", "b"] if repeated else None)
    change(path, lambda file: file.copy(f"{table}/n", f"{table}/other"))
    change(path, lambda file: add_order(file[table], "other"))
    hidden = {f"{table}_columns": ["n"]} if kind == "hidden" else {}
    adata = lo.read_h5ad(path, **hidden)
    assert "z" not in getattr(adata, table)
    if kind != "hidden":
        other = lo.read_h5ad(path)
        getattr(other, table)["z"] = [7, 8, 9, 10]
        other.write()
    names = ["p", "p", "q", "q"] if repeated else list("pqrs")
    setattr(adata, f"{table}_names", names)
    getattr(adata, table)["n"] = [5, 6, 7, 8]
    target = saved(adata, path, "replaced" if how == "replaced" else "in place")
    if how == "repacked":
        lo.repack(path)
    for found in [*read_by_all(target), lo.read_h5ad(target).to_memory()]:
        held = getattr(found, table)
        assert list(held.index) == names
        assert list(held["other"]) == [0, 1, 2, 3]
        assert list(held["n"]) == [5, 6, 7, 8]
        if kind != "hidden":
            assert list(held["z"]) == [7, 8, 9, 10]


def add_order(table: h5py.Group, column: str) -> None:
    order = [*table.attrs["column-order"], column]
    table.attrs["column-order"] = np.array(order, h5py.string_dtype())


@pytest.mark.parametrize("table", ["mod/rna/obs", "mod/rna/var", "mod/rna/raw/var", "obs"])
def test_columns_that_a_mudata_lacks(tmp_path: Path, table: str) -> None:
    """Another process added a column, and the names, of raw repeated ones, changed here."""
    path = write(tmp_path, "h5mu")
    data, other = lo.read_h5mu(path), lo.read_h5mu(path)
    table_of(data, table)["n"]
    table_of(other, table)["z"] = [7, 8, 9, 10]
    other.write()
    del data.obsm["table"]  # mudata cannot bring a table of the whole to the new order
    held = table_of(data, table)
    if table != "obs":
        held.index = list("ppqq" if "raw" in table else "pqrs")
    held["y"] = [1, 2, 3, 4]
    names = list(held.index)
    target = saved(data, path, "in place")
    for found in read_by_all(target):
        assert list(table_of(found, table).index) == names
        assert list(table_of(found, table)["z"]) == [7, 8, 9, 10]
        assert list(table_of(found, table)["y"]) == [1, 2, 3, 4]


@pytest.mark.parametrize("table", ["obs", "var"])
def test_columns_that_were_not_opened_stay_when_x_is_written(tmp_path: Path, table: str) -> None:
    path = write(tmp_path, "h5ad")
    change(path, lambda file: file.copy(f"{table}/n", f"{table}/other"))
    change(path, lambda file: add_order(file[table], "other"))
    adata = lo.read_h5ad(path, **{f"{table}_columns": []})
    for target in (saved(adata, path, "replaced"), saved(adata, path, "replaced")):
        for found in read_by_all(target):
            assert list(getattr(found, table)["other"]) == [0, 1, 2, 3]
            assert list(getattr(found, table)["n"]) == [0, 1, 2, 3]
    copy = adata.copy(filename=tmp_path / "copy.h5ad")  # a copy of what was opened
    assert list(getattr(copy, table)) == []
    assert list(getattr(lo.read_h5ad(path), table)["other"]) == [0, 1, 2, 3]


@pytest.mark.parametrize("axis", ["obs", "var"])
@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("route", ["in place", "new", "selection", "copy"])
@pytest.mark.parametrize("kind", ["h5ad", "h5mu"])
def test_a_name_given_to_the_names(tmp_path, axis, loaded, route, kind) -> None:
    """``adata.obs_names.name = …`` while only the names were read."""
    path, target = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    made = lo.AnnData(np.eye(4, dtype="f4"), obs={"n": np.arange(4)}, var={"n": np.arange(4)})
    (made if kind == "h5ad" else lo.MuData({"m": made})).write(path)
    opened = lo.read(path)
    adata = opened if kind == "h5ad" else opened["m"]
    if loaded:
        assert len(getattr(adata, axis).columns) == 1
    before = adata.copy()
    getattr(adata, f"{axis}_names").name = "cell"
    assert getattr(before, f"{axis}_names").name is None
    assert getattr(before, axis).index.name is None
    if route == "in place":
        opened.write()
    else:
        changed = {"new": opened, "selection": opened[1:, :], "copy": opened.copy()}[route]
        changed.write(target)
    again = lo.read(path if route == "in place" else target)
    found = getattr(again if kind == "h5ad" else again["m"], axis)
    assert found.index.name == "cell"
    assert found["n"].tolist() == list(range(1 if route == "selection" and axis == "obs" else 0, 4))
