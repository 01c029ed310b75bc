"""Selecting observations and variables of a MuData: lazily, as mudata's views show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazyomics as lo
from tests.container.mudata_cases import (
    CELLS,
    assert_same_modality,
    modalities,
    no_pulling,
    quiet,
    scverse_mudata,
)

pytest.importorskip("mudata", reason="compares with mudata")

KEYS = {
    "mask": lambda n, names: np.arange(n) % 3 == 0,
    "labels": lambda n, names: list(names[[4, 1, 2]]),
    "positions": lambda n, names: [5, 0, 3],
    "negative": lambda n, names: np.array([-1, -2]),
    "slice": lambda n, names: slice(2, 9, 2),
    "nothing": lambda n, names: [],
    "everything": lambda n, names: slice(None),
}


def scverse_cut(theirs: Any, rows: Any, cols: Any) -> Any:
    with no_pulling(), quiet():
        return theirs[rows, cols].copy()


def assert_same_cut(ours: Any, theirs: Any) -> None:
    assert ours.shape == theirs.shape
    assert list(ours.obs_names) == list(theirs.obs_names)
    assert list(ours.var_names) == list(theirs.var_names)
    for mod in ours.mod:
        assert_same_modality(ours[mod], theirs[mod])
        np.testing.assert_array_equal(ours.obsmap[mod] > 0, np.ravel(theirs.obsmap[mod]) > 0)


@pytest.mark.parametrize("cells", list(CELLS))
@pytest.mark.parametrize("rows", list(KEYS))
@pytest.mark.parametrize("axis", [0, 1])
def test_rows_and_columns(cells: str, rows: str, axis: int) -> None:
    if axis == 1 and rows == "labels" and cells != "disjoint":
        pytest.skip("labels of cells repeat in modalities that do not share cells")
    mods = modalities(cells)
    ours, theirs = lo.MuData(mods, axis=axis), scverse_mudata(mods, axis)
    key = KEYS[rows](ours.n_obs, ours.obs_names)
    cols = np.arange(ours.n_vars) % 2 == 0
    assert_same_cut(ours[key, cols], scverse_cut(theirs, key, cols))


@pytest.mark.parametrize("cells", list(CELLS))
def test_a_selection_of_a_selection(cells: str) -> None:
    mods = modalities(cells)
    ours, theirs = lo.MuData(mods), scverse_mudata(mods)
    once = ours[np.arange(ours.n_obs) % 4 != 0]
    other = scverse_cut(theirs, np.arange(ours.n_obs) % 4 != 0, slice(None))
    assert_same_cut(once, other)
    twice, other = once[::-1][[0, 2, 1]], scverse_cut(other, slice(None, None, -1), slice(None))
    assert_same_cut(twice, scverse_cut(other, [0, 2, 1], slice(None)))


def test_by_a_joined_column() -> None:
    mdata = lo.MuData(modalities("partial"))
    wanted = mdata.obs["rna:leiden"].isin(["0", "1"])
    cut = mdata[wanted]
    assert cut.n_obs == wanted.sum()
    assert set(cut["rna"].obs["leiden"]) <= {"0", "1"}
    assert cut["rna"].n_obs == wanted.sum()
    assert list(cut.obs_names) == list(mdata.obs_names[wanted])


def test_names_of_modalities() -> None:
    mdata = lo.MuData(modalities("same"))
    assert mdata["rna"] is mdata.mod["rna"]
    assert "rna" in mdata
    assert "c1" not in mdata
    assert mdata["c1", :].n_obs == 1
    assert mdata[0].n_obs == 1
    with pytest.raises(KeyError, match="nobody"):
        mdata[["nobody"]]
    with pytest.raises(IndexError):
        mdata[[500]]


def test_assigning_to_a_selection_leaves_its_parent() -> None:
    mdata = lo.MuData(modalities("same"), obsm={"X_joint": np.ones((12, 2))})
    cut = mdata[:4]
    cut.obs["new"] = 1
    cut.obsm["X_joint"][:] = 0
    cut["rna"].obs["leiden"] = "changed"
    cut.uns["new"] = 1
    assert "new" not in mdata.obs.columns
    assert "new" not in mdata.uns
    assert mdata.obsm["X_joint"].all()
    assert "changed" not in set(mdata["rna"].obs["leiden"])


def test_pairs_are_cut_on_both_sides() -> None:
    import scipy.sparse as sp

    graph = sp.random(12, 12, 0.5, format="csr", random_state=0)
    mdata = lo.MuData(modalities("same"), obsp={"graph": graph})
    rows = np.array([3, 1, 7])
    np.testing.assert_array_equal(
        mdata[rows].obsp["graph"].toarray(), graph.toarray()[np.ix_(rows, rows)]
    )


@pytest.mark.parametrize("where", ["memory", "h5mu", "zarr"])
@pytest.mark.parametrize("first", [(slice(None), [1, 9, -1]), ([3, 0, 7], slice(None))])
def test_selections_of_a_selection_that_grew(where: str, first: Any, tmp_path: Path) -> None:
    """A modality that joined a selection of a file is selected with it."""
    mods = modalities("partial")
    name, late = mods.popitem()
    ours, theirs = lo.MuData(mods), scverse_mudata(mods)
    if where == "h5mu":
        ours.write_h5mu(tmp_path / "cells.h5mu")
        ours = lo.read_h5mu(tmp_path / "cells.h5mu")
    elif where == "zarr":
        pytest.importorskip("zarr")
        ours.write_zarr(tmp_path / "cells.zarr")
        ours = lo.read_zarr(tmp_path / "cells.zarr")
    ours, theirs = ours[first], scverse_cut(theirs, *first)
    ours.mod[name], theirs.mod[name] = late, late.to_anndata()
    with no_pulling(), quiet():
        ours.update()
        theirs.update()
    last = ours.n_obs - 1, ours.n_vars - 1
    key = [last[0], 0, last[0] // 2], [last[1], last[1] // 2, 0]
    assert_same_cut(ours[key], scverse_cut(theirs, *key))
    assert_same_cut(ours[key][:2], scverse_cut(theirs, key[0][:2], key[1]))
