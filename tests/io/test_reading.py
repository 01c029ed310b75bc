"""read and write by the names of files, as scanpy's."""

from __future__ import annotations

import gzip

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError, UnsupportedError

sc = pytest.importorskip("scanpy", reason="compares with scanpy")

VALUES = np.random.default_rng(0).poisson(1.0, (4, 3)).astype("float32")
MTX = "%%MatrixMarket matrix coordinate integer general\n2 3 2\n1 2 5\n2 3 7\n"


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for settings in (lo.settings, sc.settings):
        before = settings.cachedir, settings.writedir
        settings.cachedir, settings.writedir = tmp_path / "cache", tmp_path / "write"
        monkeypatch.setattr(settings, "_before", before, raising=False)
    yield tmp_path
    for settings in (lo.settings, sc.settings):
        settings.cachedir, settings.writedir = settings._before


def texts(sep: str) -> str:
    lines = [sep.join(["name", "g1", "g2", "g3"])]
    lines += [sep.join([f"c{k}", *map(str, row)]) for k, row in enumerate(VALUES.tolist())]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize(
    "name", ["a.csv", "a.csv.gz", "a.tsv", "b.tab", "a.txt", "a.data", "a.mtx"]
)
def test_texts_are_read_as_by_scanpy(folders, name, cache) -> None:
    text = MTX if ".mtx" in name else texts("," if ".csv" in name else "\t")
    opened = gzip.open if name.endswith(".gz") else open
    with opened(folders / name, "wt") as file:
        file.write(text)
    expected = sc.read(folders / name)
    for _ in range(1 + cache):  # the second time from the cache
        found = lo.read(folders / name, cache=cache)
        assert not found.isbacked
        pd.testing.assert_frame_equal(found.to_memory().to_df(), expected.to_df())
        assert sp.issparse(found.to_memory().X) == sp.issparse(expected.X)
    assert (folders / "cache").exists() is cache
    if cache:
        with open(folders / name, "ab" if name.endswith(".gz") else "a") as file:
            line = (text.splitlines()[-1] + "\n").replace("c3", "c4").replace("2 3 7", "1 1 1")
            file.write(gzip.compress(line.encode()) if name.endswith(".gz") else line)
        if ".mtx" not in name:
            later = (folders / name).stat().st_mtime + 10
            import os

            os.utime(folders / name, (later, later))
            assert lo.read(folders / name, cache=True).n_obs == 5  # made anew


def test_hdf5_by_content(folders, data_file) -> None:
    adata = lo.AnnData(sp.csr_matrix(VALUES))
    adata.write_h5ad("a.h5ad")
    adata.write_h5ad("any.name")
    assert lo.read("any.name").shape == lo.read("a.h5ad").shape == (4, 3)
    with h5py.File("t.h5", "w") as file:
        file["values"] = VALUES
    assert lo.read("t.h5", sheet="values").shape == (4, 3)
    ten = lo.read(data_file("10x_1k_pbmc_citeseq.h5"))
    assert ten.shape == lo.read_10x_h5(data_file("10x_1k_pbmc_citeseq.h5")).shape
    lo.write("key", adata)  # stands for a file in settings.writedir
    assert (folders / "write" / "key.h5ad").exists()
    assert lo.read("key").shape == sc.read("key").shape == (4, 3)


def test_what_cannot_be_read_says_what_can(folders) -> None:
    (folders / "a.png").write_bytes(b"PNG")
    (folders / "a.h5ad").write_bytes(b"")
    (folders / "b.csv").write_text(texts(","))
    (folders / "e.xlsx").write_bytes(b"")
    (folders / "g.soft.gz").write_bytes(b"")
    for name, error, match in [
        ("a.png", FileFormatError, r"expected a file that lazyomics reads: .h5ad.*ext="),
        ("a.h5ad", FileFormatError, "without the HDF5 signature"),
        ("none.csv", FileNotFoundError, "none.csv does not exist"),
        ("none.h5ad", FileNotFoundError, "does not exist"),
        ("none", ValueError, "stands for"),
        ("e.xlsx", ValueError, "name a sheet"),
        ("g.soft.gz", UnsupportedError, "scanpy"),
        (".", IsADirectoryError, "a folder without matrix.mtx"),
    ]:
        with pytest.raises(error, match=match):
            lo.read(name)
    with pytest.raises(ValueError, match="ext is one of"):
        lo.read("a.png", ext="png")
    with pytest.raises(TypeError, match=r"only .loom and 10x take"):
        lo.read("b.csv", X_name="spliced")
    (folders / "c").write_text(texts(","))
    assert lo.read("c", ext="csv").shape == (4, 3)
    with pytest.raises(FileNotFoundError, match=r"could not be downloaded from .*nowhere"):
        lo.read("missing.csv", backup_url="http://127.0.0.1:9/nowhere.csv")


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["s1_matrix.mtx.gz"], "prefix='s1_'"),
        (["cells_x_genes.mtx"], "read_kb"),
        (["quants_mat.mtx"], "read_alevin"),
        (["spatial/x"], "read_visium"),
        (["raw/matrix.mtx"], "read_starsolo"),
        (["hg19/matrix.mtx"], "Read one of the folders in it, such as '.*hg19'"),
        (["a.h5ad"], "Read a file in it"),
    ],
)
def test_folders_say_what_reads_them(folders, names, match) -> None:
    for name in names:
        place = folders / "run" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("")
    with pytest.raises(IsADirectoryError, match=match):
        lo.read(folders / "run")


