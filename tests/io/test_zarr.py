"""Zarr stores: read and written as anndata and mudata do, opened lazily, damaged ones refused."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError, ShapeError, StaleFileError, UnsupportedError
from lazyomics.io.hdf5.array import count_reads
from tests.comparing import assert_same_anndata

zarr = pytest.importorskip("zarr", reason="needs zarr")
anndata = pytest.importorskip("anndata", reason="compares with anndata")
mudata = pytest.importorskip("mudata", reason="compares with mudata")

N, M = 60, 12
# anndata speaks of formats that will go, zarr of types that other programs may not know
pytestmark = pytest.mark.filterwarnings("ignore")


def reference():
    """An object of anndata with every encoding."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(["a", "b", None] * (N // 3)),
            "rank": pd.Categorical(["lo", "hi"] * (N // 2), ["lo", "hi"], ordered=True),
            "n": np.arange(N, dtype="int32"),
            "some": pd.array([1, None] * (N // 2), dtype="Int64"),
            "flag": pd.array([True, None] * (N // 2), dtype="boolean"),
            "yes": np.arange(N) % 3 == 0,
            "text": [f"t{k}" for k in range(N)],
        },
        index=pd.Index([f"c{k}" for k in range(N)], name="cell"),
    )
    adata = anndata.AnnData(
        sp.random(N, M, 0.3, "csr", dtype="float32", random_state=0),
        obs=obs,
        var=pd.DataFrame(index=[f"g{k}" for k in range(M)]),
        layers={"dense": rng.random((N, M)), "csc": sp.random(N, M, 0.2, "csc", random_state=1)},
        obsm={"X_pca": rng.random((N, 3)), "table": pd.DataFrame({"a": range(N)}, obs.index)},
        varm={"PCs": rng.random((M, 3))},
        obsp={"graph": sp.random(N, N, 0.1, "csr", random_state=2)},
        uns={
            **{"none": None, "text": "t", "number": 1.5, "yes": True, "int": 3},
            "nested": {"deeper": {"a": np.arange(3)}, "empty": {}},
            "records": np.array([(1, 2.5), (2, 0.5)], [("a", "i4"), ("b", "f8")]),
            "frame": pd.DataFrame({"x": [1.0, 2.0]}, index=["r", "s"]),
            "bool": np.array([[True, False]]),
        },
    )
    adata.raw = adata.copy()
    return adata


@pytest.fixture(scope="module")
def expected():
    return reference()


def plain(adata):
    """With texts as objects, which zarr gives in a type of NumPy's."""
    for key, value in adata.uns.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "T":
            adata.uns[key] = value.astype(object)
    return adata


LAYOUTS = {
    "2": {"zarr_format": 2},
    "2, small chunks": {"zarr_format": 2, "chunk_bytes": 300, "compressors": None},
    "3": {"zarr_format": 3},
    "3, shards": {"chunk_bytes": 256, "shard_bytes": 2048},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_written_is_what_anndata_reads(tmp_path, expected, layout) -> None:
    source = lo.AnnData.from_anndata(expected)
    if layout.endswith(("chunks", "shards")):  # from a file, the others from memory
        source.write_h5ad(tmp_path / "a.h5ad")
        source = lo.read(tmp_path / "a.h5ad")
    with warnings.catch_warnings():  # those of zarr are not passed on
        warnings.simplefilter("error")
        source.write_zarr(tmp_path / "a.zarr", **LAYOUTS[layout])
    assert_same_anndata(plain(anndata.io.read_zarr(tmp_path / "a.zarr")), expected)
    opened = lo.read_zarr(tmp_path / "a.zarr")
    assert_same_anndata(opened.to_anndata(), expected)
    assert {p.name for p in tmp_path.iterdir()} <= {"a.zarr", "a.h5ad"}
    assert opened.isbacked
    assert opened.filename == tmp_path / "a.zarr"
    rows, cols = np.array([40, 3, 3, 17]), [5, 1, 11]
    part = opened[rows, cols].to_memory()
    for ours, theirs in [
        (part.X, expected.X),
        (part.layers["csc"], expected.layers["csc"]),
        (part.layers["dense"], expected.layers["dense"]),
    ]:
        found, whole = (x.toarray() if sp.issparse(x) else x for x in (ours, theirs))
        np.testing.assert_array_equal(found, whole[rows][:, cols])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_anndata_writes_is_read_as_it_reads_it(tmp_path, expected, zarr_format) -> None:
    anndata.settings.zarr_write_format = zarr_format
    expected.write_zarr(tmp_path / "a.zarr")
    theirs = plain(anndata.io.read_zarr(tmp_path / "a.zarr"))
    opened = lo.read(tmp_path / "a.zarr")
    assert_same_anndata(opened.to_anndata(), theirs)
    assert_same_anndata(lo.read_zarr(tmp_path / "a.zarr", backed=False).to_anndata(), theirs)
    assert opened.obs["n"].tolist() == list(range(N))
    assert lo.read_zarr(tmp_path / "a.zarr", obs_columns=["n"]).obs.columns.tolist() == ["n"]
    with pytest.raises(KeyError, match="has no column 'x'"):
        lo.read_zarr(tmp_path / "a.zarr", obs_columns=["x"])


def test_is_as_lazy_as_a_file(tmp_path, expected) -> None:
    adata = lo.AnnData.from_anndata(expected)
    adata.write_zarr(tmp_path / "a.zarr", chunk_bytes=200)
    adata.write_h5ad(tmp_path / "a.h5ad")
    with count_reads() as reads:
        opened = lo.read_zarr(tmp_path / "a.zarr")
        repr(opened), opened[:5].shape, opened.obs_names
    assert not any(name.startswith(("X/", "raw/", "layers/")) for _, name in reads.by_dataset)
    with count_reads() as reads:
        opened[:3].X.compute()
    assert reads.by_dataset[str(tmp_path / "a.zarr"), "X/data"].chunks == 1
    objects = [opened, pickle.loads(pickle.dumps(opened)), lo.read_h5ad(tmp_path / "a.h5ad")]
    for one in objects:
        lo.pp.normalize_total(one, target_sum=100)
        lo.pp.log1p(one)
        lo.pp.highly_variable_genes(one, n_top_genes=5)
        lo.pp.calculate_qc_metrics(one, percent_top=None, inplace=True)
    for one in objects[:2]:
        pd.testing.assert_frame_equal(one.var, objects[2].var)
        pd.testing.assert_frame_equal(one.obs, objects[2].obs)
        assert abs(one.to_memory().X - objects[2].to_memory().X).sum() == 0


def test_files_and_stores_are_joined(tmp_path, expected) -> None:
    adata = lo.AnnData.from_anndata(expected)
    adata.write_zarr(tmp_path / "a.zarr")
    adata[:, ::2].write_h5ad(tmp_path / "b.h5ad")
    parts = {"a": lo.read(tmp_path / "a.zarr"), "b": lo.read(tmp_path / "b.h5ad")}
    theirs = {key: part.to_anndata() for key, part in parts.items()}
    for join in ("inner", "outer"):
        joined = lo.concat(parts, join=join, label="from", index_unique="-")
        assert not joined.isbacked
        their = anndata.concat(theirs, join=join, label="from", index_unique="-")
        their.strings_to_categoricals()
        joined.strings_to_categoricals()
        assert_same_anndata(joined.to_anndata(), their)
    joined.write_zarr(tmp_path / "c.zarr")
    assert_same_anndata(lo.read(tmp_path / "c.zarr").to_anndata(), their)


def test_stores_of_other_kinds(tmp_path, expected) -> None:
    pytest.importorskip("fsspec", reason="needs fsspec")
    adata = lo.AnnData.from_anndata(expected)
    made = zarr.storage.MemoryStore()
    for store in (tmp_path / "a.zarr.zip", "memory://test-zarr/a.zarr", made):
        lo.write_zarr(store, adata, chunk_bytes=200)
        opened = lo.read_zarr(store)
        assert_same_anndata(opened.to_anndata(), expected)
        rows = np.array([50, 2, 2])
        found = opened[rows].X.compute().to_scipy()
        assert abs(found - expected.X[rows]).sum() == 0
        np.testing.assert_array_equal(
            opened[rows, [3, 1]].layers["dense"].compute(),
            expected.layers["dense"][rows][:, [3, 1]],
        )
    assert lo.read("memory://test-zarr/a.zarr").shape == (N, M)
    assert_same_anndata(lo.read_zarr(zarr.open_group(made, mode="r")).to_anndata(), expected)
    with pytest.raises(ValueError, match="storage_options are for"):
        lo.read_zarr(tmp_path / "a.zarr.zip", storage_options={"anon": True})


def test_nothing_is_saved_into_a_store(tmp_path, expected) -> None:
    adata = lo.AnnData.from_anndata(expected)
    adata.write_zarr(tmp_path / "a.zarr")
    before = {p: p.read_bytes() for p in (tmp_path / "a.zarr").rglob("*") if p.is_file()}
    opened = lo.read_zarr(tmp_path / "a.zarr")
    opened.obs["new"] = 1
    for write in (opened.write, lambda: opened.write_h5ad(tmp_path / "a.zarr")):
        with pytest.raises((UnsupportedError, ValueError), match="write_zarr"):
            write()
    opened.write_h5ad(tmp_path / "b.h5ad")
    assert lo.read(tmp_path / "b.h5ad").obs["new"].eq(1).all()
    assert {p: p.read_bytes() for p in (tmp_path / "a.zarr").rglob("*") if p.is_file()} == before
    opened.write_zarr(tmp_path / "a.zarr")  # a new store in its place, read from the old one
    again = lo.read_zarr(tmp_path / "a.zarr")
    assert again.obs["new"].eq(1).all()
    assert abs(again.to_memory().X - expected.X).sum() == 0
    with pytest.raises(StaleFileError, match="open it again"):
        opened.layers["dense"].compute()


def test_what_is_no_store_is_not_replaced(tmp_path) -> None:
    adata = lo.AnnData(np.ones((2, 2)))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("folder", "file"):
        with pytest.raises(FileExistsError, match=rf"{name}"):
            adata.write_zarr(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist"):
        adata.write_zarr(tmp_path / "none" / "a.zarr")
    with pytest.raises(ValueError, match="format 2 has no shards"):
        adata.write_zarr(tmp_path / "a.zarr", zarr_format=2, shard_bytes="1 MiB")
    with pytest.raises(ValueError, match="at most shard_bytes"):
        adata.write_zarr(tmp_path / "a.zarr", chunk_bytes=100, shard_bytes=10)
    adata.uns["dates"] = np.array(["2020-01-01"], "datetime64[D]")
    with pytest.raises(TypeError, match=r"/uns/dates.*Convert it to text"):
        adata.write_zarr(tmp_path / "a.zarr")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
    with pytest.raises(FileNotFoundError, match="does not exist"):
        lo.read_zarr(tmp_path / "none.zarr")
    with pytest.raises(FileFormatError, match=r"expected a zarr store.*mine.txt"):
        lo.read_zarr(tmp_path / "folder")
    zarr.open_group(tmp_path / "other.zarr", mode="w")
    with pytest.raises(FileFormatError, match=r"elements 'obs' and 'var'.*not of anndata"):
        lo.read_zarr(tmp_path / "other.zarr")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    content[3] ^= 255
    path.write_bytes(bytes(content))


def _edit(change):
    def edit(path: Path) -> None:
        stated = json.loads(path.read_text())
        change(stated)
        path.write_text(json.dumps(stated))

    return edit


DAMAGE = {
    "a truncated chunk": ("X/data/c/0", _truncate, "X/data/c/0"),
    "a chunk of other bytes": ("X/indices/c/0", _flip, "X/indices/c/0"),
    "a truncated chunk of text": ("obs/rank/categories/c/0", _truncate, "obs/rank"),
    "an empty chunk": ("layers/dense/c/0/0", lambda p: p.write_bytes(b""), "layers/dense/c/0/0"),
    "metadata that is none": ("X/data/zarr.json", lambda p: p.write_text("{"), "X"),
    "no metadata": ("obs/zarr.json", Path.unlink, "obs"),
    "too few pointers": (
        "X/zarr.json",
        _edit(lambda s: s["attributes"].update(shape=[N, 5])),
        "X",
    ),
    "negative shape": ("X/zarr.json", _edit(lambda s: s["attributes"].update(shape=[-1, 4])), "X"),
    "an unknown encoding": (
        "uns/records/zarr.json",
        _edit(lambda s: s["attributes"].update({"encoding-type": "other"})),
        "uns/records",
    ),
    "codes that are none": (
        "obs/kind/categories/zarr.json",
        _edit(lambda s: s.update(shape=[1], chunk_grid=s["chunk_grid"])),
        "obs/kind",
    ),
    "a longer column": ("obs/n/zarr.json", _edit(lambda s: s.update(shape=[N + 1])), "obs/n"),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory, expected):
    folder = tmp_path_factory.mktemp("sound")
    some = expected[:, :4].copy()
    del some.raw, some.obsm, some.varm, some.obsp, some.layers["csc"]
    lo.AnnData.from_anndata(some).write_zarr(folder / "a.zarr")
    root = folder / "a.zarr" / "zarr.json"
    stated = json.loads(root.read_text())
    stated.pop("consolidated_metadata")  # which would be believed
    root.write_text(json.dumps(stated))
    return folder / "a.zarr"


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_names_store_and_element(tmp_path, sound, damage) -> None:
    shutil.copytree(sound, tmp_path / "a.zarr")
    place, harm, element = DAMAGE[damage]
    harm(tmp_path / "a.zarr" / place)
    with pytest.raises((FileFormatError, ShapeError, UnsupportedError)) as caught:
        lo.read_zarr(tmp_path / "a.zarr").to_memory()
    assert str(tmp_path / "a.zarr") in str(caught.value)
    assert element in str(caught.value)


@pytest.mark.parametrize("end", [-1, 0])
def test_damaged_shards(tmp_path, end) -> None:
    adata = lo.AnnData(sp.random(N, M, 0.9, "csr", random_state=0))
    adata.write_zarr(tmp_path / "a.zarr", chunk_bytes=512, shard_bytes=4096)
    shard = tmp_path / "a.zarr" / "X" / "data" / "c" / "0"
    content = bytearray(shard.read_bytes())
    content[-8 if end else 6] ^= 255
    shard.write_bytes(bytes(content))
    with pytest.raises(FileFormatError, match="X/data/c/0"):
        lo.read_zarr(tmp_path / "a.zarr").to_memory()


def test_mudata(tmp_path) -> None:
    rng = np.random.default_rng(0)
    mods = {
        "rna": anndata.AnnData(sp.random(20, 5, 0.5, "csr", random_state=0)),
        "adt": anndata.AnnData(rng.random((15, 3))),
    }
    mods["adt"].obs_names = [str(k) for k in range(5, 20)]
    for name, part in mods.items():
        part.var_names = [f"{name}{k}" for k in range(part.n_vars)]
    whole = mudata.MuData(mods)
    whole.obs["batch"] = pd.Categorical(["a", "b"] * 10)
    whole.obsm["X_umap"] = rng.random((20, 2))
    whole.uns["title"] = "t"
    anndata.settings.zarr_write_format = 2
    mudata.write_zarr(tmp_path / "theirs.zarr", whole)
    theirs = lo.read_zarr(tmp_path / "theirs.zarr")
    theirs.write_zarr(tmp_path / "ours.zarr")
    for opened in (theirs, lo.read(tmp_path / "ours.zarr")):
        assert isinstance(opened, lo.MuData)
        assert list(opened.mod) == list(whole.mod)
        assert list(opened.obs_names) == list(whole.obs_names)
        assert opened.obs["batch"].tolist() == whole.obs["batch"].tolist()
        np.testing.assert_array_equal(opened.obsm["X_umap"], whole.obsm["X_umap"])
        np.testing.assert_array_equal(opened.obsmap["adt"], whole.obsmap["adt"].ravel())
        for name, part in mods.items():
            assert_same_anndata(opened.mod[name].to_anndata(), part)
        assert opened[:7].shape == (7, 8)
        for data in (opened, opened.mod["rna"]):
            with pytest.raises(UnsupportedError, match="write_zarr"):
                data.write()
    again = mudata.read_zarr(tmp_path / "ours.zarr")
    assert again.shape == whole.shape
    for name, part in mods.items():
        assert_same_anndata(again.mod[name], part)
    opened.write_h5mu(tmp_path / "a.h5mu")
    assert lo.read(tmp_path / "a.h5mu").shape == whole.shape
    lo.write(f"{tmp_path / 'a.h5mu'}/new", opened.mod["rna"])
    assert "new" in lo.read(tmp_path / "a.h5mu").mod
