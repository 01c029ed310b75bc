"""Names of a whole .h5mu that are others than those of its modalities: the modalities' count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

md = pytest.importorskip("mudata", reason="mudata is the reference of these tests")

pytestmark = pytest.mark.filterwarnings("ignore")
CELLS = {"rna": list("abcd"), "adt": list("bcde")}


def modality(mod: str, axis: int) -> Any:
    cells, genes = CELLS[mod], [f"{mod}{k}" for k in range(3)]
    names = (cells, genes) if axis == 0 else (genes, cells)
    x = np.arange(12, dtype="f4").reshape(len(names[0]), len(names[1]))
    return ad.AnnData(x, obs=pd.DataFrame(index=names[0]), var=pd.DataFrame(index=names[1]))


def write(path: Path, mods: tuple[str, ...], axis: int) -> None:
    mdata = md.MuData({mod: modality(mod, axis) for mod in mods}, axis=axis)
    for name in ("obs", "var"):
        getattr(mdata, name)["row"] = range(len(getattr(mdata, name)))
    mdata.write(path)


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "all with a prefix": lambda names: [f"abund:{name}" for name in names],
    "one of them": lambda names: [names[0], f"other {names[1]}", *names[2:]],
    "two exchanged": lambda names: [names[1], names[0], *names[2:]],
    "none": lambda names: names,
}


def change_names(path: Path, table: str, kind: str) -> None:
    """Store other names."""
    with h5py.File(path, "r+") as file:
        key = file[table].attrs["_index"]
        names = CHANGES[kind](list(ad.io.read_elem(file[table][key])))
        del file[table][key]
        ad.io.write_elem(file[table], key, np.array(names, object))


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("table", ["obs", "var"])
@pytest.mark.parametrize("mods", [("rna",), ("rna", "adt")], ids=len)
def test_names_of_the_modalities_count(
    tmp_path: Path, mods: tuple[str, ...], table: str, kind: str
) -> None:
    path, copy = tmp_path / "m.h5mu", tmp_path / "copy.h5mu"
    write(path, mods, axis=1 if table == "obs" else 0)
    change_names(path, table, kind)
    reference = md.read_h5mu(path)
    expected = [name for mod in mods for name in getattr(reference[mod], f"{table}_names")]
    assert sorted(getattr(reference, f"{table}_names")) == sorted(expected)
    opened = lo.read_h5mu(path)
    opened.write_h5mu(copy)  # nobody looked at the names
    for mdata in (opened, lo.read_h5mu(path, backed=False), lo.read_h5mu(copy)):
        assert list(getattr(mdata, f"{table}_names")) == expected
        assert list(getattr(mdata, table)["row"]) == list(range(len(expected)))
        name = expected[1]
        cut, there = (m[[name]] if table == "obs" else m[:, [name]] for m in (mdata, reference))
        for mod in mods:
            assert list(getattr(cut[mod], f"{table}_names")) == list(
                getattr(there[mod], f"{table}_names") if mod in there.mod else []
            )
        mdata.update()
        assert list(getattr(mdata, f"{table}_names")) == expected
    assert list(getattr(md.read_h5mu(copy), f"{table}_names")) == expected


@pytest.mark.parametrize("table", ["obs", "var"])
@pytest.mark.parametrize("mod", CELLS)
def test_names_changed_in_a_modality(tmp_path: Path, mod: str, table: str) -> None:
    path = tmp_path / "m.h5mu"
    write(path, tuple(CELLS), axis=1 if table == "obs" else 0)
    change_names(path, f"mod/{mod}/{table}", "one of them")
    mdata = lo.read_h5mu(path)
    names = [name for m in CELLS for name in getattr(mdata[m], f"{table}_names")]
    assert list(getattr(mdata, f"{table}_names")) == names
    name = getattr(mdata[mod], f"{table}_names")[1]
    assert name.startswith("other ")
    cut = mdata[[name]] if table == "obs" else mdata[:, [name]]
    assert list(getattr(cut[mod], f"{table}_names")) == [name]


@pytest.mark.parametrize("table", ["obs", "var"])
def test_names_of_a_shared_axis_are_those_of_the_file(tmp_path: Path, table: str) -> None:
    path = tmp_path / "m.h5mu"
    write(path, tuple(CELLS), axis=0 if table == "obs" else 1)
    change_names(path, table, "all with a prefix")
    mdata = lo.read_h5mu(path)
    assert list(getattr(mdata, f"{table}_names")) == [f"abund:{name}" for name in "abcde"]


def test_damaged_positions_leave_the_names(tmp_path: Path) -> None:
    path = tmp_path / "m.h5mu"
    write(path, tuple(CELLS), 0)
    with h5py.File(path, "r+") as file:
        file["varmap/adt"][...] = 7
    mdata = lo.read_h5mu(path)
    assert list(mdata.var_names) == ["rna0", "rna1", "rna2", "adt0", "adt1", "adt2"]
    mdata.update()
    assert list(mdata.varmap["adt"]) == [0, 0, 0, 1, 2, 3]
