"""Observations and variables kept in place, as muon keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo

KEPT = np.array([True, False, True, True, False, True])


def made() -> lo.AnnData:
    x = np.arange(24.0).reshape(6, 4) % 7
    adata = lo.AnnData(sp.csr_matrix(x), obsm={"e": x}, layers={"c": sp.csr_matrix(x)})
    adata.obs["n"], adata.obs["kept"] = [5, 1, 6, 7, 2, 9], KEPT
    adata.var["n"], adata.var["kept"] = [5, 1, 6, 7], KEPT[:4]
    adata.obs["kind"] = pd.Categorical(list("abcdef"))
    return adata


def stored(path: Path, where: str) -> lo.AnnData:
    adata = made()
    if where == "memory":
        return adata
    adata.write_h5ad(path)
    return lo.read_h5ad(path)


@pytest.mark.parametrize("where", ["memory", "file"])
@pytest.mark.parametrize(
    ("axis", "key", "func"),
    [
        ("obs", "n", lambda n: n > 4),
        ("obs", "kept", None),
        ("obs", KEPT, None),
        ("obs", ["0", "5", "3", "2", "none"], None),
        ("obs", "1", lambda x: x > 2),
        ("var", "n", lambda n: n > 4),
        ("var", "kept", None),
        ("var", ["0", "3", "2"], None),
        ("var", "2", lambda x: x > 0),
    ],
)
def test_what_is_left_is_the_selection(tmp_path: Path, where, axis, key, func) -> None:
    adata, same = stored(tmp_path / "a.h5ad", where), made()
    values = {"1": same.X[:, [1]], "2": same.X[[2]]}.get(key) if isinstance(key, str) else None
    if values is not None:
        mask = func(values.toarray().ravel())
    else:
        mask = KEPT if axis == "obs" else KEPT[:4]
    getattr(lo.pp, f"filter_{axis}")(adata, key, func)
    expected = same[mask] if axis == "obs" else same[:, mask]
    assert adata.obs_names.equals(expected.obs_names)
    assert adata.var_names.equals(expected.var_names)
    pd.testing.assert_frame_equal(adata.obs, expected.obs)
    pd.testing.assert_frame_equal(adata.var, expected.var)
    assert (adata.to_memory().X != expected.X).nnz == 0
    assert (adata.to_memory().layers["c"] != expected.layers["c"]).nnz == 0
    np.testing.assert_array_equal(adata.obsm["e"], expected.obsm["e"])


def both() -> lo.MuData:
    rna, prot = made(), made()[::-1].copy()
    prot.obs_names = ["7", "5", "4", "8", "2", "0"]
    prot.var_names = ["p", "q", "r", "s"]
    return lo.MuData({"rna": rna, "prot": prot})


@pytest.mark.parametrize("opened", [False, True])
def test_modalities_follow(tmp_path: Path, opened: bool) -> None:
    mdata = both()
    mdata.obs["n"] = np.arange(mdata.n_obs)
    if opened:
        mdata.write_h5mu(tmp_path / "a.h5mu")
        mdata = lo.read_h5mu(tmp_path / "a.h5mu")
    rna = mdata.mod["rna"]
    expected = mdata[mdata.obs["n"].to_numpy() % 2 == 0]
    lo.pp.filter_obs(mdata, "n", lambda n: n % 2 == 0)
    assert mdata.mod["rna"] is rna  # whoever holds it goes on with it
    for name in ("rna", "prot"):
        assert mdata.mod[name].obs_names.equals(expected.mod[name].obs_names)
        found, known = mdata.mod[name].to_memory().X, expected.mod[name].to_memory().X
        assert (found != known).nnz == 0
        np.testing.assert_array_equal(mdata.obsmap[name], expected.obsmap[name])
    lo.pp.filter_var(mdata, ["p", "0", "1"])
    assert list(mdata.var_names) == ["0", "1", "p"]
    assert list(mdata.mod["prot"].var_names) == ["p"]


def test_what_all_modalities_have() -> None:
    mdata = both()
    lo.pp.intersect_obs(mdata)
    assert list(mdata.obs_names) == ["0", "2", "4", "5"]
    assert list(mdata.mod["rna"].obs_names) == ["0", "2", "4", "5"]
    assert sorted(mdata.mod["prot"].obs_names) == ["0", "2", "4", "5"]
    with pytest.raises(TypeError, match=r"pp\.intersect_obs takes a MuData, found AnnData"):
        lo.pp.intersect_obs(made())


def test_what_says_nothing_is_refused() -> None:
    adata, mdata = made(), both()
    with pytest.raises(ValueError, match="no column of obs and none of the var_names"):
        lo.pp.filter_obs(adata, "what")
    with pytest.raises(ValueError, match="func says what to keep"):
        lo.pp.filter_obs(adata, "n")
    with pytest.raises(ValueError, match="func has nothing"):
        lo.pp.filter_obs(adata, ["0"], lambda x: x)
    with pytest.raises(TypeError, match="expected bool"):
        lo.pp.filter_obs(adata, "n", lambda n: n * 2)
    with pytest.raises(lo.errors.ShapeError, match=r"shape \(2,\), expected \(6,\)"):
        lo.pp.filter_obs(adata, "n", lambda n: n[:2] > 3)
    with pytest.raises(ValueError, match="no column of obs; there are"):
        lo.pp.filter_obs(mdata, "1", lambda x: x)
    assert adata.shape == (6, 4)
