"""Saving a MuData in place: what changed is written, modalities left alone are not even read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io.hdf5 import count_reads
from tests.container.mudata_cases import (
    assert_same_modality,
    assert_same_mudata,
    dense,
    modalities,
    modality,
    read_with_mudata,
)

mudata = pytest.importorskip("mudata", reason="compares with mudata")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Three modalities that share some of their cells, in one file."""
    path = tmp_path / "three.h5mu"
    mdata = lo.MuData(modalities("partial"))
    mdata.obs["donor"] = [f"d{k}" for k in range(mdata.n_obs)]
    mdata.obsm["X_joint"] = np.arange(2.0 * mdata.n_obs).reshape(-1, 2)
    mdata.write_h5mu(path)
    return path


def matrix_bytes(path: Path, mod: str) -> tuple[int, bytes]:
    """Where the values of X of a modality are in the file, and what they are."""
    with h5py.File(path) as file:
        data = file[f"mod/{mod}/X/data"]
        offset = data.id.get_chunk_info(0).byte_offset if data.chunks else data.id.get_offset()
        return offset, data[:].tobytes()


def bytes_read(counter: object, mod: str) -> int:
    return sum(
        count.bytes_read for (_, name), count in counter.by_dataset.items() if f"mod/{mod}/" in name
    )


