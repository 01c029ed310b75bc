"""info, validate, diff and recover: damaged, different and interrupted files."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest

import lazyomics as lo
from lazyomics.io.describing import describe_file
from lazyomics.io.transaction.names import Names


def test_info_reads_no_matrix(call, small, monkeypatch):
    from lazyomics.io.hdf5 import StoredArray

    monkeypatch.setattr(StoredArray, "read", None)
    monkeypatch.setattr(StoredArray, "read_ranges", None)
    shown = call("info", small).stdout
    assert "small.h5ad: h5ad, 60 cells × 30 genes" in shown
    told = json.loads(call("info", small, "--json").stdout)
    elements = {element["name"]: element for element in told["elements"]}
    with h5py.File(small) as file:
        assert elements["X"]["values"] == file["X/data"].size
        assert elements["X"]["stored_bytes"] == sum(
            part.id.get_storage_size() for part in file["X"].values()
        )
    assert elements["obs/kind"]["encoding"] == "categorical"
    assert elements["obs/kind"]["dtype"] == "3 categories"


@pytest.mark.parametrize("kind", ["cut", "text", "none"])
def test_info_and_validate_of_what_is_no_file(call, small, tmp_path, kind):
    path = tmp_path / "x.h5ad"
    if kind == "cut":
        path.write_bytes(small.read_bytes()[:3000])
    elif kind == "text":
        path.write_text("cells")
    call("info", path, code=3)
    if kind == "none":
        call("validate", path, code=3)
    else:
        assert "not valid" in call("validate", path, code=1).stdout


def damage_index(file):
    file["X/indices"][5] = 1000


def damage_pointer(file):
    file["X/indptr"][3] = 10**6


def damage_length(file):
    del file["obsm/X_umap"]
    file["obsm"].create_dataset("X_umap", data=np.zeros((7, 2)))


def damage_column(file):
    del file["obs/n_genes"]


def damage_codes(file):
    file["obs/kind/codes"][0] = 99


def damage_link(file):
    file["uns/away"] = h5py.SoftLink("/nowhere")


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (damage_index, "X"),
        (damage_pointer, "X"),
        (damage_length, "obsm/X_umap"),
        (damage_column, "obs/n_genes"),
        (damage_codes, "obs/kind"),
        (damage_link, "uns/away"),
    ],
)
def test_validate_names_each_damaged_element(call, small, damage, place):
    with h5py.File(small, "r+") as file:
        damage(file)
    shown = call("validate", small, code=1).stdout
    assert f"small.h5ad: error: {place}: " in shown
    assert shown.count(" error: ") == 1
    call("info", small)


def test_validate_good_files(call, small, tmp_path):
    assert call("validate", small).stdout == f"{small}: valid\n"
    lo.MuData({"a": lo.read_h5ad(small)}).write_h5mu(tmp_path / "m.h5mu")
    told = json.loads(call("validate", small, tmp_path / "m.h5mu", "--json").stdout)
    assert list(told.values()) == [[], []]


def test_one_modality_is_described_and_validated(call, adata, tmp_path):
    path = tmp_path / "both.h5mu"
    lo.MuData({"rna": adata, "other": adata[:, :7].copy()}).write_h5mu(path)
    assert "other: modality, 60 cells × 7 genes" in call("info", f"{path}/other").stdout
    told = json.loads(call("info", f"{path}/other", "--json").stdout)
    names = [element["name"] for element in told["elements"]]
    assert "mod/other/X" in names
    assert all(name.startswith("mod/other") for name in names)
    with h5py.File(path, "r+") as file:
        file["mod/rna/X/indices"][5] = 1000
    call("validate", f"{path}/other")
    assert "mod/rna/X" in call("validate", f"{path}/rna", code=1).stdout
    for command in ("info", "validate"):
        assert "rna" in call(command, f"{path}/rma", code=2).stderr
    assert "has no modality" in call("validate", f"{path}/rma", code=2).stderr


def test_validate_warns_of_names_that_repeat(call, adata, tmp_path):
    adata.obs_names = ["x", "x", *adata.obs_names[2:]]
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert (
        "obs/_index: 1 names occur before, such as 'x'"
        in call("validate", tmp_path / "a.h5ad").stdout
    )
    call("validate", tmp_path / "a.h5ad", "--strict", code=1)


def changed_value(adata):
    x = adata.X.compute().toarray()
    x[3, 4] = 99
    adata.X = x


def changed_type(adata):
    adata.layers["counts"] = adata.layers["counts"].compute().astype("float64")


def changed_column(adata):
    adata.obs.loc["c3", "n_genes"] = 77


def changed_text(adata):
    adata.obs["donor"] = adata.obs["donor"].astype(str)


def changed_uns(adata):
    adata.uns["colours"] = np.array(["red", "green"], dtype=object)


def changed_names(adata):
    adata.obs_names = [*adata.obs_names[1:], adata.obs_names[0]]


def changed_coordinates(adata):
    adata.obsm["X_umap"] = adata.obsm["X_umap"] + 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed_value, "X: 1 of 1800 values differ"),
        (changed_type, "layers/counts: float32, float64"),
        (changed_column, "obs/n_genes: 1 of 60 values differ; the first in row 3"),
        (changed_text, "obs/donor: categories, text"),
        (changed_uns, "uns/colours: values differ"),
        (changed_names, "obs/_index: 60 names in another order"),
        (changed_coordinates, "obsm/X_umap: 120 of 120 values differ, by 1e-09 at most"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_diff(call, small, tmp_path, change, message):
    other = tmp_path / "other.h5ad"
    adata = lo.read_h5ad(small)
    change(adata)
    adata.write_h5ad(other, convert_strings_to_categoricals=False)
    shown = call("diff", small, other, code=1).stdout.splitlines()
    assert len(shown) == 1
    assert shown[0].startswith(message)
    element = message.partition(":")[0]
    call("diff", small, other, "--ignore", element)
    if change is changed_coordinates:
        call("diff", small, other, "--atol", "1e-8")


def test_diff_of_matrices_in_blocks(call, adata, small, tmp_path):
    other = tmp_path / "dense.h5ad"
    x = adata.X.toarray()
    x[59, 29], x[0, 0] = 1e6, np.nan
    adata.X = x
    adata.write_h5ad(other, storage=None)
    from dask import config

    with config.set({"lazyomics.chunk-bytes": 1000}):
        shown = call("diff", small, other, "--ignore", "raw", code=1).stdout
        assert len(lo.read_h5ad(small).X.chunks[0]) > 3
    assert shown.startswith("X: 2 of 1800 values differ")
    call("diff", other, other)
    told = json.loads(call("diff", small, other, "--json", code=1).stdout)
    assert [d["what"] for d in told] == ["values"]
    call("diff", small, tmp_path / "none.h5ad", code=3)


def interrupted(path, monkeypatch):
    """Leave the journal of a complete save, none of which is in the file yet."""
    from lazyomics.io.transaction import session

    adata = lo.read_h5ad(path)
    adata.obs["new"] = 1.0
    copy = path.with_name("copy.h5ad")
    kept = {}

    def put_in_place(self):
        kept["journal"] = (path.parent / f".{path.name}.lazyomics-journal").read_bytes()
        kept["file"] = path.read_bytes()
        return original(self)

    original = session.Commit.put_in_place
    monkeypatch.setattr(session.Commit, "put_in_place", put_in_place)
    adata.write()
    copy.write_bytes(kept["file"])
    journal = Names.of(copy).journal
    with open(journal, "wb") as file:
        file.write(kept["journal"])
    return copy


def test_recover(call, small, tmp_path, monkeypatch):
    copy = interrupted(small, monkeypatch)
    assert describe_file(small).left_over.journal == ""
    shown = call("recover", "--check", tmp_path, code=1).stdout
    assert shown == f"{copy}: a complete save is not in the file yet\n"
    assert call("recover", tmp_path).stdout == f"{copy}: finished\n"
    assert lo.read_h5ad(copy).obs["new"].tolist() == [1.0] * 60
    call("recover", "--check", copy)
    assert call("recover", small).stdout == f"{small}: nothing was left\n"
    call("recover", tmp_path / "none.h5ad", code=3)


def test_recover_what_cannot_be_used(call, small, tmp_path):
    with open(Names.of(small).journal, "wb") as file:
        file.write(b"rubbish")
    assert "the journal is damaged" in call("recover", "--check", small, code=1).stdout
    assert "could not be used" in call("recover", small, code=1).stdout
    shutil.rmtree(tmp_path)
