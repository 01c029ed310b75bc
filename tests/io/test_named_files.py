"""How files are named when they are opened: as anndata, scanpy, mudata and fsspec name them."""

from __future__ import annotations

import functools
import http.server
import sys
import threading
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import MissingDependencyError, UnsupportedError
from tests.container.mudata_cases import assert_same_mudata, modalities, read_with_mudata
from tests.container.reference import assert_same, reference

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")
fsspec = pytest.importorskip("fsspec", reason="fsspec names some of the files")


@pytest.fixture
def cells(tmp_path) -> Path:
    reference().write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


@pytest.fixture
def whole(tmp_path) -> Path:
    lo.MuData(modalities("partial")).write(tmp_path / "whole.h5mu")
    return tmp_path / "whole.h5mu"


def test_backed_by_its_position(cells, whole) -> None:
    for backed in ("r", "r+", True):
        assert lo.read_h5ad(cells, backed).isbacked
        assert lo.read(cells, backed).isbacked
        assert lo.read_h5mu(whole, backed).isbacked
    for backed in (False, None):
        assert_same(lo.read_h5ad(cells, backed), ad.read_h5ad(cells))
        assert not lo.read_h5mu(whole, backed).isbacked
    assert_same(lo.read_h5ad(filename=cells), ad.read_h5ad(filename=cells))
    assert lo.read_h5mu(filename=whole).n_mod == 3
    with pytest.raises(ValueError, match="MODALITY"):
        lo.read_h5ad(whole, "rna")


def test_files_of_fsspec(cells, whole) -> None:
    for name, read in ((cells, lo.read_h5ad), (cells, lo.read), (whole, lo.read_h5mu)):
        named = fsspec.open(name)
        opened = read(named)
        assert Path(opened.filename) == name
        with named as file:
            assert Path(read(file).filename) == name
    assert_same(lo.read_h5ad(fsspec.open(f"file://{cells}")), ad.read_h5ad(cells))
    with pytest.raises(UnsupportedError, match="gzip"):
        lo.read_h5ad(fsspec.open(cells, compression="gzip"))


def test_files_of_fsspec_that_are_elsewhere(cells) -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/bucket/cells.h5ad", cells.read_bytes())
    try:
        named = fsspec.open("memory://bucket/cells.h5ad")
        assert_same(lo.read_h5ad(named), ad.read_h5ad(cells))
        assert str(lo.read(named).filename) == "memory:///bucket/cells.h5ad"
    finally:
        store.rm("/bucket", recursive=True)


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix])
@pytest.mark.parametrize("as_sparse", ["X", ["X", "raw/X"], ["raw.X"], [("raw", "X")]], ids=str)
def test_dense_matrices_read_sparse(tmp_path, as_sparse, kind) -> None:
    theirs = reference(x="dense")
    theirs.raw = ad.AnnData(theirs.raw.X.toarray(), var=theirs.raw.var, obs=theirs.obs[[]])
    theirs.write_h5ad(tmp_path / "dense.h5ad")
    options = {"as_sparse": as_sparse, "as_sparse_fmt": kind, "chunk_size": 7}
    expected = ad.read_h5ad(tmp_path / "dense.h5ad", **options)
    opened = lo.read_h5ad(tmp_path / "dense.h5ad", **options)
    assert isinstance(opened.X, da.Array)
    assert_same(opened, expected)
    assert_same(lo.read_h5ad(tmp_path / "dense.h5ad", False, **options), expected)
    assert_same(opened[[3, 1], 2:5], expected[[3, 1], 2:5].copy())


def test_what_cannot_be_read_sparse(cells) -> None:
    for options in ({"as_sparse": ["layers/dense"]}, {"as_sparse": "X", "as_sparse_fmt": list}):
        for module in (lo, ad):
            with pytest.raises(NotImplementedError):
                module.read_h5ad(cells, **options)
    assert_same(lo.read_h5ad(cells, as_sparse="X"), ad.read_h5ad(cells))  # sparse already


@pytest.mark.parametrize("x", ["csr", "csc", "dense"])
@pytest.mark.parametrize("as_dense", ["X", ["raw/X"], ["X", "raw.X"], ["layers/counts"]], ids=str)
def test_sparse_matrices_written_dense(tmp_path, x, as_dense) -> None:
    theirs = reference(x=x)
    theirs.write_h5ad(tmp_path / "stored.h5ad")
    places = {"raw.X": "raw/X"}
    wanted = [places.get(p, p) for p in ([as_dense] if isinstance(as_dense, str) else as_dense)]
    objects = [lo.read_h5ad(tmp_path / "stored.h5ad"), lo.read_h5ad(tmp_path / "stored.h5ad", None)]
    objects.append(objects[0][3:].copy())
    for ours in objects:
        ours.write_h5ad(tmp_path / "new.h5ad", as_dense=as_dense)
        made = ad.read_h5ad(tmp_path / "new.h5ad")
        held = {"X": made.X, "raw/X": made.raw.X, "layers/counts": made.layers["counts"]}
        for place, value in held.items():
            was_dense = x == "dense" and place != "raw/X"
            assert isinstance(value, np.ndarray) == (place in wanted or was_dense)
        np.testing.assert_array_equal(made.to_df(), ours.to_df())
    assert isinstance(ours.copy(filename=tmp_path / "c.h5ad", as_dense="X").X._meta, np.ndarray)


def test_dense_places_that_are_not_there(cells, tmp_path) -> None:
    adata = lo.read_h5ad(cells)
    with pytest.raises(ValueError, match="layers/nix"):
        adata.write_h5ad(tmp_path / "new.h5ad", as_dense=["layers/nix"])
    with pytest.raises(ValueError, match="as_dense is chosen for a new file"):
        adata.write_h5ad(as_dense=["X"])
    assert not (tmp_path / "new.h5ad").exists()


