"""Data sets of scanpy: the same values, found offline or with a clear message."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from lazyomics.datasets import scanpy_sets
from lazyomics.errors import FileFormatError, MissingDependencyError
from tests.comparing import assert_same_anndata

sc = pytest.importorskip("scanpy", reason="compares with scanpy")


@pytest.mark.filterwarnings("ignore")  # theirs have repeated names and old layouts
@pytest.mark.parametrize("name", ["blobs", "krumsiek11", "toggleswitch", "pbmc68k_reduced"])
def test_values_are_scanpys(name) -> None:
    ours = getattr(lo.datasets, name)()
    assert not ours.isbacked
    theirs = getattr(sc.datasets, name)()
    for axis in ("obs", "var"):  # names of no columns have a type, too
        frame = getattr(theirs, axis)
        setattr(theirs, axis, frame.set_axis(frame.columns.astype(str), axis=1))
    assert_same_anndata(ours.to_anndata(), theirs)


def test_blobs_of_another_seed() -> None:
    options = {"n_variables": 3, "n_centers": 2, "cluster_std": 2.0, "n_observations": 9}
    ours, theirs = (f(**options, random_state=5) for f in (lo.datasets.blobs, sc.datasets.blobs))
    np.testing.assert_array_equal(ours.X, theirs.X)
    assert ours.obs["blobs"].tolist() == theirs.obs["blobs"].tolist()


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Neither scanpy nor downloads on this machine."""
    before, lo.settings.datasetdir = lo.settings.datasetdir, tmp_path / "data"
    monkeypatch.setattr(scanpy_sets, "_folder_of_scanpy", lambda: None)
    yield tmp_path / "data"
    lo.settings.datasetdir = before


@pytest.mark.parametrize("name", ["krumsiek11", "paul15", "pbmc68k_reduced"])
def test_offline_says_what_to_download(nowhere, name, monkeypatch) -> None:
    pooch = pytest.importorskip("pooch", reason="needs pooch")

    def fails(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", fails)
    with pytest.raises(FileNotFoundError, match=r"could not be downloaded \(no network\).*https"):
        getattr(lo.datasets, name)()
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingDependencyError, match=r"lazyomics\[datasets\]"):
        getattr(lo.datasets, name)()


def test_checksums_are_passed_on(nowhere, monkeypatch) -> None:
    pooch = pytest.importorskip("pooch", reason="needs pooch")
    asked = []
    monkeypatch.setattr(pooch, "retrieve", lambda *a, **k: asked.append(k) or "x")
    scanpy_sets.KRUMSIEK.find()
    scanpy_sets.PAUL.find()
    assert asked[0]["known_hash"].startswith("sha256:a49c")
    assert asked[1]["known_hash"] is None


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_paul15_from_a_file(nowhere, monkeypatch) -> None:
    place = nowhere / "paul15" / "paul15.h5"
    place.parent.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with h5py.File(place, "w") as file:
        file["data.debatched"] = rng.poisson(2, (6, 4)).astype("float64")
        file["data.debatched_rownames"] = np.array(["A;A2", "B", "C", "D;x", "E", "F"], "S")
        file["data.debatched_colnames"] = np.array(["w1", "w2", "w3", "w4"], "S")
        file["cluster.id"] = np.array([[1.0], [7.0], [19.0], [7.0]])
        file["info.genes_strings"] = np.array(["D", "A", "E", "gone"], "S")
    before, sc.settings.datasetdir = sc.settings.datasetdir, nowhere
    try:
        theirs = sc.datasets.paul15()
    finally:
        sc.settings.datasetdir = before
    ours = lo.datasets.paul15()
    pd.testing.assert_frame_equal(ours.to_df(), theirs.to_df())
    assert ours.obs["paul15_clusters"].tolist() == theirs.obs["paul15_clusters"].tolist()
    assert ours.uns["iroot"] == theirs.uns["iroot"]
    place.write_bytes(b"")
    with pytest.raises(FileFormatError, match="data of Paul"):
        lo.datasets.paul15()
