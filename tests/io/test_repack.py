from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest

import lazyomics as lo
from lazyomics.io.transaction import saving
from tests.comparing import assert_same_anndata
from tests.container.mudata_cases import assert_same_mudata, modalities, read_with_mudata
from tests.io.transaction.changes import change, make_file
from tests.io.transaction.crashes import elements

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")


@pytest.mark.parametrize("layout", ["h5ad", "user_block", "latest"])
def test_everything_is_there_afterwards(tmp_path, layout) -> None:
    path = make_file(tmp_path / "a.h5", layout)
    if layout == "user_block":
        with path.open("r+b") as raw:
            raw.write(b"MuData (format-version=0.1.0)")
    with saving(path) as file:
        change(file)
        file.attrs["empty"] = h5py.Empty("f8")
        file.attrs["flags"] = [True, False]
        file["soft"] = h5py.SoftLink("/obs/n")
    before, start = elements(path), path.read_bytes()[:29]
    size = path.stat().st_size
    done = lo.repack(path)
    assert (done.before, done.after) == (size, path.stat().st_size)
    assert elements(path) == before
    assert path.read_bytes()[:29] == start or layout != "user_block"
    with h5py.File(path) as file:
        assert isinstance(file.get("soft", getlink=True), h5py.SoftLink)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_space_of_replaced_layers_comes_back(one_file) -> None:
    lo.repack(one_file)
    adata = lo.read_h5ad(one_file)
    size = one_file.stat().st_size
    for k in range(10):
        adata.layers["large"] = np.full(adata.shape, k, "f8")
        adata.write()
    expected = ad.read_h5ad(one_file)
    grown = one_file.stat().st_size
    given_back = lo.repack(one_file).given_back
    assert one_file.stat().st_size == grown - given_back
    assert one_file.stat().st_size < size + 2 * adata.n_obs * adata.n_vars * 8 + 4096
    assert_same_anndata(ad.read_h5ad(one_file), expected)


def test_mudata_stays_one(tmp_path) -> None:
    pytest.importorskip("mudata", reason="mudata is the reference of this test")
    path = tmp_path / "a.h5mu"
    lo.MuData(modalities("partial")).write_h5mu(path)
    before = elements(path)
    lo.repack(path)
    assert elements(path) == before
    assert_same_mudata(lo.read_h5mu(path), read_with_mudata(path))


@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore:.*written without encoding:", "ignore:.*very old version:"
)
@pytest.mark.parametrize("name", ["anndata_v0.7.0_adata.h5ad", "anndata_v0.5.0_adata.h5ad"])
def test_old_layouts(data_file, tmp_path, name) -> None:
    path = tmp_path / name
    shutil.copy(data_file(name), path)
    expected = ad.read_h5ad(path)
    lo.repack(path)
    assert_same_anndata(ad.read_h5ad(path), expected)
    assert_same_anndata(lo.read_h5ad(path).to_anndata(), expected)


def test_an_interrupted_repack_changes_nothing(one_file, monkeypatch) -> None:
    before = one_file.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lazyomics.io.repack._copy_attributes", fail)
    with pytest.raises(OSError, match="No space"):
        lo.repack(one_file)
    assert one_file.read_bytes() == before
    assert [p.name for p in one_file.parent.iterdir()] == [one_file.name]


def test_a_file_that_another_program_changes_is_left_alone(one_file) -> None:
    with h5py.File(one_file, "r+"), pytest.raises(BlockingIOError, match="kept open"):
        lo.repack(one_file, timeout=0.1)