def test_folder_of_10x(folders) -> None:
    tables = {"genes.tsv": "i1\tA\ni2\tB\n", "barcodes.tsv": "a\nb\nc\n", "matrix.mtx": MTX}
    (folders / "run").mkdir()
    for name, content in tables.items():
        (folders / "run" / name).write_text(content)
    expected = sc.read_10x_mtx(folders / "run", compressed=False) if _takes_compressed() else None
    expected = sc.read_10x_mtx(folders / "run") if expected is None else expected
    for cache in (False, True):
        found = lo.read(folders / "run", cache=cache).to_memory()
        pd.testing.assert_frame_equal(found.to_df(), expected.to_df())


def _takes_compressed() -> bool:
    import inspect

    return "compressed" in inspect.signature(sc.read_10x_mtx).parameters


def test_names_of_other_formats_are_refused(folders) -> None:
    adata = lo.AnnData(sp.csr_matrix(VALUES))
    mdata = lo.MuData({"a": adata})
    for name, match in [
        ("x.csv", r"write_csvs\('x.csv'\)"),
        ("x.zarr", r"write_zarr\('x.zarr'\)"),
        ("x.loom", r"write_loom\('x.loom'\)"),
        ("x.xlsx", "Name it with .h5ad"),
        ("x.h5mu", "MuData"),
    ]:
        for write in (adata.write, adata.write_h5ad):
            with pytest.raises(ValueError, match=match):
                write(name)
    with pytest.raises(ValueError, match="write_zarr"):
        mdata.write("x.zarr")
    with pytest.raises(ValueError, match="of a modality"):
        mdata.write("x.h5ad")
    with pytest.raises(ValueError, match="ext says"):
        lo.write("x.h5ad", adata, ext="csv")
    with pytest.raises(ValueError, match="ext is one of"):
        lo.write("x", adata, ext="npz")
    assert list(folders.iterdir()) == []


def test_kinds_of_files_that_write_makes(folders) -> None:
    adata = lo.AnnData(sp.csr_matrix(VALUES), obs={"n": [1, 2, 3, 4]})
    lo.write("a.csv", adata)
    assert (folders / "a" / "obs.csv").exists()
    lo.write("a.loom", adata)
    np.testing.assert_array_equal(lo.read("a.loom").X.compute(), VALUES)
    lo.write("a.h5ad", adata)  # gzip, as scanpy's
    lo.write("b.h5ad", adata, compression=None)
    for name, filters in (("a.h5ad", "gzip"), ("b.h5ad", None)):
        with h5py.File(name) as file:
            assert file["X/data"].compression == filters
    with pytest.raises(ValueError, match="compression is of HDF5"):
        lo.write("c.loom", adata, compression="gzip")


def test_loom_is_written_with_what_it_can_hold(folders) -> None:
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(["a", "b", None, "a"]),
            "flag": [True, False, True, True],
            "n": [1, 2, 3, 4],
            "some": pd.array([1, None, 3, 4], dtype="Int64"),
        },
        index=[f"c{k}" for k in range(4)],
    )
    adata = lo.AnnData(
        sp.csr_matrix(VALUES),
        obs=obs,
        layers={"other": VALUES * 2},
        obsm={"X_umap": np.arange(8.0).reshape(4, 2)},
        uns={"a": 1},
    )
    adata.write_h5ad("a.h5ad")
    for one in (adata, lo.read("a.h5ad")):
        with pytest.warns(UserWarning, match=r"no place for .*obsm.*uns"):
            one.write_loom("a.loom")
        with pytest.warns(UserWarning, match="no place for {'uns'"):
            one.write_loom("b.loom", write_obsm_varm=True)
        found = lo.read_loom("b.loom", obs_names="obs_names", var_names="var_names")
        assert list(found.obs_names) == list(obs.index)
        assert found.obs["kind"].tolist() == ["a", "b", "nan", "a"]
        assert found.obs["flag"].tolist() == [1, 0, 1, 1]
        np.testing.assert_array_equal(found.obs["some"], [1, np.nan, 3, 4])
        np.testing.assert_array_equal(found.obsm["X_umap"], adata.obsm["X_umap"])
        np.testing.assert_array_equal(found.X.compute(), VALUES)
        np.testing.assert_array_equal(found.layers["other"].compute(), VALUES * 2)
        assert lo.read_loom("a.loom").obsm == {}
    adata.obs["X_umap"] = 1
    with pytest.raises(ValueError, match="an entry 'X_umap' each"):
        adata.write_loom("c.loom", write_obsm_varm=True)
    with pytest.raises(ValueError, match="no X"):
        lo.AnnData(shape=(2, 2)).write_loom("c.loom")
    assert not (folders / "c.loom").exists()
