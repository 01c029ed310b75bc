from __future__ import annotations

import os

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io import snapshot, writing
from tests.comparing import assert_same_anndata

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")
h5py = pytest.importorskip("h5py")


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_new_files_equal_the_old(stored, tmp_path, compression) -> None:
    target = tmp_path / "new.h5ad"
    lo.read_h5ad(stored).write_h5ad(target, compression=compression)
    assert_same_anndata(ad.read_h5ad(target), ad.read_h5ad(stored))
    with h5py.File(target) as file:
        values = file["X/data"] if "X/data" in file else file["X"]
        assert values.compression == compression


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_selections_are_streamed(stored, tmp_path, compression) -> None:
    target = tmp_path / "part.h5ad"
    rows, cols = np.arange(30) % 3 == 1, [7, 2, 3]
    part = lo.read_h5ad(stored, chunks=4)[rows, cols].copy(filename=target)
    assert part.isbacked
    assert part.filename == target
    expected = ad.read_h5ad(stored)[rows, cols].copy()
    assert_same_anndata(ad.read_h5ad(target), expected)
    assert_same_anndata(part.to_anndata(), expected)


@pytest.mark.parametrize("changed", [False, True])
def test_the_source_is_opened_once(stored, tmp_path, monkeypatch, changed) -> None:
    """And closed again before matrices are streamed, so that others can save it meanwhile."""
    opened, open_for_reading = [], snapshot.open_for_reading
    monkeypatch.setattr(
        snapshot,
        "open_for_reading",
        lambda path: opened.append(open_for_reading(path)) or opened[-1],
    )
    streamed, stream_matrix = [], writing.stream_matrix

    def stream(*arguments, **options):
        streamed.append(any(map(bool, opened)))  # a closed file is false
        stream_matrix(*arguments, **options)

    monkeypatch.setattr(writing, "stream_matrix", stream)
    adata = lo.read_h5ad(stored)
    if changed:
        adata.layers["more"] = adata.X * 2
    part = adata[::2]
    opened.clear()
    part.copy(filename=tmp_path / "part.h5ad")
    assert len(opened) == 1
    assert len(streamed) > 1
    assert not any(streamed)


def test_changed_objects_are_written_as_they_are(one_file, tmp_path) -> None:
    adata = lo.read_h5ad(one_file)
    lo.pp.normalize_total(adata, target_sum=10)
    adata.layers["plus"] = adata.X + 1
    adata.obsm["lazy"] = da.ones((30, 3), chunks=7)
    adata.obs["text"] = [f"t{i % 3}" for i in range(30)]
    del adata.layers["dense"]
    adata.write_h5ad(tmp_path / "changed.h5ad")
    theirs = ad.read_h5ad(tmp_path / "changed.h5ad")
    assert_same_anndata(theirs, adata_with_categories(adata))


def adata_with_categories(adata):
    made = adata.to_anndata()
    made.strings_to_categoricals()
    made.obsm["lazy"] = np.ones((30, 3))
    return made


@pytest.mark.parametrize(
    "x",
    [sp.random(9, 5, 0.4, "csr"), sp.random(9, 5, 0.4, "csc"), np.eye(9, 5), None],
    ids=["csr", "csc", "dense", "none"],
)
def test_objects_from_memory(tmp_path, x) -> None:
    path = tmp_path / "memory.h5ad"
    lo.AnnData(x, obs={"n": np.arange(9)}, uns={"none": None}).write_h5ad(path)
    theirs = ad.read_h5ad(path)
    if x is None:
        assert theirs.X is None
    else:
        np.testing.assert_array_equal(lo.read_h5ad(path).to_df(), theirs.to_df())
        assert type(theirs.X) is type(x if isinstance(x, np.ndarray) else type(x)(x))


def test_a_failing_write_leaves_the_target_and_no_other_file(one_file, tmp_path) -> None:
    target = tmp_path / "target.h5ad"
    target.write_bytes(b"precious")
    adata = lo.read_h5ad(one_file)
    adata.layers["bad"] = adata.X.map_blocks(_fail, dtype="f4", meta=adata.X._meta)
    with pytest.raises(ZeroDivisionError):
        adata.write_h5ad(target)
    assert target.read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["one.h5ad", "target.h5ad"]


def _fail(block):
    if block.shape[0] == 0:
        return block
    raise ZeroDivisionError


def test_places_that_cannot_be_written(one_file, tmp_path) -> None:
    adata = lo.read_h5ad(one_file)
    with pytest.raises(FileNotFoundError, match="folder"):
        adata.write_h5ad(tmp_path / "nowhere" / "x.h5ad")
    with pytest.raises(IsADirectoryError, match="folder"):
        adata.write_h5ad(tmp_path)
    with pytest.raises(ValueError, match="filename"):
        adata.to_memory().write()


def test_links_and_modes_are_kept(one_file, tmp_path) -> None:
    target, link = tmp_path / "real.h5ad", tmp_path / "link.h5ad"
    lo.read_h5ad(one_file).write_h5ad(target)
    target.chmod(0o640)
    link.symlink_to(target)
    lo.read_h5ad(one_file)[:5].write_h5ad(link)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert lo.read_h5ad(link).n_obs == 5


def test_small_matrices_make_small_files(tmp_path) -> None:
    lo.AnnData(sp.eye(5, format="csr")).write_h5ad(tmp_path / "a.h5ad")
    lo.read_h5ad(tmp_path / "a.h5ad")[:3].write_h5ad(tmp_path / "b.h5ad")
    assert (tmp_path / "b.h5ad").stat().st_size < 60_000


@pytest.mark.parametrize("rows", [slice(0, 0), []])
def test_empty_selections(stored, tmp_path, rows) -> None:
    lo.read_h5ad(stored)[rows].write_h5ad(tmp_path / "empty.h5ad")
    assert ad.read_h5ad(tmp_path / "empty.h5ad").shape == (0, 12)
    assert lo.read_h5ad(tmp_path / "empty.h5ad").to_memory().shape == (0, 12)