@pytest.mark.parametrize("convert", [True, False])
def test_text_stays_text(cells, tmp_path, convert) -> None:
    option = {"convert_strings_to_categoricals": convert}
    for how in ("new", "saved", "again"):
        ours, theirs = lo.read_h5ad(cells), ad.read_h5ad(cells)
        for adata in (ours, theirs):
            adata.obs[how] = ["same"] * adata.n_obs
            adata.var[how] = ["same"] * adata.n_vars
            adata.raw.var[how] = ["same"] * adata.raw.n_vars
        theirs.write_h5ad(tmp_path / "theirs.h5ad", **option)
        if how == "new":
            ours.write_h5ad(tmp_path / "ours.h5ad", **option)
        else:
            ours.write(**option)
        made = tmp_path / "ours.h5ad" if how == "new" else cells
        assert_same(lo.read_h5ad(made), ad.read_h5ad(tmp_path / "theirs.h5ad"))
        assert isinstance(ours.obs[how].iloc[0], str)
        assert ours.obs[how].dtype != "category"


@pytest.mark.parametrize("convert", [True, False])
def test_text_of_modalities_stays_text(whole, tmp_path, convert) -> None:
    for how in ("new", "saved"):
        mdata = lo.read_h5mu(whole)
        mdata.obs["text"] = ["same"] * mdata.n_obs
        mdata["rna"].obs["text"] = ["same"] * mdata["rna"].n_obs
        target = tmp_path / "new.h5mu" if how == "new" else None
        mdata.write(target, convert_strings_to_categoricals=convert)
        made = read_with_mudata(target or whole)
        assert (made.obs["text"].dtype == "category") is convert
        assert (made["rna"].obs["text"].dtype == "category") is convert


def test_one_modality_is_written_into_a_file(whole) -> None:
    before = lo.read_h5mu(whole).to_memory()
    changed = before["rna"].copy()
    changed.X = changed.X * 2
    changed.obs["new"] = 1
    lo.write_h5ad(whole, "rna", changed)
    before.mod["rna"] = changed
    assert_same_mudata(lo.read_h5mu(whole), before)
    lo.write_h5ad(whole, "again", lo.MuData({"again": changed}))
    before.mod["again"] = changed
    before.update()
    assert_same_mudata(lo.read_h5mu(whole), before)
    assert read_with_mudata(whole).shape == before.shape
    lo.write(f"{whole}/adt", changed[:3])
    assert lo.read(f"{whole}/mod/adt").shape == (3, changed.n_vars)
    assert changed.filename is None
    for args in (("rna", 3), ("nix", before)):
        with pytest.raises((TypeError, KeyError)):
            lo.write_h5ad(whole, *args)
    with pytest.raises(FileNotFoundError):
        lo.write_h5ad(whole.with_name("nix.h5mu"), "rna", changed)


def test_kinds_of_files_that_are_written(tmp_path) -> None:
    theirs = reference()
    adata, mdata = lo.AnnData.from_anndata(theirs), lo.MuData(modalities())
    lo.write(tmp_path / "a.h5ad", adata, compression="gzip")
    assert_same(lo.read(tmp_path / "a.h5ad"), theirs)
    lo.write_h5ad(tmp_path / "b.h5ad", adata)
    assert_same(lo.read(tmp_path / "b.h5ad"), theirs)
    lo.write(filename=tmp_path / "b.h5ad", adata=adata)  # as scanpy's is called
    assert lo.read_h5ad(tmp_path / "b.h5ad").shape == adata.shape
    for objects in ({}, {"data": adata, "adata": adata}):
        with pytest.raises(TypeError, match="write takes one object"):
            lo.write(tmp_path / "c.h5ad", **objects)
    lo.write(tmp_path / "m.h5mu", mdata)
    assert_same_mudata(lo.read(tmp_path / "m.h5mu"), mdata)
    lo.write_h5mu(tmp_path / "n.h5mu", mdata, compression="gzip")
    for name, data in (("m.h5ad", mdata), ("a.h5mu", adata)):
        with pytest.raises(ValueError, match="MuData"):
            lo.write(tmp_path / name, data)


@pytest.fixture
def server(tmp_path):
    """Give the URL of a folder that a server hands out."""
    (tmp_path / "served").mkdir()
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served")
    )
    handler.log_message = lambda *args: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", tmp_path / "served"
        running.shutdown()
        thread.join()


def test_a_file_that_is_not_there_is_downloaded(server, tmp_path) -> None:
    pytest.importorskip("pooch", reason="pooch downloads")
    url, served = server
    reference().write_h5ad(served / "there.h5ad")
    target = tmp_path / "new folder" / "here.h5ad"
    opened = lo.read(target, cache=True, backup_url=f"{url}/there.h5ad")
    assert_same(opened, reference())
    assert target.is_file()
    (served / "there.h5ad").unlink()
    assert lo.read(target, backup_url=f"{url}/there.h5ad").isbacked  # not asked for again
    with pytest.raises(FileNotFoundError, match="could not be downloaded"):
        lo.read(tmp_path / "other.h5ad", backup_url=f"{url}/there.h5ad")
    assert not (tmp_path / "other.h5ad").exists()


def test_without_pooch_names_the_extra(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingDependencyError, match=r"lazyomics\[datasets\]"):
        lo.read(tmp_path / "nix.h5ad", backup_url="http://127.0.0.1:1/nix.h5ad")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        lo.read(tmp_path / "nix.h5ad", cache=True)
