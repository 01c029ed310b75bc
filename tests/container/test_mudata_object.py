"""MuData as a whole: its text, copies, memory, dask, and mudata's own objects."""

from __future__ import annotations

from pathlib import Path

import dask
import dask.array as da
import h5py
import numpy as np
import pytest

import lazyomics as lo
from tests.container.mudata_cases import (
    assert_same_mudata,
    modalities,
    no_pulling,
    quiet,
    scverse_mudata,
)

mudata = pytest.importorskip("mudata", reason="compares with mudata")


def shown(mdata: object) -> str:
    """The text of a mudata object, without what anndata 0.13 lists for X among the layers."""
    return repr(mdata).replace("None, ", "").replace(", None", "")


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_text(axis: int) -> None:
    mods = modalities("partial")
    ours, theirs = lo.MuData(mods, axis=axis), scverse_mudata(mods, axis)
    for mdata in (ours, theirs):
        mdata.obs["donor"] = "d"
        mdata.uns["note"] = "n"
        mdata.obsm["X_joint"] = np.zeros((mdata.n_obs, 2))
    assert repr(ours) == shown(theirs)
    assert repr(ours.mod).splitlines()[1] == f"├─ rna AnnData ({ours['rna'].n_obs} x 9)"


def test_text_of_one_and_no_modality() -> None:
    assert "1 modality" in repr(lo.MuData({"rna": modalities()["rna"]}))
    assert "0 modalities" in repr(lo.MuData())


def test_copies_are_independent() -> None:
    mdata = lo.MuData(modalities(), obsm={"X_joint": np.ones((12, 2))}, uns={"a": {"b": 1}})
    twin = mdata.copy()
    twin.obs["new"] = 1
    twin.obsm["X_joint"][:] = 0
    twin["rna"].obs["leiden"] = "x"
    twin.uns["a"]["b"] = 2
    del twin.mod["adt"]
    assert list(mdata.mod) == ["rna", "atac", "adt"]
    assert "new" not in mdata.obs.columns
    assert mdata.obsm["X_joint"].all()
    assert mdata.uns["a"]["b"] == 1


class _Counted:
    """Blocks that count how often they are made."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        self.made += 1
        return block


def shared_blocks() -> tuple[lo.MuData, _Counted]:
    counted = _Counted()
    x = da.from_array(np.arange(24.0).reshape(12, 2), chunks=(4, 2))
    x = x.map_blocks(counted, dtype=x.dtype, meta=np.empty((0, 0)))
    counted.made = 0
    raw, doubled = lo.AnnData(x), lo.AnnData(x * 2, layers={"plain": x})
    for adata in (raw, doubled):
        adata.obs_names = [f"c{k}" for k in range(12)]
    doubled.var_names = ["a", "b"]
    return lo.MuData({"raw": raw, "doubled": doubled}), counted


def test_shared_blocks_are_computed_once() -> None:
    mdata, counted = shared_blocks()
    done = mdata.compute()
    assert counted.made == 3
    np.testing.assert_array_equal(done["doubled"].X, 2 * done["raw"].X)
    assert isinstance(mdata["raw"].X, da.Array)


def test_dask_computes_and_persists_it() -> None:
    mdata, counted = shared_blocks()
    (done,) = dask.compute(mdata)
    assert counted.made == 3
    assert isinstance(done, lo.MuData)
    assert isinstance(done["raw"].X, np.ndarray)
    assert dask.is_dask_collection(mdata)
    (kept,) = dask.persist(mdata)
    assert counted.made == 6
    assert isinstance(kept["raw"].X, da.Array)
    kept.compute()
    assert counted.made == 6
    mdata.persist().compute()
    assert counted.made == 9


def test_sizes() -> None:
    mdata = lo.MuData(modalities())
    rna = mdata["rna"].__sizeof__()
    assert mdata.__sizeof__() > rna + mdata["atac"].__sizeof__()
    assert mdata.nbytes >= mdata.__sizeof__() - 1000


@pytest.mark.parametrize("cells", ["same", "partial"])
def test_to_and_from_mudata(cells: str) -> None:
    mods = modalities(cells)
    ours = lo.MuData(mods)
    ours.obs["donor"] = np.arange(ours.n_obs)
    ours.obsm["X_joint"] = np.random.default_rng(0).random((ours.n_obs, 2))
    with no_pulling(), quiet():
        theirs = ours.to_mudata()
    assert isinstance(theirs, mudata.MuData)
    assert_same_mudata(ours, theirs)
    back = lo.MuData.from_mudata(theirs)
    assert_same_mudata(back, theirs)


def test_what_mudata_pulled_by_itself_is_not_kept() -> None:
    with quiet():
        theirs = mudata.MuData({m: a.to_anndata() for m, a in modalities("partial").items()})
    back = lo.MuData.from_mudata(theirs)
    assert "rna:leiden" not in back.obs.columns
    assert "rna:leiden" in back.obs


def test_pickles_with_its_joined_columns() -> None:
    import pickle

    mdata = lo.MuData(modalities("partial"))
    mdata.obs["donor"] = np.arange(mdata.n_obs)
    twin = pickle.loads(pickle.dumps(mdata))
    assert twin.obs["donor"].tolist() == mdata.obs["donor"].tolist()
    assert twin.obs["rna:leiden"].equals(mdata.obs["rna:leiden"])
    assert not hasattr(mdata, "rna")


def test_a_modality_cannot_be_a_mudata(tmp_path: Path) -> None:
    """mudata holds such an object in memory, but fails to write it: there is no file format."""
    inner = lo.MuData({m: modalities()[m] for m in ("atac", "adt")})
    with pytest.raises(lo.errors.UnsupportedError, match=r"'sub'.*mdata\.mod\.update"):
        lo.MuData({"rna": modalities()["rna"], "sub": inner})
    outer = lo.MuData({"rna": modalities()["rna"]})
    outer.mod.update(inner.mod)
    outer.update()
    assert list(outer.mod) == ["rna", "atac", "adt"]
    with quiet():
        theirs = mudata.MuData({"rna": modalities()["rna"].to_anndata(), "sub": inner.to_mudata()})
        with pytest.raises(AttributeError, match="items"):
            theirs.write(tmp_path / "nested.h5mu")
    with pytest.raises(lo.errors.UnsupportedError, match="'sub' is a MuData itself"):
        lo.MuData.from_mudata(theirs)
    outer.write(tmp_path / "flat.h5mu")
    with h5py.File(tmp_path / "flat.h5mu", "r+") as file:
        file.create_group("mod/adt/mod/inner")
    with pytest.raises(lo.errors.FileFormatError, match="found a group of modalities"):
        lo.read_h5mu(tmp_path / "flat.h5mu")