def test_one_modality_in_memory(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    before = matrix_bytes(stored, "atac")
    counts = dense(mdata["rna"].X)
    with count_reads() as counter:
        mdata.mod["rna"] = mdata.mod["rna"].to_memory()
        assert not mdata["rna"].isbacked
        assert mdata["atac"].isbacked
        assert mdata.isbacked
        lo.pp.normalize_total(mdata["rna"], target_sum=1e4)
        lo.pp.log1p(mdata["rna"])
        mdata["rna"].obs["cluster"] = "a"
        mdata["rna"].layers["lognorm_counts"] = mdata["rna"].X.copy()
        with pytest.warns(lo.errors.XNotWrittenWarning, match="mod/rna/X"):
            mdata.write_h5mu()
    assert bytes_read(counter, "atac") == 0
    assert bytes_read(counter, "rna") > 0
    assert matrix_bytes(stored, "atac") == before
    assert not mdata["rna"].isbacked
    again = lo.read_h5mu(stored)
    assert again["rna"].isbacked
    assert again["atac"].isbacked
    np.testing.assert_array_equal(dense(again["rna"].X), counts)
    np.testing.assert_allclose(dense(again["rna"].layers["lognorm_counts"]), dense(mdata["rna"].X))
    assert set(again.obs["rna:cluster"].dropna()) == {"a"}
    assert_same_mudata(again, read_with_mudata(stored))
    assert not list(stored.parent.glob(".*part"))


def test_x_is_replaced_when_asked_for(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    before = matrix_bytes(stored, "atac")
    wanted = dense(mdata["rna"].X) * 2
    mdata["rna"].X = mdata["rna"].X * 2
    with count_reads() as counter:
        mdata.write_h5mu(overwrite_x=True)
    assert bytes_read(counter, "atac") == 0
    assert matrix_bytes(stored, "atac") == before
    np.testing.assert_array_equal(dense(mdata["rna"].X), wanted)
    np.testing.assert_array_equal(dense(lo.read_h5mu(stored)["rna"].X), wanted)
    assert_same_mudata(mdata, read_with_mudata(stored))


def test_a_lazy_change_of_x_is_left_out(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    counts = dense(mdata["rna"].X)
    lo.pp.log1p(mdata["rna"])
    mdata["rna"].layers["log"] = mdata["rna"].X
    with pytest.warns(lo.errors.XNotWrittenWarning, match="mod/rna/X"):
        mdata.write()
    np.testing.assert_allclose(dense(mdata["rna"].X), np.log1p(counts), rtol=1e-6)
    again = lo.read_h5mu(stored)
    np.testing.assert_array_equal(dense(again["rna"].X), counts)
    np.testing.assert_allclose(dense(again["rna"].layers["log"]), np.log1p(counts), rtol=1e-6)


def test_an_unchanged_modality_in_memory_says_nothing(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    for mod in mdata.mod:
        mdata.mod[mod] = mdata.mod[mod].to_memory()
    before = stored.read_bytes(), stored.stat().st_mtime_ns
    mdata.write()
    assert (stored.read_bytes(), stored.stat().st_mtime_ns) == before


def test_nothing_to_save_writes_nothing(stored: Path) -> None:
    before = stored.stat().st_mtime_ns
    mdata = lo.read_h5mu(stored)
    _ = mdata.obs, mdata["rna"].obs, mdata["rna"].obsm["X_umap"], mdata.obsmap["rna"]
    mdata.write()
    assert stored.stat().st_mtime_ns == before


def test_annotation_of_the_whole(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    n = mdata.n_obs
    mdata.obs["group"] = ["a"] * n
    del mdata.obs["donor"]
    mdata.obsm["X_umap"] = np.ones((n, 2), dtype=np.float32)
    del mdata.obsm["X_joint"]
    mdata.obsp["graph"] = sp.eye(n, format="csr")
    mdata.uns["note"] = {"a": 1}
    mdata.pull_obs(columns=["leiden"])
    with count_reads() as counter:
        mdata.write()
    assert counter.bytes_read == 0
    theirs = read_with_mudata(stored)
    assert list(theirs.obs.columns) == list(mdata.obs.columns)
    assert_same_mudata(mdata, theirs)
    assert_same_mudata(lo.read_h5mu(stored), theirs)


def test_modalities_added_and_removed(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    before = matrix_bytes(stored, "atac")
    mdata.mod["hto"] = modality("hto", [2, 3, 50], 2)
    del mdata.mod["adt"]
    with pytest.warns(lo.errors.XNotWrittenWarning, match="mod/adt was removed"):
        mdata.write()
    assert "c50" in mdata.obs_names
    assert matrix_bytes(stored, "atac") == before
    again = lo.read_h5mu(stored)
    assert list(again.mod) == ["rna", "atac", "hto"]
    assert_same_mudata(again, mdata)
    assert_same_mudata(again, read_with_mudata(stored))
    with h5py.File(stored) as file:
        assert "adt" in file["mod"]
        assert list(file["mod"].attrs["mod-order"]) == ["rna", "atac", "hto"]
        assert sorted(file["obsmap"]) == sorted(file["varmap"]) == ["atac", "hto", "rna"]


def test_a_removed_modality_can_come_back(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    before, data = lo.read_h5mu(stored, backed=False), matrix_bytes(stored, "adt")
    del mdata.mod["adt"]
    with pytest.warns(lo.errors.XNotWrittenWarning, match=r"lazyomics\.read\('.*/adt'\)"):
        mdata.write()
    mdata = lo.read_h5mu(stored)
    assert list(mdata.mod) == ["rna", "atac"]
    mdata.mod["adt"] = lo.read(f"{stored}/adt")
    mdata.write()
    assert matrix_bytes(stored, "adt") == data
    again = lo.read_h5mu(stored)
    assert again.shape == before.shape
    for mod in before.mod:
        assert_same_modality(again[mod], before[mod])
    assert_same_mudata(again, read_with_mudata(stored))


def test_a_removed_modality_leaves_the_file_when_asked_for(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    before = matrix_bytes(stored, "atac")
    del mdata.mod["adt"]
    mdata["rna"].X = mdata["rna"].X * 2
    with pytest.warns(lo.errors.XNotWrittenWarning, match="mod/adt was removed"):
        mdata.write(overwrite_x=True)  # replacing X does not delete another modality
    with h5py.File(stored) as file:
        assert "adt" in file["mod"]
    lo.read_h5mu(stored).write(remove_modalities=True)  # one that is left over
    with h5py.File(stored) as file:
        assert sorted(file["mod"]) == ["atac", "rna"]
        assert sorted(file["obsmap"]) == ["atac", "rna"]
        assert list(file["mod"].attrs["mod-order"]) == ["rna", "atac"]
    mdata = lo.read_h5mu(stored)
    del mdata.mod["rna"]
    mdata.write(remove_modalities=True)
    with h5py.File(stored) as file:
        assert list(file["mod"]) == ["atac"]
    assert matrix_bytes(stored, "atac") == before
    assert_same_mudata(mdata, read_with_mudata(stored))
    assert_same_mudata(lo.read_h5mu(stored), read_with_mudata(stored))


def test_a_new_modality_does_not_replace_one_that_is_left_over(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    counts = dense(mdata["adt"].X)
    del mdata.mod["adt"]
    with pytest.warns(lo.errors.XNotWrittenWarning):
        mdata.write()
    mdata.mod["adt"] = modality("adt", [3, 4], 2)
    with pytest.raises(lo.errors.ShapeError, match="'adt' has shape"):
        mdata.write()
    np.testing.assert_array_equal(dense(lo.read(f"{stored}/adt").X), counts)
    mdata.write(overwrite_x=True)
    assert_same_mudata(lo.read_h5mu(stored), read_with_mudata(stored))


def test_a_selection_does_not_lose_modalities(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    del mdata.mod["adt"]
    mdata.update()
    before = stored.read_bytes()
    with pytest.raises(ValueError, match="would lose 'adt'"):
        mdata[:5].write(overwrite_x=True)
    assert stored.read_bytes() == before
    mdata[:5].write(overwrite_x=True, remove_modalities=True)
    assert list(lo.read_h5mu(stored).mod) == ["rna", "atac"]


@pytest.mark.parametrize("changed", [False, True])
def test_a_renamed_modality_is_renamed_in_the_file(stored: Path, changed: bool) -> None:
    mdata = lo.read_h5mu(stored)
    mdata.var["mine"] = np.arange(mdata.n_vars)
    mdata["rna"].raw = mdata["rna"]
    mdata["rna"].obsp["graph"] = sp.eye(mdata["rna"].n_obs, format="csr")
    mdata.write()
    mdata = lo.read_h5mu(stored)
    where, counts = matrix_bytes(stored, "rna"), dense(mdata["rna"].X)
    expected = mdata.to_memory()
    mdata.mod["gex"] = mdata.mod.pop("rna")
    if changed:
        mdata["gex"].obs["new"] = 1
        mdata["gex"].layers["log"] = mdata["gex"].layers["counts"] * 2
    with count_reads() as counter:
        mdata.write()
    assert changed or bytes_read(counter, "rna") == 0
    with h5py.File(stored) as file:
        assert sorted(file["mod"]) == ["adt", "atac", "gex"]
        assert list(file["mod"].attrs["mod-order"]) == ["atac", "adt", "gex"]
        assert sorted(file["varmap"]) == ["adt", "atac", "gex"]
    assert matrix_bytes(stored, "gex") == where
    for opened in (mdata, lo.read_h5mu(stored)):
        assert ("log" in opened["gex"].layers) == changed
        np.testing.assert_array_equal(dense(opened["gex"].X), counts)
        np.testing.assert_array_equal(dense(opened["gex"].raw.X), counts)
        assert list(opened["gex"].raw.var_names) == list(expected["rna"].var_names)
        assert_same_mudata(opened, read_with_mudata(stored))
        names = opened.var_names
        assert opened.var["mine"].tolist() == expected.var["mine"].loc[names].tolist()
    mdata.write()


def test_a_renamed_modality_whose_x_changed_is_written_beside(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    counts = dense(mdata["rna"].X)
    mdata.mod["gex"] = mdata.mod.pop("rna")
    lo.pp.log1p(mdata["gex"])
    with pytest.warns(lo.errors.XNotWrittenWarning, match="mod/rna was removed"):
        mdata.write()
    np.testing.assert_allclose(dense(lo.read_h5mu(stored)["gex"].X), np.log1p(counts), rtol=1e-6)
    np.testing.assert_array_equal(dense(lo.read(f"{stored}/rna").X), counts)


def test_deletions_come_last(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was in the file when a save began is readable by others until its end."""
    from lazyomics.io.h5mu import saving

    seen = []

    def watch(group: h5py.Group, *arguments: object) -> None:
        seen.append((group.name, "adt" in group.file["mod"], "rna" in group.file["mod"]))
        return apply_changes(group, *arguments)

    apply_changes = saving.apply_changes
    monkeypatch.setattr(saving, "apply_changes", watch)
    mdata = lo.read_h5mu(stored)
    mdata["rna"].X = mdata["rna"].X * 2
    mdata["atac"].obs["new"] = 1
    del mdata.mod["adt"]
    mdata.write(overwrite_x=True, remove_modalities=True)
    assert seen == [("/mod/atac", True, True), ("/", True, True)]
    with h5py.File(stored) as file:
        assert sorted(file["mod"]) == ["atac", "rna"]


def test_a_filtered_modality_needs_permission(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    mdata.mod["rna"] = mdata["rna"][:, :4].to_memory()
    with pytest.raises(lo.errors.ShapeError, match="'rna' has shape"):
        mdata.write()
    before = matrix_bytes(stored, "atac")
    mdata.write(overwrite_x=True)
    assert mdata.n_vars == 4 + 14 + 3
    assert matrix_bytes(stored, "atac") == before
    assert_same_mudata(lo.read_h5mu(stored), read_with_mudata(stored))


def test_a_reordered_modality_needs_permission(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    mdata.mod["rna"] = mdata["rna"][::-1]
    with pytest.raises(lo.errors.ShapeError, match=r"'rna' is a selection.*in another order"):
        mdata.write()
    mdata.write(overwrite_x=True)
    assert_same_mudata(mdata, read_with_mudata(stored))


def test_a_filtered_modality_still_lazy(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    mdata.mod["rna"] = mdata["rna"][[4, 2, 0]]
    mdata.write(overwrite_x=True)
    assert mdata["rna"].shape == (3, 9)
    assert_same_mudata(mdata, read_with_mudata(stored))


def test_a_selection_does_not_replace_its_file(stored: Path) -> None:
    cut = lo.read_h5mu(stored)[:5]
    assert cut.isbacked
    with pytest.raises(ValueError, match="selection of"):
        cut.write()
    cut.write(overwrite_x=True)
    assert lo.read_h5mu(stored).n_obs == 5
    assert_same_mudata(cut, read_with_mudata(stored))


def test_one_modality_saved_by_itself(stored: Path) -> None:
    adata = lo.read(f"{stored}/rna")
    before = matrix_bytes(stored, "atac")
    counts = dense(adata.X)
    adata.obs["new"] = 1
    adata.X = adata.X * 3
    with pytest.warns(lo.errors.XNotWrittenWarning, match="mod/rna/X"):
        adata.write()
    assert lo.read(f"{stored}/rna").obs["new"].eq(1).all()
    np.testing.assert_array_equal(dense(lo.read(f"{stored}/rna").X), counts)
    adata.write(overwrite_x=True)
    np.testing.assert_array_equal(dense(lo.read(f"{stored}/rna").X), counts * 3)
    np.testing.assert_array_equal(dense(adata.X), counts * 3)
    assert matrix_bytes(stored, "atac") == before
    assert_same_mudata(lo.read_h5mu(stored), read_with_mudata(stored))
    alone = lo.read(f"{stored}/rna").copy(filename=stored.with_name("rna.h5ad"))
    assert alone.shape == adata.shape


def test_a_modality_inside_a_mudata_saves_itself(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    mdata["rna"].obs["new"] = 1
    mdata["rna"].write()
    assert "new" in lo.read_h5mu(stored)["rna"].obs.columns


def test_filename(stored: Path, tmp_path: Path) -> None:
    mdata = lo.read_h5mu(stored)
    rna = mdata["rna"]
    mdata.filename = None
    assert not mdata.isbacked
    assert mdata.filename is None
    assert mdata["rna"] is rna
    assert isinstance(rna.X, sp.csr_matrix)
    with pytest.raises(ValueError, match="give a filename"):
        mdata.write()
    mdata.filename = tmp_path / "other.h5mu"
    assert mdata.isbacked
    assert mdata["rna"] is rna
    assert rna.isbacked
    assert_same_mudata(mdata, read_with_mudata(stored))
    os.remove(tmp_path / "other.h5mu")
    with pytest.raises(FileNotFoundError):
        mdata.write()


def test_names_changed_in_a_modality_reach_the_file(stored: Path) -> None:
    mdata = lo.read_h5mu(stored)
    mdata["atac"].var_names = [f"peak{k}" for k in range(14)]
    mdata.write()
    assert "peak0" in mdata.var_names
    assert_same_mudata(lo.read_h5mu(stored), read_with_mudata(stored))


def test_old_files_are_saved_in_place(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    names = [
        "muon_test_rna_atac.h5mu",
        "mudata_v0.1.2_mdata_axis0.h5mu",
        "mudata_v0.3.10_mdata_axis1.h5mu",
        "Rmudata_miniacc_1208d314.h5mu",
    ]
    for name in names:
        path = tmp_path / name
        path.write_bytes(data_file(name).read_bytes())
        mdata = lo.read_h5mu(path)
        shape = mdata.shape
        mdata.obs["new"] = np.arange(mdata.n_obs)
        first = next(iter(mdata.mod.values()))
        first.obs["new"] = 1
        mdata.write()
        again = lo.read_h5mu(path)
        assert again.shape == shape
        assert again.obs["new"].tolist() == list(range(shape[0]))
        assert (next(iter(again.mod.values())).obs["new"] == 1).all()
