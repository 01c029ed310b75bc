"""Files on a server give what local ones give, for few requests and bytes."""

from __future__ import annotations

from pathlib import Path

import dask
import h5py
import numpy as np
import pytest

import lazyomics as lo
from lazyomics import lazy as lazy_module
from lazyomics.errors import FileFormatError, RemoteFileError, UnsupportedError
from lazyomics.io.hdf5 import StoredArray
from lazyomics.io.remote.connection import find
from lazyomics.io.remote.opened import open_remote
from tests.comparing import assert_same_value
from tests.io.remote.conftest import write_layouts
from tests.io.remote.range_server import Behaviour, serving

pytest.importorskip("aiohttp", reason="http:// is opened through aiohttp")

LAYERS = ("plain", "columns", "flat", "boxes")
# What HDF5 looks at to open a file, in windows of 32 KiB, and the beginning of the file.
METADATA = 600_000


def loaded(adata: lo.AnnData) -> dict[str, object]:
    """Every element, in memory."""
    found: dict[str, object] = {
        "X": lazy_module.materialize(adata.X),
        "obs": adata.obs,
        "var": adata.var,
    }
    found |= {f"layers/{k}": lazy_module.materialize(adata.layers[k]) for k in adata.layers}
    found |= {f"obsm/{k}": adata.obsm[k] for k in adata.obsm}
    return found | {f"uns/{k}": adata.uns[k] for k in adata.uns}


def test_every_element_is_the_same(server: Behaviour, layouts: Path) -> None:
    here, there = loaded(lo.read_h5ad(layouts)), loaded(lo.read_h5ad(server.url(layouts.name)))
    assert list(here) == list(there)
    for name, value in here.items():
        assert_same_value(there[name], value, name)


def test_opening_takes_no_matrix(server: Behaviour, layouts: Path, tmp_path: Path) -> None:
    adata = lo.read_h5ad(server.url(layouts.name))
    requests, sent = server.requests, server.sent
    assert requests <= 12
    assert sent <= METADATA
    assert adata.shape == lo.read_h5ad(layouts).shape
    assert repr(adata).startswith("AnnData object with n_obs")
    assert (server.requests, server.sent) == (requests, sent)
    larger = write_layouts(tmp_path / "larger.h5ad", 4 * adata.n_obs)
    with serving(tmp_path) as other:
        lo.read_h5ad(other.url(larger.name))
    assert other.sent <= METADATA
    assert other.requests <= 12


@pytest.mark.parametrize("where", ["X", *LAYERS])
def test_rows_take_the_chunks_that_hold_them(server: Behaviour, layouts: Path, where: str) -> None:
    def matrix(adata: lo.AnnData) -> object:
        return adata.X if where == "X" else adata.layers[where]

    rows = slice(4_000, 4_100)  # 1 %
    adata = lo.read_h5ad(server.url(layouts.name))
    lazy = matrix(adata)
    server.forget()
    found = lazy[rows].compute()
    expected = matrix(lo.read_h5ad(layouts))[rows].compute()
    assert_same_value(lazy_module.materialize(found), lazy_module.materialize(expected), where)
    with h5py.File(layouts, "r") as file:
        stored = file["X" if where == "X" else f"layers/{where}"]
        parts = stored.values() if isinstance(stored, h5py.Group) else [stored]
        size = sum(part.id.get_storage_size() for part in parts)
    if where != "columns":  # each of which may hold any row
        assert server.sent <= size // 20 + METADATA
        assert server.requests <= 40


def test_neighbours_are_one_request(server: Behaviour, layouts: Path) -> None:
    x = lo.read_h5ad(server.url(layouts.name)).layers["plain"]
    x[:10].compute()
    server.forget()
    rows = np.arange(0, 10_000, 100)
    with dask.config.set({"lazyomics.remote-gap": "1 MiB"}):
        x[rows].compute()
    # a hundred rows of indices and of data, all closer than the gap
    assert server.requests == 1
    server.forget()
    with dask.config.set({"lazyomics.remote-gap": "64 B"}):
        x[rows].compute()
    assert server.requests > 100
    assert server.most_at_once > 1
    assert server.sent < 64_000


