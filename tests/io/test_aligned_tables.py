"""Tables in obsm and varm follow the names, or are refused; rows that were dropped are named."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from lazyomics.errors import ShapeError
from tests.io.odd_saves import N, read_by_all, saved, table_of, write

pytestmark = pytest.mark.filterwarnings("ignore")
AXES = {"obsm": "obs", "varm": "var"}


def table(index: Any) -> pd.DataFrame:
    return pd.DataFrame({"n": np.arange(N)}, index=index)


def put_all(data: Any, mapping: str, value: Any) -> None:
    setattr(data, mapping, {"new": value})


ASSIGN: dict[str, Callable[[Any, str, Any], Any]] = {
    "assigned": lambda data, mapping, value: getattr(data, mapping).__setitem__("new", value),
    "updated": lambda data, mapping, value: getattr(data, mapping).update({"new": value}),
    "by default": lambda data, mapping, value: getattr(data, mapping).setdefault("new", value),
    "all": put_all,
    "made of": lambda data, mapping, value: lo.AnnData(
        obs=data.obs, var=data.var, **{mapping: {"new": value}}
    ),
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("aligned")
    mdata = lo.read_h5mu(write(folder, "h5mu"))
    return {"AnnData": lo.read_h5ad(write(folder, "h5ad")), "modality": mdata["rna"], "all": mdata}


@pytest.mark.parametrize("kind", ["others", "another order"])
@pytest.mark.parametrize("how", ASSIGN)
@pytest.mark.parametrize("mapping", AXES)
@pytest.mark.parametrize("holder", ["AnnData", "modality", "all"])
def test_tables_of_other_names_are_refused(
    opened: dict[str, Any], holder: str, mapping: str, how: str, kind: str
) -> None:
    data = opened[holder].copy()
    if holder == "all" and how == "made of":
        pytest.skip("made of modalities")
    names = list(getattr(data, f"{AXES[mapping]}_names"))
    index = names[::-1] if kind == "another order" else [f"x{k}" for k in range(len(names))]
    value = pd.DataFrame({"n": range(len(names))}, index=index)
    message = "in another order" if kind == "another order" else "is named 'x0', expected"
    with pytest.raises(ShapeError, match=rf"{mapping}\['new'\].*{message}"):
        ASSIGN[how](data, mapping, value)
    assert how == "all" or "new" not in getattr(data, mapping)


@pytest.mark.parametrize("mapping", AXES)
def test_tables_of_modalities_are_checked(mapping: str) -> None:
    names = list("abcd")
    parts = {"obs": pd.DataFrame(index=names), "var": pd.DataFrame(index=names)}
    mod = {"rna": lo.AnnData(np.eye(N), **parts)}
    value = table(names[::-1])
    with pytest.raises(ShapeError, match=rf"{mapping}\['new'\].*in another order"):
        lo.MuData(mod, **{mapping: {"new": value}})


def rename(frame: pd.DataFrame) -> None:
    frame.rename(index=lambda name: f"x{name}", inplace=True)


def reset(frame: pd.DataFrame) -> None:
    frame.reset_index(inplace=True, drop=True)


def set_index(frame: pd.DataFrame) -> None:
    frame["key"] = [f"k{k}" for k in range(len(frame))]
    frame.set_index("key", inplace=True)


def set_labels(frame: pd.DataFrame) -> None:
    frame.index = [f"i{k}" for k in range(len(frame))]


def sort(frame: pd.DataFrame) -> None:
    frame.sort_values("n", ascending=False, inplace=True)


def rename_some(frame: pd.DataFrame) -> None:
    frame.rename(index={"a": "first", "g0": "first"}, inplace=True)


CHANGES = {f.__name__: f for f in (rename, reset, set_index, set_labels, sort, rename_some)}


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("kind", [*CHANGES, "given"])
@pytest.mark.parametrize("mapping", AXES)
@pytest.mark.parametrize("suffix", ["h5ad", "h5mu"])
def test_tables_follow_the_names(
    tmp_path: Path, suffix: str, mapping: str, kind: str, read: bool
) -> None:
    """Whether the table was read before or not; what cannot follow is not saved."""
    path, axis = write(tmp_path, suffix), AXES[mapping]
    before = path.read_bytes()
    data = lo.read(path)
    place = ""
    if suffix == "h5mu":
        place = "mod/rna/"
        del data.obsm["table"]  # mudata cannot bring a table of the whole to the new order
    if read:
        table_of(data, f"{place}{mapping}/table")
    frame = table_of(data, f"{place}{axis}")
    if kind == "given":
        changed = frame.copy()
        rename(changed)
        setattr(data if suffix == "h5ad" else data["rna"], axis, changed)
    else:
        CHANGES[kind](frame)
    if kind == "sort":
        for how in ("in place", "new file"):
            with pytest.raises(ShapeError, match=r"another order.*adata\[order\]"):
                saved(data, path, how)
        assert path.read_bytes() == before
        assert not path.with_name(f"new{path.suffix}").exists()
        return
    names = list(table_of(data, f"{place}{axis}").index)
    for how in ("new file", "in place"):
        for found in read_by_all(saved(data, path, how)):
            assert list(table_of(found, f"{place}{axis}").index) == names
            held = table_of(found, f"{place}{mapping}/table")
            assert list(held.index) == names
            assert list(held["n"]) == list(range(N))


@pytest.mark.parametrize("how", ["new file", "in place"])
@pytest.mark.parametrize("mapping", AXES)
@pytest.mark.parametrize("suffix", ["h5ad", "h5mu"])
def test_tables_follow_the_name_of_the_names(
    tmp_path: Path, suffix: str, mapping: str, how: str
) -> None:
    """anndata gives the names themselves to the tables, so that they say what these are of."""
    path, axis = write(tmp_path, suffix), AXES[mapping]
    data = lo.read(path)
    holder = data if suffix == "h5ad" else data["rna"]
    setattr(holder, axis, getattr(holder, axis).rename_axis("given"))
    assert getattr(holder, mapping)["table"].index.name == "given"
    setattr(holder, f"{axis}_names", getattr(holder, f"{axis}_names").rename("assigned"))
    assert getattr(holder, mapping)["table"].index.name == "assigned"
    place = "" if suffix == "h5ad" else "mod/rna/"
    for found in read_by_all(saved(data, path, how)):
        assert table_of(found, f"{place}{axis}").index.name == "assigned"
        assert table_of(found, f"{place}{mapping}/table").index.name == "assigned"


def dropna(frame: pd.DataFrame) -> None:
    frame["gap"] = [1.0, np.nan, *range(len(frame) - 2)]
    frame.dropna(inplace=True)


def drop(frame: pd.DataFrame) -> None:
    frame.drop(index=frame.index[0], inplace=True)


def drop_duplicates(frame: pd.DataFrame) -> None:
    frame["same"] = 1
    frame.drop_duplicates("same", inplace=True)


def add_row(frame: pd.DataFrame) -> None:
    frame.loc["added"] = frame.iloc[0]


LOST = {f.__name__: f for f in (dropna, drop, drop_duplicates, add_row)}
USES: dict[str, Callable[[Any, Path], Any]] = {
    "table": lambda data, path: data.obs if len(data.var) else None,
    "selected": lambda data, path: data[:2],
    "copied": lambda data, path: data.copy(),
    "in memory": lambda data, path: data.to_memory(),
    "saved": lambda data, path: saved(data, path, "in place"),
    "written": lambda data, path: saved(data, path, "new file"),
    "replaced": lambda data, path: saved(data, path, "replaced"),
}
PLACES = (
    "h5ad:obs",
    "h5ad:var",
    "h5ad:raw/var",
    "h5mu:mod/rna/obs",
    "h5mu:mod/rna/var",
    "h5mu:obs",
)


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("place", PLACES)
def test_rows_that_were_dropped(tmp_path: Path, place: str, kind: str) -> None:
    suffix, name = place.split(":")
    path = write(tmp_path, suffix)
    before = path.read_bytes()
    for use, act in USES.items():
        if ("raw" in name or "mod" in name) and use in ("table", "selected"):
            continue  # raw and modalities are looked at when they are used
        data = lo.read(path)
        LOST[kind](table_of(data, name))
        with (
            pytest.raises(ShapeError, match=r"dropped from the table.*adata\[(:, )?mask\]"),
            warnings.catch_warnings(),
        ):
            act(data, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
