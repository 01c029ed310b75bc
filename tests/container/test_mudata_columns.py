"""Columns of modalities in obs and var of the whole: joined when asked for, pulled, pushed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from tests.container.mudata_cases import (
    CELLS,
    assert_same_frame,
    assert_same_values,
    modalities,
    no_pulling,
    quiet,
    scverse_mudata,
)

mudata = pytest.importorskip("mudata", reason="compares with mudata")


def pulled(theirs: Any, name: str) -> pd.DataFrame:
    """All columns of all modalities, as mudata 0.3 shows and 0.4 pulls them."""
    with no_pulling(), quiet():
        getattr(theirs, f"pull_{name}")()
    return getattr(theirs, name)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("cells", list(CELLS))
def test_joined_when_asked_for(axis: int, cells: str) -> None:
    mods = modalities(cells)
    ours = lo.MuData(mods, axis=axis)
    for name in ("obs", "var"):
        frame = pulled(scverse_mudata(mods, axis), name)
        for column in frame.columns:
            assert_same_values(getattr(ours, name)[column], frame[column], column)
        assert list(getattr(ours, name).columns) == []


def test_joined_columns_never_go_stale() -> None:
    mdata = lo.MuData(modalities("partial"))
    before = mdata.obs["rna:leiden"]
    mdata["rna"].obs["leiden"] = "new"
    assert set(mdata.obs["rna:leiden"].dropna()) == {"new"}
    assert "new" not in set(before.dropna())
    mdata["rna"].obs["score"] = np.arange(8)
    assert mdata.obs["rna:score"].max() == 7
    del mdata["rna"].obs["score"]
    with pytest.raises(KeyError):
        mdata.obs["rna:score"]


def test_types_of_joined_columns() -> None:
    mdata = lo.MuData(modalities("same"))
    rna = mdata["rna"].obs
    for column in rna.columns:
        assert mdata.obs[f"rna:{column}"].dtype == rna[column].dtype
    partial = lo.MuData(modalities("partial"))
    assert partial.obs["rna:only_rna"].dtype == "Int64"
    assert partial.obs["rna:passed"].dtype == "boolean"
    assert partial.obs["rna:n_counts"].dtype == "float64"
    assert isinstance(partial.obs["rna:leiden"].dtype, pd.CategoricalDtype)


def test_the_table_behaves_like_one() -> None:
    mdata = lo.MuData(modalities("partial"))
    mdata.obs["donor"] = "d"
    assert list(mdata.obs.columns) == ["donor"]
    assert "rna:leiden" in mdata.obs
    assert "rna:nothing" not in mdata.obs
    assert mdata.obs.get("rna:nothing") is None
    chosen = mdata.obs[["donor", "rna:leiden"]]
    assert type(chosen) is pd.DataFrame
    assert list(chosen.columns) == ["donor", "rna:leiden"]
    assert type(mdata.obs.copy()) is pd.DataFrame
    assert type(mdata.obs[mdata.obs["donor"] == "d"]) is pd.DataFrame
    with pytest.raises(KeyError, match="nothing"):
        mdata.obs["nothing"]
    with pytest.raises(KeyError, match="belongs to a modality"):
        del mdata.obs["rna:leiden"]
    mdata.obs["rna:leiden"] = "own"
    assert set(mdata.obs["rna:leiden"]) == {"own"}
    del mdata.obs["rna:leiden"]
    assert set(mdata.obs["rna:leiden"].dropna()) <= {"0", "1", "2"}


OPTIONS: list[dict[str, Any]] = [
    {},
    {"columns": ["leiden"]},
    {"columns": ["rna:leiden", "passed"]},
    {"mods": "rna"},
    {"mods": ["rna", "adt"]},
    {"common": False},
    {"nonunique": False},
    {"unique": False},
    {"prefix_unique": False},
    {"drop": True},
    {"only_drop": True, "columns": ["leiden"]},
    {"join_common": True},
    {"join_nonunique": True},
    {"join_common": False},
]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("cells", ["same", "partial"])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o) or "all")
def test_pull(axis: int, cells: str, options: dict[str, Any]) -> None:
    mods = modalities(cells)
    for name in ("obs", "var"):
        ours, theirs = lo.MuData(mods, axis=axis).copy(), scverse_mudata(mods, axis)
        for mdata in (ours, theirs):
            frame = getattr(mdata, name)
            frame["own"] = np.arange(len(frame))
        shared = axis == (0 if name == "obs" else 1)
        if shared and (options.get("join_common") or options.get("join_nonunique")):
            with pytest.raises(ValueError, match="cannot be joined"):
                getattr(ours, f"pull_{name}")(**options)
            continue
        getattr(ours, f"pull_{name}")(**options)
        with no_pulling(), quiet():
            getattr(theirs, f"pull_{name}")(**options)
        assert_same_frame(getattr(ours, name), getattr(theirs, name))
        for mod in mods:
            assert_same_frame(getattr(ours[mod], name), getattr(theirs[mod], name))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["obs", "var"])
def test_order_of_pulled_and_pushed_columns(name: str, axis: int, own: bool) -> None:
    """By name beside others; a table without columns gets those of one modality as they are."""
    mods = modalities("partial")
    for mod in mods.values():
        frame = getattr(mod, name)
        columns = {key: np.arange(len(frame)) for key in ("z", "b", "y", "a")}
        setattr(mod, name, pd.DataFrame(columns, index=frame.index))
    ours, theirs = lo.MuData(mods, axis=axis).copy(), scverse_mudata(mods, axis)
    for mdata in (ours, theirs):
        if own:
            getattr(mdata, name)["own"] = 1
        with no_pulling(), quiet():
            getattr(mdata, f"pull_{name}")(drop=True)
            getattr(mdata, f"push_{name}")()
    assert list(getattr(ours, name).columns) == list(getattr(theirs, name).columns)
    for mod in mods:
        held, expected = (list(getattr(mdata[mod], name).columns) for mdata in (ours, theirs))
        assert held == expected


def test_pulling_again_overwrites() -> None:
    mods = modalities("partial")
    ours = lo.MuData(mods)
    ours.pull_obs(columns=["leiden"])
    ours["rna"].obs["leiden"] = "new"
    assert "new" not in set(ours.obs["rna:leiden"])
    ours.pull_obs(columns=["leiden"])
    assert "new" in set(ours.obs["rna:leiden"])
    with pytest.warns(RuntimeWarning, match="common is ignored"):
        ours.pull_obs(columns=["leiden"], common=True)


PUSHES: list[dict[str, Any]] = [
    {},
    {"columns": ["donor"]},
    {"columns": ["leiden"]},
    {"mods": "rna"},
    {"common": False},
    {"prefixed": False},
    {"drop": True},
    {"only_drop": True},
]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("cells", ["same", "shuffled", "partial"])
@pytest.mark.parametrize("options", PUSHES, ids=lambda o: "-".join(o) or "all")
def test_push(axis: int, cells: str, options: dict[str, Any]) -> None:
    mods = modalities(cells)
    ours, theirs = lo.MuData(mods, axis=axis).copy(), scverse_mudata(mods, axis)
    for mdata in (ours, theirs):
        n = mdata.n_obs
        mdata.obs["donor"] = [f"d{k}" for k in range(n)]
        mdata.obs["rna:leiden"] = pd.Categorical([f"L{k}" for k in range(n)])
        mdata.obs["atac:depth"] = np.arange(n)
    ours.push_obs(**options)
    with no_pulling(), quiet():
        theirs.push_obs(**options)
    assert_same_frame(ours.obs, theirs.obs)
    for mod in mods:
        assert_same_frame(ours[mod].obs, theirs[mod].obs)


@pytest.mark.parametrize("name", ["obs", "var"])
def test_columns_are_dropped_from_the_tables_that_a_user_holds(name: str) -> None:
    mdata = lo.MuData(modalities("same"))
    parts = {mod: getattr(mdata[mod], name) for mod in mdata.mod}
    moved = {mod: list(frame.columns) for mod, frame in parts.items()}
    getattr(mdata, f"pull_{name}")(drop=True)
    assert any(moved.values())
    assert not any(len(frame.columns) for frame in parts.values())
    whole = getattr(mdata, name)
    assert len(whole.columns)
    getattr(mdata, f"push_{name}")(drop=True)
    assert not len(whole.columns)
    assert all(set(moved[mod]) <= set(getattr(mdata[mod], name).columns) for mod in moved)


def test_push_refuses_what_is_ambiguous() -> None:
    mdata = lo.MuData(modalities("same"))
    mdata.obs["leiden"] = "a"
    mdata.obs["rna:leiden"] = "b"
    with pytest.raises(ValueError, match="with and without the prefix"):
        mdata.push_obs()
    with pytest.raises(KeyError, match="no modality 'x'"):
        mdata.pull_obs(mods="x")