def test_long_parts_are_several_requests_at_once(layouts: Path) -> None:
    with serving(layouts.parent, latency=0.02) as server:
        x = lo.read_h5ad(server.url(layouts.name), chunks=100_000).layers["flat"]
        server.forget()
        with dask.config.set({"lazyomics.remote-request": "256 KiB"}):
            x.compute()
    assert max(b - a for a, b in server.ranges) <= 256 << 10
    assert server.most_at_once >= 4


def test_values_and_indices_are_fetched_together(server: Behaviour, layouts: Path) -> None:
    """Chunks that lie side by side are not fetched for each dataset."""
    x = lo.read_h5ad(server.url(layouts.name), chunks=2_000).X
    x[:10].compute()
    server.forget()
    x.compute()
    with h5py.File(layouts, "r") as file:
        size = sum(file[f"X/{part}"].id.get_storage_size() for part in ("data", "indices"))
    assert server.sent < 1.2 * size


@pytest.mark.parametrize("user_block", [0, 512])
def test_the_index_of_chunks_is_fetched_at_once(tmp_path: Path, user_block: int) -> None:
    values = np.random.default_rng(0).integers(0, 2**62, 2_000_000)
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=user_block) as file:
        file.create_dataset("x", data=values, chunks=(500,), compression="gzip")
    with serving(tmp_path, latency=0.005) as server:
        path = find(server.url("a.h5"))
        with open_remote(path) as file:
            stored = StoredArray.of(file["x"], path)
        server.forget()
        np.testing.assert_array_equal(stored.read(5_000, 5_010), values[5_000:5_010])
        # some hundred nodes of 2 kB, far from each other: together, not one after the other
        assert server.requests > 60
        assert server.most_at_once >= 8
        assert server.sent < 1_500_000
        server.forget()
        stored.read(900_000, 900_010)
        assert server.requests == 1


def test_pipeline_is_the_same(server: Behaviour, layouts: Path) -> None:
    results = []
    for name in (layouts, server.url(layouts.name)):
        adata = lo.read_h5ad(name, chunks=2_500)
        lo.pp.filter_genes(adata, min_cells=3)
        lo.pp.normalize_total(adata, target_sum=1e4)
        lo.pp.log1p(adata)
        lo.pp.highly_variable_genes(adata, n_top_genes=50)
        lo.pp.pca(adata, n_comps=5)
        results.append(adata)
    here, there = results
    assert_same_value(there.obsm["X_pca"], here.obsm["X_pca"], "X_pca")
    assert_same_value(there.var, here.var, "var")
    subset = (slice(7, 5_000, 3), here.var["highly_variable"].to_numpy())
    assert_same_value(
        lazy_module.materialize(there[subset].X), lazy_module.materialize(here[subset].X), "subset"
    )


def test_copy_to_a_local_file(server: Behaviour, layouts: Path, tmp_path: Path) -> None:
    adata = lo.read_h5ad(server.url(layouts.name))
    adata.obs["new"] = np.arange(adata.n_obs)
    copied = adata.copy(filename=tmp_path / "whole.h5ad")
    assert str(copied.filename) == str(tmp_path / "whole.h5ad")
    here = lo.read_h5ad(layouts)
    here.obs["new"] = np.arange(adata.n_obs)
    assert_same_value(loaded(copied), loaded(here), "whole")
    copied.obs["again"] = 1
    copied.write()
    adata[:500].write_h5ad(tmp_path / "some.h5ad")
    some = lo.read_h5ad(tmp_path / "some.h5ad")
    assert_same_value(loaded(some), loaded(here[:500].to_memory()), "some")


def test_copying_asks_for_long_stretches(server: Behaviour, layouts: Path, tmp_path: Path) -> None:
    lo.read_h5ad(server.url(layouts.name)).copy(filename=tmp_path / "whole.h5ad")
    assert server.sent < 2 * layouts.stat().st_size
    assert server.requests < 150


