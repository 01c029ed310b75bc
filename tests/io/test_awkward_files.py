"""Awkward arrays in whole files: opened, subset, joined, written and saved as anndata does it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lazyomics as lo
from lazyomics.errors import ShapeError, UnsupportedError

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")
ak = pytest.importorskip("awkward", reason="reads ragged arrays")

# anndata's own words on them
pytestmark = pytest.mark.filterwarnings(
    "ignore:Support for Awkward Arrays", "ignore:Outer joins on awkward"
)

N = 10


def reference(seed: int = 0, n: int = N) -> ad.AnnData:
    made = ad.AnnData(np.eye(n, 3, dtype="float32"))
    made.obs_names = [f"s{seed}c{k}" for k in range(n)]
    made.obsm["ragged"] = ak.Array([list(range(k % 4)) for k in range(n)])
    made.obsm["records"] = ak.Array(
        [[{"shape": i, "text": str(i)} for i in range((k + seed) % 3)] for k in range(n)]
    )
    made.varm["names"] = ak.Array([["a"], [], ["b", "c"]])
    made.uns["nested"] = ak.Array([[1.5, None], None, [[2]]])
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    reference().write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def assert_same(ours: Any, theirs: Any) -> None:
    assert str(ours.type) == str(theirs.type)
    assert ours.to_list() == theirs.to_list()


def test_read(path: Path) -> None:
    adata, expected = lo.read_h5ad(path), reference()
    assert "'ragged', 'records'" in repr(adata)
    assert adata.nbytes > 0
    for key in expected.obsm:
        assert_same(adata.obsm[key], expected.obsm[key])
    assert_same(adata.varm["names"], expected.varm["names"])
    assert_same(adata.uns["nested"], expected.uns["nested"])
    assert_same(adata.to_memory().obsm["records"], expected.obsm["records"])
    assert_same(adata.to_anndata().obsm["records"], expected.obsm["records"])
    assert_same(adata.copy().obsm["records"], expected.obsm["records"])
    assert_same(lo.AnnData.from_anndata(expected).obsm["ragged"], expected.obsm["ragged"])


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize(
    "rows", [[5, 2, 7], slice(None, None, -2), np.arange(N) % 2 == 1, slice(3, 3)]
)
def test_rows(path: Path, tmp_path: Path, rows: Any, loaded: bool) -> None:
    adata, expected = lo.read_h5ad(path), reference()
    if loaded:
        _ = [adata.obsm[key] for key in expected.obsm]
    part = adata[rows, [2, 0]]
    part.write_h5ad(tmp_path / "part.h5ad")
    theirs = ad.read_h5ad(tmp_path / "part.h5ad")
    for made in (part, theirs):
        for key in expected.obsm:
            assert made.obsm[key].to_list() == expected.obsm[key][rows].to_list()
        assert made.varm["names"].to_list() == [["b", "c"], ["a"]]
        assert_same(made.uns["nested"], expected.uns["nested"])


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_written_as_anndata_does(path: Path, tmp_path: Path, compression: str | None) -> None:
    adata = lo.read_h5ad(path)
    _ = adata.obsm["records"]
    adata.write_h5ad(tmp_path / "new.h5ad", compression=compression)
    theirs, expected = ad.read_h5ad(tmp_path / "new.h5ad"), reference()
    for key in expected.obsm:
        assert_same(theirs.obsm[key], expected.obsm[key])


def test_saved_in_place(path: Path) -> None:
    adata = lo.read_h5ad(path)
    _ = adata.obsm["records"], adata.uns["nested"]
    adata.obs["new"] = 1
    with h5py.File(path) as file:
        before = h5py.h5o.get_info(file["obsm/records"].id).addr
    adata.obsm["ragged"] = ak.Array([[k, None] for k in range(N)])
    adata.write()
    with h5py.File(path) as file:  # what did not change stays where it is
        assert h5py.h5o.get_info(file["obsm/records"].id).addr == before
    theirs = ad.read_h5ad(path)
    assert theirs.obsm["ragged"].to_list() == [[k, None] for k in range(N)]
    assert_same(theirs.obsm["records"], reference().obsm["records"])


@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize("lacking", [False, True])
def test_joined(path: Path, tmp_path: Path, join: str, lacking: bool) -> None:
    second = reference(1, 7)
    if lacking:
        del second.obsm["ragged"]
    second.write_h5ad(tmp_path / "b.h5ad")
    paths = [path, tmp_path / "b.h5ad"]
    expected = ad.concat([ad.read_h5ad(p) for p in paths], join=join)
    joined = lo.concat([lo.read_h5ad(p) for p in paths], join=join)
    joined.write_h5ad(tmp_path / "joined.h5ad")
    theirs = ad.read_h5ad(tmp_path / "joined.h5ad")
    assert set(joined.obsm) == set(expected.obsm) == set(theirs.obsm)
    for key in expected.obsm:
        assert_same(joined.obsm[key], expected.obsm[key])
        assert theirs.obsm[key].to_list() == expected.obsm[key].to_list()


def test_lengths_are_checked(path: Path) -> None:
    adata = lo.read_h5ad(path)
    with pytest.raises(ShapeError, match=r"obsm\['bad'\] has shape \(2,\)"):
        adata.obsm["bad"] = ak.Array([[1], []])
    other = reference(1)
    other.obsm["ragged"] = np.ones((N, 2))
    with pytest.raises(UnsupportedError, match="awkward array"):
        lo.concat([adata, lo.AnnData.from_anndata(other)], join="outer")


def test_carried_without_awkward(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    adata = lo.read_h5ad(path)
    with pytest.raises(UnsupportedError, match="install awkward"):
        np.asarray(adata.obsm["ragged"])
    adata.obs["new"] = 1
    adata.write_h5ad(tmp_path / "new.h5ad")
    monkeypatch.undo()
    assert_same(ad.read_h5ad(tmp_path / "new.h5ad").obsm["ragged"], reference().obsm["ragged"])
