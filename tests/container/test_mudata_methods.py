"""Methods and deleters of mudata's MuData, on opened, computed and selected objects."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from tests.container.mudata_cases import (
    assert_same_frame,
    assert_same_matrix,
    assert_same_modality,
    assert_same_mudata,
    dense,
    modalities,
    no_pulling,
    quiet,
    read_with_mudata,
    scverse_mudata,
)

pytest.importorskip("mudata", reason="mudata is the reference of these tests")


def whole(mods, axis=0):
    """A mudata.MuData with something of its own in every part."""
    mdata = scverse_mudata(mods, axis)
    rng = np.random.default_rng(0)
    for name, n in (("obs", mdata.n_obs), ("var", mdata.n_vars)):
        getattr(mdata, name)["own"] = np.arange(n)
        getattr(mdata, name)["text"] = rng.choice(["x10", "x2"], n)
        getattr(mdata, f"{name}m")["arrays"] = rng.random((n, 2))
    mdata.obsp["pairs"] = rng.random((mdata.n_obs, mdata.n_obs))
    mdata.uns["z"], mdata.uns["a"] = 1, 2
    return mdata


@pytest.fixture(params=["opened", "in memory"])
def both(request, tmp_path):
    """The same object of lazyomics and of mudata."""
    theirs = whole(modalities("partial"))
    with no_pulling(), quiet():
        theirs.write_h5mu(tmp_path / "m.h5mu")
    theirs = read_with_mudata(tmp_path / "m.h5mu")
    ours = lo.read_h5mu(tmp_path / "m.h5mu")
    return (ours if request.param == "opened" else ours.to_memory()), theirs


def test_names_of_keys(both) -> None:
    ours, theirs = both
    with quiet():
        for name in ("obs_keys", "var_keys", "obsm_keys", "varm_keys", "uns_keys"):
            assert sorted(getattr(ours, name)()) == sorted(getattr(theirs, name)()), name
        assert ours.mod_names == theirs.mod_names


def test_vectors_are_columns(both) -> None:
    ours, theirs = both
    with quiet():
        for name in ("obs", "var"):
            mine, same = getattr(ours, f"{name}_vector"), getattr(theirs, f"{name}_vector")
            np.testing.assert_array_equal(mine("own"), same("own"))
            np.testing.assert_array_equal(mine("own", layer="counts"), same("own", "counts"))
            for vector in (mine, same):
                with pytest.raises(KeyError):
                    vector("nix")
    assert list(ours.obs_vector("rna:leiden")[:8]) == list(ours["rna"].obs["leiden"])
    with pytest.raises(KeyError, match="rna:leiden"):
        ours.obs_vector("leiden")


def test_text_becomes_categories_everywhere(both) -> None:
    ours, theirs = both
    frame = pd.DataFrame({"t": ["b", "a", "b"]})
    with no_pulling(), quiet():
        for mdata in both:
            table = frame.copy()
            assert mdata.strings_to_categoricals(table) is table
            assert table["t"].dtype == "category"
            assert mdata.strings_to_categoricals() is None
    for name in ("obs", "var"):
        for a, b in zip((ours, *ours.mod.values()), (theirs, *theirs.mod.values()), strict=True):
            mine, same = getattr(a, name).dtypes, getattr(b, name).dtypes
            assert {k: str(v) for k, v in mine.items()} == {k: str(v) for k, v in same.items()}
    assert list(ours.obs["text"].cat.categories) == ["x2", "x10"]


@pytest.mark.parametrize("part", ["uns", "obsm", "varm", "obsp", "varp"])
def test_parts_are_deleted(both, part, tmp_path) -> None:
    ours, theirs = both
    if part in ("obsm", "varm"):  # mudata deletes which entries a modality holds, too
        for key in [k for k in getattr(theirs, part) if k not in theirs.mod]:
            del getattr(theirs, part)[key]
    else:
        delattr(theirs, part)
    delattr(ours, part)
    assert_same_mudata(ours, theirs)
    ours.write(tmp_path / "new.h5mu")
    assert_same_mudata(lo.read_h5mu(tmp_path / "new.h5mu"), theirs)


@pytest.mark.parametrize(
    ("cells", "axis", "options"),
    [
        ("same", 0, {}),
        ("same", 0, {"label": "mod", "merge": "unique"}),
        ("shuffled", 0, {"join": "outer"}),
        ("partial", 0, {"join": "outer", "fill_value": -1}),
        ("disjoint", 1, {"join": "outer"}),
    ],
)
def test_one_anndata(cells, axis, options) -> None:
    mods = modalities(cells, names="own" if axis == 0 else "common")
    theirs = whole(mods, axis)
    with no_pulling(), quiet():
        ours = lo.MuData.from_mudata(theirs)
        expected = theirs.to_anndata(**options)
    # mudata leaves arrays in the order of the whole object, where the names are in another one
    rows = theirs.obs_names.get_indexer(expected.obs_names)
    cols = theirs.var_names.get_indexer(expected.var_names)
    for part, here in (("obsm", rows), ("varm", cols), ("obsp", rows), ("varp", cols)):
        for key, value in getattr(theirs, part).items():
            cut = value[here] if part.endswith("m") else value[np.ix_(here, here)]
            getattr(expected, part)[key] = cut
    assert_same_modality(ours.to_anndata(**options), expected)


def test_one_anndata_of_cells_that_all_modalities_have(both) -> None:
    ours, _ = both
    joined = ours.to_anndata()
    assert isinstance(joined.X, da.Array) == isinstance(ours["rna"].X, da.Array)
    every = [set(adata.obs_names) for adata in ours.mod.values()]
    assert set(joined.obs_names) == set.intersection(*every)
    own = ours.obs["own"][joined.obs_names]
    assert list(joined.obs["own"]) == list(own)
    at = ours.obs_names.get_indexer(joined.obs_names)
    np.testing.assert_array_equal(joined.obsm["arrays"], ours.obsm["arrays"][at])
    assert_same_matrix(joined.obsp["pairs"], dense(ours.obsp["pairs"])[np.ix_(at, at)])


def test_one_anndata_of_a_selection_in_another_order(both) -> None:
    ours, _ = both
    chosen = ours[["c7", "c5"], ["adt-g1", "rna-g3", "adt-g0"]]
    joined = chosen.to_anndata(join="outer")
    assert list(joined.var_names) == ["rna-g3", "adt-g1", "adt-g0"]
    expected = [int(chosen.var["own"][name]) for name in joined.var_names]
    assert joined.var["own"].tolist() == expected
    assert joined.obs["own"].tolist() == [int(ours.obs["own"][n]) for n in joined.obs_names]


def test_one_anndata_of_modalities_that_share_everything(both) -> None:
    ours, theirs = (m({"a": a}, axis=-1) for m, a in ((lo.MuData, both[0]["rna"]),) * 2)
    for mdata in (ours, theirs):
        with pytest.raises(ValueError, match="axis"):
            mdata.to_anndata()


def test_columns_are_pulled_into_a_selection(both) -> None:
    ours, theirs = both
    part = ours[["c7", "c5"], :]
    with no_pulling(), quiet():
        same = theirs[["c7", "c5"], :].copy()  # mudata refuses to pull into a view
        for mdata in (part, same):
            mdata.pull_obs()
            mdata.pull_var(columns=["kind"])
    assert_same_frame(part.obs, same.obs)
    assert_same_frame(part.var, same.var)
    assert list(ours.obs.columns) == ["own", "text"]


def test_name_of_the_names(both) -> None:
    ours, theirs = both
    names = [f"x{k}" for k in range(ours.n_obs)]
    with no_pulling(), quiet():
        for mdata in both:
            mdata.obs_names = names
    for mod in ours.mod:
        assert list(ours[mod].obs_names) == list(theirs[mod].obs_names)
    assert list(ours.obsm.dim_names) == names
    assert list(ours["rna"].obsm.dim_names) == list(ours["rna"].obs_names)
    ours.obs_names = pd.Index(names, name="barcode")  # of which mudata 0.3 makes an error
    assert ours.obs_names.name == "barcode"


def test_an_object_of_another(both) -> None:
    ours, theirs = both
    twin = lo.MuData(ours)
    twin.obs["new"] = 1
    assert "new" not in ours.obs
    del twin.obs["new"]
    assert_same_mudata(twin, theirs)
    with pytest.raises(ValueError, match="give no other part"):
        lo.MuData(ours, obs=ours.obs)
