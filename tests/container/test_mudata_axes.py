"""Names and positions of a MuData: as mudata derives them, whatever modalities share."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from tests.container.mudata_cases import (
    CELLS,
    assert_same_axis,
    assert_same_mudata,
    modalities,
    modality,
    no_pulling,
    quiet,
    scverse_mudata,
)

pytest.importorskip("mudata", reason="compares with mudata")


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("cells", list(CELLS))
@pytest.mark.parametrize("names", ["own", "in common"])
def test_built_from_modalities_as_mudata_does(axis: int, cells: str, names: str) -> None:
    mods = modalities(cells, names)
    assert_same_mudata(lo.MuData(mods, axis=axis), scverse_mudata(mods, axis))


@pytest.mark.parametrize("axis", [0, 1])
def test_names_repeated_in_modalities(axis: int) -> None:
    mods = {
        "rna": modality("rna", [0, 1, 1, 2], 5, names="own"),
        "atac": modality("atac", [1, 2, 0, 1], 4, names="own", seed=1),
    }
    mods["rna"].var_names = ["a", "b", "a", "c", "d"]
    mods["atac"].var_names = ["x", "y", "x", "z"]
    ours, theirs = lo.MuData(mods, axis=axis), scverse_mudata(mods, axis)
    assert ours.shape == theirs.shape
    for name in ("obs", "var"):
        assert list(getattr(ours, f"{name}_names")) == list(getattr(theirs, f"{name}_names"))
        for mod in mods:
            mine, other = getattr(ours, f"{name}map")[mod], getattr(theirs, f"{name}map")[mod]
            np.testing.assert_array_equal(mine, np.ravel(other))


def test_given_tables_and_arrays_are_aligned() -> None:
    mods = modalities("partial")
    n = lo.MuData(mods).n_obs
    names = list(lo.MuData(mods).obs_names)[::-1]
    obs = pd.DataFrame({"donor": [f"d{k}" for k in range(n)]}, index=names)
    embedding = np.arange(2.0 * n).reshape(n, 2)
    ours = lo.MuData(mods, obs=obs, obsm={"X_joint": embedding}, uns={"note": "x"})
    theirs = scverse_mudata(mods, 0, obs=obs.copy(), obsm={"X_joint": embedding}, uns={"note": "x"})
    assert_same_mudata(ours, theirs)


def test_one_anndata_is_split_by_feature_types() -> None:
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    kinds = ["Gene Expression", "Peaks", "Peaks", "Antibody Capture", "Gene Expression", "Other"]
    adata = lo.AnnData(x, var=pd.DataFrame({"feature_types": kinds}, index=list("abcdef")))
    mdata = lo.MuData(adata)
    assert {m: a.n_vars for m, a in mdata.mod.items()} == {
        "rna": 2,
        "atac": 2,
        "prot": 1,
        "Other": 1,
    }
    assert list(lo.MuData(lo.AnnData(x)).mod) == ["data"]


@pytest.mark.parametrize("change", ["filter", "reorder", "add", "remove", "filter genes"])
def test_update_follows_modalities(change: str) -> None:
    mods = modalities("partial")
    ours, theirs = lo.MuData(mods), scverse_mudata(mods)
    for mdata in (ours, theirs):
        mdata.obs["donor"] = [f"d{k}" for k in range(mdata.n_obs)]
        mdata.obsm["X_joint"] = np.arange(2.0 * mdata.n_obs).reshape(-1, 2)
    if change == "filter":
        for mdata in (ours, theirs):
            mdata.mod["rna"] = mdata.mod["rna"][[0, 2, 4]].copy()
    elif change == "reorder":
        for mdata in (ours, theirs):
            mdata.mod["rna"] = mdata.mod["rna"][::-1].copy()
    elif change == "add":
        more = modality("hto", [30, 2, 31], 2, seed=9)
        ours.mod["hto"] = more
        theirs.mod["hto"] = more.to_anndata()
    elif change == "remove":
        del ours.mod["adt"], theirs.mod["adt"]
    else:
        for mdata in (ours, theirs):
            mdata.mod["atac"] = mdata.mod["atac"][:, [1, 3, 5]].copy()
    ours.update()
    with no_pulling(), quiet():
        theirs.update()
    for name in ("obs", "var"):
        names = list(getattr(theirs, f"{name}_names"))
        assert sorted(getattr(ours, f"{name}_names")) == sorted(names)
    if change != "remove":  # mudata keeps the membership of a modality that is gone
        for name in ("obs", "var"):
            assert_same_axis(ours, theirs, name)
    joined = pd.Series(theirs.obs["donor"].to_numpy(), index=theirs.obs_names)
    mine = pd.Series(ours.obs["donor"].to_numpy(), index=ours.obs_names)
    pd.testing.assert_series_equal(
        mine.dropna(), joined.dropna()[mine.dropna().index], check_dtype=False
    )
    assert len(ours.obsm["X_joint"]) == ours.n_obs


def test_update_keeps_all_when_names_change() -> None:
    ours = lo.MuData(modalities("same"))
    ours.obs["donor"] = np.arange(12)
    ours.obsm["X_joint"] = np.arange(24.0).reshape(12, 2)
    for adata in ours.mod.values():
        adata.obs_names = [f"new-{name}" for name in adata.obs_names]
    ours.update()
    assert list(ours.obs_names) == [f"new-c{k}" for k in range(12)]
    assert ours.obs["donor"].tolist() == list(range(12))
    assert not np.isnan(ours.obsm["X_joint"]).any()


def test_new_cells_have_no_neighbours() -> None:
    mods = modalities("same")
    mdata = lo.MuData({k: mods[k] for k in ("rna", "atac")})
    mdata.obsp["graph"] = sp.eye_array(12, format="csr", dtype=np.float32)
    mdata.mod["adt"] = modality("adt", [3, 40], 2)
    mdata.update()
    graph = mdata.obsp["graph"]
    assert graph.shape == (13, 13)
    assert graph.dtype == np.float32
    assert graph.sum() == 12


def test_using_a_changed_modality_without_update_says_so() -> None:
    mdata = lo.MuData(modalities("same"))
    mdata.mod["rna"] = mdata["rna"][:5]
    with pytest.raises(lo.errors.ShapeError, match=r"'rna' has 5 obs.*update\(\)"):
        mdata[:3]
    with pytest.raises(lo.errors.ShapeError, match=r"update\(\)"):
        mdata.obs["rna:leiden"]


def test_renaming_reaches_the_modalities() -> None:
    mods = modalities("partial")
    ours, theirs = lo.MuData(mods), scverse_mudata(mods)
    names = [f"x{k}" for k in range(ours.n_obs)]
    ours.obs_names = names
    with no_pulling(), quiet():
        theirs.obs_names = names
    for mod in mods:
        assert list(ours[mod].obs_names) == list(theirs[mod].obs_names)
    assert list(ours.obs_names) == names
    with pytest.raises(lo.errors.ShapeError):
        ours.var_names = ["too", "few"]


@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("name", ["obs", "var"])
def test_tables_of_the_whole_follow_new_names(name: str, looked: bool) -> None:
    """Also when the table of the axis is looked at between the two."""
    ours = lo.MuData(modalities("partial"))
    ours.mod["more"] = modality("more", [3, 40], 2)
    ours.update()
    arrays = getattr(ours, f"{name}m")
    index = getattr(ours, f"{name}_names")
    arrays["table"] = pd.DataFrame({"n": np.arange(len(index))}, index=index)
    names = [f"x{k}" for k in range(len(index))]
    setattr(ours, f"{name}_names", names)
    if looked:
        assert list(getattr(ours, name).index) == names
    assert list(getattr(ours, f"{name}m")["table"].index) == names


@pytest.mark.parametrize("how", ["select", "select twice", "copy", "to_memory", "update", "pickle"])
@pytest.mark.parametrize("name", ["obs", "var"])
def test_tables_of_the_whole_have_new_names_in_what_is_made_of_it(name: str, how: str) -> None:
    """Nothing looks at the tables between the new names and what is done next."""
    ours = lo.MuData(modalities("partial"))
    index = getattr(ours, f"{name}_names")
    table = pd.DataFrame({"n": np.arange(len(index))}, index=index)
    getattr(ours, f"{name}m")["table"] = table
    setattr(ours, f"{name}_names", [f"x{k}" for k in range(len(index))])
    if how.startswith("select"):
        made = ours[::-1, ::-1]
        made = made[::-1, ::-1] if how == "select twice" else made
    elif how == "update":
        ours.mod["more"] = modality("more", [3, 40], 2)
        ours.update()
        made = ours
    else:
        made = pickle.loads(pickle.dumps(ours)) if how == "pickle" else getattr(ours, how)()
    held = getattr(made, f"{name}m")["table"]
    assert list(held.index) == list(getattr(made, f"{name}_names"))
    numbers = held["n"].dropna()
    assert numbers.tolist() == [int(text[1:]) for text in numbers.index]
    assert len(numbers) == len(index)


@pytest.mark.parametrize("name", ["obs", "var"])
def test_a_modality_is_renamed_after_its_entries(name: str) -> None:
    ours = lo.MuData(modalities("partial"))
    before = getattr(ours, name)
    before["n"] = np.arange(len(before))
    names = [f"x{k}" for k in range(len(before))]
    setattr(ours, f"{name}_names", names)
    ours.mod["gex"] = ours.mod.pop("rna")
    ours.update()
    assert list(getattr(ours, name).index) == names
    assert getattr(ours, name)["n"].tolist() == list(range(len(names)))


def test_a_modality_is_renamed_after_its_names_were_made_unique() -> None:
    ours = lo.MuData(modalities("same", "in common"))
    ours.var["n"] = np.arange(ours.n_vars)
    with pytest.warns(UserWarning, match="in common"):
        ours.var_names_make_unique()
    names = list(ours.var_names)
    ours.mod["gex"] = ours.mod.pop("rna")
    ours.update()
    assert list(ours.var_names) == names
    assert ours.var["n"].tolist() == list(range(ours.n_vars))


def test_unique_names_over_modalities() -> None:
    mods = modalities("same", "in common")
    ours, theirs = lo.MuData(mods), scverse_mudata(mods)
    with pytest.warns(UserWarning, match="in common"):
        ours.var_names_make_unique()
    with no_pulling(), quiet():
        theirs.var_names_make_unique()
    assert list(ours.var_names) == list(theirs.var_names)
    assert ours.var_names.is_unique
    for mod in mods:
        assert list(ours[mod].var_names) == list(theirs[mod].var_names)
    with pytest.raises(TypeError, match="axis=0"):
        ours.obs_names_make_unique()


def test_modalities_are_checked() -> None:
    mdata = lo.MuData(modalities("same"))
    with pytest.raises(TypeError, match="from_anndata"):
        mdata.mod["x"] = mdata["rna"].to_anndata()
    with pytest.raises(ValueError, match="without '/'"):
        mdata.mod["a/b"] = mdata["rna"]
    with pytest.raises(KeyError, match=r"there are \['rna', 'atac', 'adt'\]"):
        mdata["protein"]
    with pytest.raises(ValueError, match="axis"):
        lo.MuData({}, axis=2)
    assert lo.MuData().shape == (0, 0)


def test_wrong_positions_are_refused() -> None:
    mods = {"rna": modality("rna", [0, 1], 2)}
    with pytest.raises(lo.errors.ShapeError, match=r"obsmap\['rna'\]"):
        lo.MuData(mods, obs=mods["rna"].obs[[]], obsmap={"rna": [1, 1]})


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
def test_pairs_of_new_cells_are_missing_as_in_mudata(dtype: type) -> None:
    """mudata 0.4 fills real numbers with NaN; whole numbers, like 0.3 everything, with −1."""
    mods = modalities("partial")
    first = {m: mods[m] for m in ("rna", "atac")}
    n = len(lo.MuData(first).obs_names)
    between = np.arange(float(n * n)).reshape(n, n).astype(dtype)
    ours, theirs = (make(first) for make in (lo.MuData, scverse_mudata))
    for mdata, added in ((ours, mods["adt"]), (theirs, mods["adt"].to_anndata())):
        mdata.obsp["distances"] = between
        mdata.obsp["graph"] = sp.csr_matrix(between)
        mdata.mod["adt"] = added
    ours.update()
    new = ~np.isin(np.asarray(ours.obs_names), np.asarray(lo.MuData(first).obs_names))
    assert 0 < new.sum() < ours.n_obs
    old = np.flatnonzero(~new)
    assert np.isnan(ours.obsp["distances"][new]).all()
    assert np.isnan(ours.obsp["distances"][:, new]).all()
    np.testing.assert_array_equal(ours.obsp["distances"][np.ix_(old, old)], between)
    graph = ours.obsp["graph"]  # a graph stays sparse: there is no edge to a new cell
    assert graph.nnz == np.count_nonzero(between)
    assert graph.dtype == dtype
    np.testing.assert_array_equal(graph.toarray()[np.ix_(old, old)], between)
    if dtype is bool:
        return  # mudata writes −1 into booleans, which makes them True
    with no_pulling(), quiet():
        theirs.update()
    expected = np.asarray(theirs.obsp["distances"])
    missing = np.isnan(expected) | (expected == -1)
    assert list(theirs.obs_names) == list(ours.obs_names)
    np.testing.assert_array_equal(missing, np.isnan(ours.obsp["distances"]))
    np.testing.assert_array_equal(expected[~missing], ours.obsp["distances"][~missing])
