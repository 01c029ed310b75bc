"""Tables of obsm and varm have new names in whatever is made of an object next."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from tests.container.mudata_cases import modalities, modality

pytestmark = pytest.mark.filterwarnings("ignore")
MAPPINGS = {"obs": "obsm", "var": "varm"}


def object_of(kind: str, folder: Path) -> Any:
    """Return an AnnData or a MuData with a table in obsm and one in varm, opened or in memory."""
    holder = (
        modality("rna", [1, 2, 5], 4) if "AnnData" in kind else lo.MuData(modalities("partial"))
    )
    for name, mapping in MAPPINGS.items():
        index = getattr(holder, f"{name}_names")
        table = pd.DataFrame({"n": np.arange(len(index))}, index=index)
        getattr(holder, mapping)["table"] = table
    if "opened" not in kind:
        return holder
    path = folder / ("a.h5ad" if "AnnData" in kind else "a.h5mu")
    holder.write(path)
    return lo.read(path)


def given(holder: Any, name: str, names: list[str]) -> None:
    table = getattr(holder, name).copy()
    table.index = names
    setattr(holder, name, table)


def in_place(holder: Any, name: str, names: list[str]) -> None:
    getattr(holder, name).index = names


def assigned(holder: Any, name: str, names: list[str]) -> None:
    setattr(holder, f"{name}_names", names)


def written(holder: Any, folder: Path) -> Any:
    path = folder / ("b.h5ad" if hasattr(holder, "X") else "b.h5mu")
    holder.write(path)
    return lo.read(path)


def saved(holder: Any, folder: Path) -> Any:
    if not holder.isbacked:
        pytest.skip("in memory")
    holder.write()
    return lo.read(holder.filename)


def without_columns(holder: Any, folder: Path) -> Any:
    if not hasattr(holder, "X"):
        pytest.skip("a MuData keeps its tables")
    del holder.obs
    del holder.var
    return written(holder, folder)


def joined(holder: Any, folder: Path) -> Any:
    return lo.concat([holder], axis=0, merge="same")


def as_one(holder: Any, folder: Path) -> Any:
    if hasattr(holder, "X"):
        pytest.skip("is one")
    return holder.to_anndata(join="outer")


def of_scverse(holder: Any, folder: Path) -> Any:
    pytest.importorskip("mudata")
    return holder.to_anndata() if hasattr(holder, "X") else holder.to_mudata()


MADE: dict[str, Callable[[Any, Path], Any]] = {
    "selected": lambda holder, folder: holder[::-1, ::-1],
    "selected twice": lambda holder, folder: holder[::-1, ::-1][::-1, ::-1],
    "copied": lambda holder, folder: holder.copy(),
    "in memory": lambda holder, folder: holder.to_memory(),
    "computed": lambda holder, folder: holder.compute(),
    "persisted": lambda holder, folder: holder.persist(),
    "pickled": lambda holder, folder: pickle.loads(pickle.dumps(holder)),
    "written": written,
    "saved": saved,
    "without columns": without_columns,
    "joined": joined,
    "as one": as_one,
    "of scverse": of_scverse,
}


@pytest.mark.parametrize("how", MADE)
@pytest.mark.parametrize("rename", [given, in_place, assigned], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", MAPPINGS)
@pytest.mark.parametrize("kind", ["AnnData", "opened AnnData", "MuData", "opened MuData"])
def test_nothing_looks_at_the_tables_before(
    kind: str, name: str, rename: Callable[..., None], how: str, tmp_path: Path
) -> None:
    holder = object_of(kind, tmp_path)
    if how == "joined" and name == "var":
        pytest.skip("a join has no varm but by merging, which goes by names")
    if "MuData" in kind and rename is not assigned:
        pytest.skip("names of the whole are those of the modalities")
    count = len(getattr(holder, name))
    names = [f"x{k}" for k in range(count)]
    rename(holder, name, names)
    made = MADE[how](holder, tmp_path)
    held = getattr(made, MAPPINGS[name])["table"]
    assert list(held.index) == list(getattr(made, f"{name}_names"))
    assert sorted(held.index) == sorted(names)
    assert [f"x{k:.0f}" for k in held["n"]] == list(held.index)


@pytest.mark.parametrize("how", ["looked at", "written", "saved", "selected", "copied"])
@pytest.mark.parametrize("rename", [given, in_place, assigned], ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["AnnData", "opened AnnData"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_raw_has_the_names_of_its_genes(kind, when, rename, how, tmp_path) -> None:
    """A raw that is set after the genes were renamed has their new names, one of before the old."""
    holder = object_of(kind, tmp_path)
    old = list(holder.var_names)
    names = [f"x{k}" for k in range(holder.n_vars)]
    if when == "before":
        holder.raw = holder
    rename(holder, "var", names)
    if when == "after":
        holder.raw = holder
    made = holder if how == "looked at" else MADE[how](holder, tmp_path)
    raw = made.raw
    assert list(raw.var_names) == (names if when == "after" else old)
    assert list(raw.varm["table"].index) == list(raw.var_names)
    if how in ("written", "saved"):
        import anndata

        theirs = anndata.read_h5ad(made.filename).raw
        assert list(theirs.varm["table"].index) == list(raw.var_names)


@pytest.mark.parametrize("again", [given, in_place, assigned], ids=lambda f: f.__name__)
@pytest.mark.parametrize("rename", [given, in_place, assigned], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", MAPPINGS)
@pytest.mark.parametrize("kind", ["AnnData", "opened AnnData"])
def test_names_that_change_twice(kind, name, rename, again, tmp_path) -> None:
    holder = object_of(kind, tmp_path)
    count = len(getattr(holder, name))
    rename(holder, name, [f"x{k}" for k in range(count)])
    again(holder, name, [f"y{k}" for k in range(count)])
    for made in (holder, written(holder, tmp_path)):
        held = getattr(made, MAPPINGS[name])["table"]
        assert list(held.index) == list(getattr(made, f"{name}_names"))
        assert [f"y{k:.0f}" for k in held["n"]] == list(held.index)
