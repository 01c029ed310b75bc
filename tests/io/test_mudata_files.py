"""Every real .h5mu: opened as mudata reads it, streamed to a new file, read there by both."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lazyomics as lo
from tests.container.mudata_cases import (
    assert_same_modality,
    assert_same_mudata,
    quiet,
    read_with_mudata,
)

mudata = pytest.importorskip("mudata", reason="compares with mudata")
OLD = not hasattr(mudata.MuData, "_update_attr_legacy")  # what mudata 0.4 cannot read any more

FILES = [
    "Rmudata_miniacc_1208d314.h5mu",
    "mudata_v0.1.2_mdata_axis0.h5mu",
    "mudata_v0.1.2_mudata.h5mu",
    "mudata_v0.3.10_mdata_axis0.h5mu",
    "mudata_v0.3.10_mdata_axis1.h5mu",
    "muon_test_rna_atac.h5mu",
    "rebuilt_eccite_rna_adt_hto.h5mu",
    "rebuilt_pbmc1k_citeseq.h5mu",
]
R_FILE = FILES[0]
UNREADABLE = {
    R_FILE: "it writes encoding types in capitals",
    "mudata_v0.1.2_mudata.h5mu": "its positions are floating-point numbers",
    "muon_test_rna_atac.h5mu": "its modalities have no encoding type",
}


def scverse_or_skip(path: Path) -> Any:
    if OLD and path.name in UNREADABLE:
        pytest.skip(f"mudata {mudata.__version__} cannot read {path.name}: {UNREADABLE[path.name]}")
    return read_with_mudata(path, pulling=path.name in FILES[:3:2])


def assert_same_as_scverse(ours: lo.MuData, theirs: Any) -> None:
    """Compare; R's file relates modalities of other names by positions, which mudata forgets."""
    if list(ours.obs_names) == list(theirs.obs_names):
        assert_same_mudata(ours, theirs, columns=False)
        for name in ("obs", "var"):
            for column in getattr(ours, name).columns:
                mine, other = getattr(ours, name)[column], getattr(theirs, name)[column]
                assert mine.astype(object).tolist() == other.astype(object).tolist()
        return
    for mod in ours.mod:
        assert_same_modality(ours[mod], theirs[mod])


@pytest.mark.parametrize("name", FILES)
def test_opens_as_mudata_reads(name: str, data_file: Callable[[str], Path]) -> None:
    path = data_file(name)
    assert_same_as_scverse(lo.read_h5mu(path), scverse_or_skip(path))


@pytest.mark.parametrize("name", FILES)
def test_text_as_mudata(name: str, data_file: Callable[[str], Path]) -> None:
    path = data_file(name)
    if name == R_FILE:
        pytest.skip("mudata takes R's samples for different cells")
    theirs = scverse_or_skip(path)
    shown = [line for line in repr(theirs).split("\n") if not line.endswith("layers:\tNone")]
    mine = repr(lo.read_h5mu(path, backed=False)).split("\n")
    assert mine == shown


@pytest.mark.parametrize("name", FILES)
def test_round_trip(name: str, data_file: Callable[[str], Path], tmp_path: Path) -> None:
    path = data_file(name)
    ours = lo.read_h5mu(path)
    copied = ours.copy(filename=tmp_path / "copy.h5mu")
    assert copied.isbacked
    assert copied.filename == tmp_path / "copy.h5mu"
    assert_same_mudata(copied, ours)
    assert_same_mudata(copied.to_memory(), ours)
    if name == R_FILE:  # mudata takes its samples for different cells; 0.4 refuses them
        for mod in ours.mod:
            with quiet():
                assert_same_modality(ours[mod], mudata.read_h5ad(tmp_path / "copy.h5mu", mod))
    else:
        assert_same_mudata(ours, read_with_mudata(tmp_path / "copy.h5mu"))
    assert [a.dtype for a in copied.obsmap.values()] == [np.uint32] * copied.n_mod