def test_saving_is_refused(server: Behaviour, layouts: Path, tmp_path: Path) -> None:
    adata = lo.read_h5ad(server.url(layouts.name))
    adata.obs["new"] = 1
    for write in (adata.write, lambda: adata.write(overwrite_x=True), adata[:5].write):
        with pytest.raises(UnsupportedError, match=r"read-only.*write_h5ad\(path\)"):
            write()
    with pytest.raises(UnsupportedError, match="cannot write 'http"):
        adata.write_h5ad(server.url("other.h5ad"))
    with pytest.raises(UnsupportedError, match=r"cannot write 's3://bucket/a\.h5ad'"):
        lo.read_h5ad(layouts).copy(filename="s3://bucket/a.h5ad")
    with pytest.raises(UnsupportedError, match="read-only"):
        lo.repack(server.url(layouts.name))
    assert adata.isbacked
    assert adata.filename == server.url(layouts.name)


def test_loading_at_once(server: Behaviour, layouts: Path) -> None:
    adata = lo.read_h5ad(server.url(layouts.name), backed=False, obs_columns=["n"])
    assert not adata.isbacked
    assert list(adata.obs) == ["n"]
    assert adata.filename is None


@pytest.mark.parametrize("form", ["file://{}", "local://{}", "file://localhost{}"])
def test_local_urls_are_paths(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a b.h5ad"
    lo.AnnData(np.ones((3, 2), np.float32)).write_h5ad(path)
    adata = lo.read_h5ad(form.format(path))
    assert adata.filename == path
    adata.obs["new"] = [1, 2, 3]
    adata.write()
    assert list(lo.read(form.format(path)).obs["new"]) == [1, 2, 3]
    adata.write_h5ad(form.format(path))  # its own file
    other = tmp_path / "other.h5ad"
    adata.copy(filename=form.format(other))
    assert other.exists()
    with pytest.raises(ValueError, match="storage_options are for files on servers"):
        lo.read_h5ad(form.format(path), storage_options={"anon": True})


def test_what_is_not_there(server: Behaviour, layouts: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file on the server"):
        lo.read_h5ad(server.url("missing.h5ad"))
    server.token = "Bearer abcdef"
    with pytest.raises(PermissionError, match=r"refuses access.*401.*storage_options"):
        lo.read_h5ad(server.url(layouts.name))
    lo.read_h5ad(
        server.url(layouts.name), storage_options={"headers": {"Authorization": "Bearer abcdef"}}
    )


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all" * 10_000, b"\x89HDF\r\n\x1a\n" * 9])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.h5ad").write_bytes(content)
    with serving(tmp_path) as server, pytest.raises(FileFormatError, match=r"http://.*a\.h5ad"):
        lo.read_h5ad(server.url("a.h5ad"))


def test_a_file_that_was_cut_short(layouts: Path, tmp_path: Path) -> None:
    whole = layouts.read_bytes()
    (tmp_path / "a.h5ad").write_bytes(whole[: len(whole) // 2])
    with serving(tmp_path) as server, pytest.raises((FileFormatError, RemoteFileError)):
        loaded(lo.read_h5ad(server.url("a.h5ad")))


def test_nobody_listens(layouts: Path) -> None:
    with serving(layouts.parent) as server:
        url = server.url(layouts.name)
    with (
        dask.config.set({"lazyomics.remote-attempts": 2}),
        pytest.raises(RemoteFileError, match=r"2 attempts.*127\.0\.0\.1"),
    ):
        lo.read_h5ad(url)


def test_10x_files(data_file, tmp_path: Path) -> None:
    path = data_file("10x_1k_pbmc_citeseq.h5")
    with serving(path.parent) as server:
        there = lo.read_10x_h5(server.url(path.name))
        here = lo.read_10x_h5(path)
        assert_same_value(lazy_module.materialize(there.X), lazy_module.materialize(here.X), "X")
    assert_same_value(there.var, here.var, "var")
