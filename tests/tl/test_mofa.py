"""tl.mofa against muon, and the variables and cells that it takes."""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import lazyomics as lo

pytestmark = pytest.mark.filterwarnings("ignore")  # of NumPy, about how mofapy2 uses it
OPTIONS = {"n_factors": 3, "n_iterations": 8}


def cells_of(n_obs: int = 40):
    """Cells whose matrices are sparse: muon 0.2 centres a dense one in place, or not at all.

    Names of modalities ascend, because muon 0.2 takes weights in that order.
    """
    random = np.random.default_rng(0)
    z = random.normal(size=(n_obs, 2))
    mods = {}
    for mod, n in {"adt": 5, "rna": 12}.items():
        x = z @ random.normal(size=(2, n)) + 0.1 * random.normal(size=(n_obs, n))
        var = pd.DataFrame(
            {"highly_variable": np.arange(n) % 3 > 0}, index=[f"{mod}{i}" for i in range(n)]
        )
        obs = pd.DataFrame(index=[f"c{i}" for i in range(n_obs)])
        mods[mod] = lo.AnnData(sparse.csr_matrix(x), obs=obs, var=var)
    mdata = lo.MuData(mods)
    mdata.obs["sex"] = np.repeat(["f", "m"], n_obs // 2)
    return mdata


@pytest.mark.parametrize(
    "options",
    [{}, {"use_var": None, "scale_views": True}, {"groups_label": "sex", "scale_groups": True}],
)
def test_equals_muon(options: dict, tmp_path) -> None:
    pytest.importorskip("mofapy2", reason="computes the factors")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        muon = pytest.importorskip("muon", reason="the reference")
        ours = cells_of()
        theirs = ours.to_mudata()
        theirs.var["highly_variable"] = np.concatenate(
            [a.var["highly_variable"] for a in theirs.mod.values()]
        )
        # metadata in pandas 3's text is more than mofapy2 can save
        saved = {"outfile": str(tmp_path / "m.hdf5"), "save_metadata": False}
        muon.tl.mofa(theirs, **saved, **OPTIONS, **options)
    lo.tl.mofa(ours, **OPTIONS, **options)
    np.testing.assert_allclose(ours.obsm["X_mofa"], theirs.obsm["X_mofa"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours.varm["LFs"], theirs.varm["LFs"], rtol=1e-5, atol=1e-7)
    found, expected = ours.uns["mofa"]["params"], theirs.uns["mofa"]["params"]
    for part in ("model", "training"):
        assert found[part] == dict(expected[part])
    assert found["data"].keys() == expected["data"].keys()
    for view, values in theirs.uns["mofa"]["variance"].items():
        for group, explained in values.items() if isinstance(values, dict) else [(None, values)]:
            mine = ours.uns["mofa"]["variance"][view]
            np.testing.assert_allclose(mine if group is None else mine[group], explained, rtol=1e-4)


def test_only_chosen_variables_are_read_once(tmp_path, count_passes) -> None:
    pytest.importorskip("mofapy2", reason="computes the factors")
    mdata = cells_of()
    mdata.write(tmp_path / "x.h5mu")
    opened = lo.read_h5mu(tmp_path / "x.h5mu")
    with count_passes(opened.filename, "mod/rna/X") as passes:
        lo.tl.mofa(opened, **OPTIONS)
    assert passes.values <= 1
    lo.tl.mofa(mdata, **OPTIONS)
    np.testing.assert_array_equal(opened.obsm["X_mofa"], mdata.obsm["X_mofa"])
    left_out = ~np.concatenate([a.var["highly_variable"] for a in mdata.mod.values()])
    assert (mdata.varm["LFs"][left_out] == 0).all()
    x = mdata.mod["rna"].X.toarray()
    x = (x - x.mean(axis=0))[:, np.asarray(mdata.mod["rna"].var["highly_variable"])]
    loadings = mdata.varm["LFs"][5:][~left_out[5:]]
    rest = x - mdata.obsm["X_mofa"] @ loadings.T
    assert (rest**2).sum() < 0.1 * (x**2).sum()
    outfile = tmp_path / "model.hdf5"
    alone = lo.tl.mofa(mdata.mod["rna"], copy=True, outfile=str(outfile), **OPTIONS)
    assert outfile.exists()
    assert alone.varm["LFs"].shape[0] == 12


@pytest.mark.parametrize("use_obs", ["union", "intersection"])
def test_different_cells(use_obs: str) -> None:
    pytest.importorskip("mofapy2", reason="computes the factors")
    whole = cells_of()
    mdata = lo.MuData({"rna": whole.mod["rna"][5:], "adt": whole.mod["adt"][:-5][::-1]})
    with pytest.raises(ValueError, match="30 of 40 are in all"):
        lo.tl.mofa(mdata, **OPTIONS)
    lo.tl.mofa(mdata, use_obs=use_obs, **OPTIONS)
    known = np.isfinite(mdata.obsm["X_mofa"]).all(axis=1)
    assert known.sum() == (30 if use_obs == "intersection" else 40)


def test_what_cannot_be_is_refused() -> None:
    mdata = cells_of()
    for options, message in (
        ({"groups_label": "age"}, "obs has no 'age'"),
        ({"likelihoods": "normal"}, "likelihoods are 2 of"),
    ):
        with pytest.raises(ValueError, match=message):
            lo.tl.mofa(mdata, **options)
    del mdata.mod["adt"].var["highly_variable"]
    with pytest.raises(ValueError, match=r"var of \['adt'\] has no 'highly_variable'"):
        lo.tl.mofa(mdata)