def test_positions_of_an_r_file_are_kept(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    ours = lo.read_h5mu(data_file(R_FILE))
    assert ours.shape == (92, 997)
    assert ours.obs["patientID"].notna().all()
    for mod, adata in ours.mod.items():
        assert np.count_nonzero(ours.obsmap[mod]) == adata.n_obs
    rppa = ours[np.flatnonzero(ours.obsmap["RPPAArray"])]
    assert rppa["RPPAArray"].n_obs == rppa.n_obs == 46
    for adata in ours.mod.values():
        _ = adata.obs, adata.X.compute()
    assert ours.copy(filename=tmp_path / "new.h5mu").shape == (92, 997)


def test_file_says_what_it_is(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "copy.h5mu"
    lo.read_h5mu(data_file("rebuilt_pbmc1k_citeseq.h5mu")).write_h5mu(path)
    start = path.read_bytes()[:512]
    assert start.rstrip(b"\0") == (
        b"MuData (format-version=0.1.0;creator=lazyomics;creator-version="
        + lo.__version__.encode()
        + b")"
    )
    with h5py.File(path) as file:
        assert file.userblock_size == 512
        assert list(file["mod"].attrs["mod-order"]) == ["rna", "prot"]
        assert file.attrs["axis"] == 0
        assert file.attrs["encoding-type"] == "MuData"
        assert file["obsmap/rna"].dtype == np.uint32
        assert file["mod/rna"].attrs["encoding-type"] == "anndata"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", message=".*join columns.*|.*not unique.*")
        mudata.read_h5mu(path)


def test_opening_reads_no_values(data_file: Callable[[str], Path]) -> None:
    from lazyomics.io.hdf5 import count_reads

    for name in FILES:
        path = data_file(name)
        with count_reads() as counter:
            mdata = lo.read_h5mu(path)
            assert str(mdata)
            assert mdata[:3, :5].shape == (min(3, mdata.n_obs), 5)
        assert counter.bytes_read == 0


def test_one_modality(data_file: Callable[[str], Path]) -> None:
    path = data_file("rebuilt_pbmc1k_citeseq.h5mu")
    with quiet():
        theirs = mudata.read_h5ad(path, "prot")
    for name in (f"{path}/prot", f"{path}/mod/prot"):
        adata = lo.read(name)
        assert isinstance(adata, lo.AnnData)
        assert adata.isbacked
        assert adata.filename == path
        assert_same_modality(adata, theirs)
    assert not lo.read(f"{path}/prot", backed=False).isbacked
    assert isinstance(lo.read(path), lo.MuData)
    assert isinstance(lo.read(data_file("rebuilt_pbmc3k_raw.h5ad")), lo.AnnData)
    with pytest.raises(KeyError, match="'rna', 'prot'"):
        lo.read(f"{path}/atac")
    with pytest.raises(FileNotFoundError):
        lo.read(path.with_name("none.h5mu"))


def test_the_wrong_reader_says_so(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(lo.errors.FileFormatError, match="read_h5ad"):
        lo.read_h5mu(data_file("rebuilt_pbmc3k_raw.h5ad"))
    with pytest.raises(lo.errors.FileFormatError, match="MuData"):
        lo.read_h5ad(data_file("rebuilt_pbmc1k_citeseq.h5mu"))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(lo.errors.FileFormatError, match=r"not an \.h5mu"):
        lo.read_h5mu(tmp_path / "other.h5")
    with pytest.raises(ValueError, match="backed"):
        lo.read_h5mu(tmp_path / "other.h5", backed="w")


def test_order_that_names_missing_modalities_is_ignored(
    data_file: Callable[[str], Path], tmp_path: Path
) -> None:
    path = tmp_path / "copy.h5mu"
    lo.read_h5mu(data_file("rebuilt_pbmc1k_citeseq.h5mu")).write(path)
    with h5py.File(path, "r+") as file:
        file["mod"].attrs["mod-order"] = ["rna", "gone"]
    assert list(lo.read_h5mu(path).mod) == ["prot", "rna"]


def test_damaged_positions_are_named(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "copy.h5mu"
    lo.read_h5mu(data_file("rebuilt_pbmc1k_citeseq.h5mu")).write(path)
    with h5py.File(path, "r+") as file:
        file["obsmap/rna"][:3] = 5
    mdata = lo.read_h5mu(path)
    with pytest.raises(lo.errors.ShapeError, match=r"obsmap\['rna'\].*update\(\)"):
        mdata[:5]
    mdata.update()
    assert mdata[:5]["rna"].n_obs == 5
    for damaged in (7, "0", np.zeros(1, [("a", "i4")])):
        with h5py.File(path, "r+") as file:
            file.attrs["axis"] = damaged
        with pytest.raises(lo.errors.FileFormatError, match="axis 0, 1 or -1"):
            lo.read_h5mu(path)


def test_blocks_as_asked_for(data_file: Callable[[str], Path]) -> None:
    mdata = lo.read_h5mu(data_file("rebuilt_pbmc1k_citeseq.h5mu"), chunks=100)
    assert mdata["rna"].X.chunks[0][:2] == (100, 100)
    assert mdata["prot"].X.numblocks[0] == 9
