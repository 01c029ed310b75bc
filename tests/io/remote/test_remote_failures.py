"""Servers that fail for a while, for good, or do not do what is needed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np
import pytest

import lazyomics as lo
from lazyomics import lazy
from lazyomics.errors import RemoteFileError, StaleFileError, UnsupportedError
from tests.comparing import assert_same_value
from tests.io.remote.conftest import write_layouts
from tests.io.remote.range_server import Behaviour, serving

pytest.importorskip("aiohttp", reason="http:// is opened through aiohttp")


@pytest.fixture
def changing(layouts: Path, tmp_path: Path) -> Iterator[tuple[Behaviour, Path]]:
    """A server of a copy that may be replaced."""
    shutil.copy(layouts, tmp_path / "a.h5ad")
    with serving(tmp_path) as told:
        yield told, tmp_path / "a.h5ad"


def test_dropped_connections_are_tried_again(server: Behaviour, layouts: Path) -> None:
    server.drop = 2
    adata = lo.read_h5ad(server.url(layouts.name))
    x = adata.X
    server.drop = 3
    expected = lazy.materialize(lo.read_h5ad(layouts).X)
    assert_same_value(lazy.materialize(x), expected, "X")
    assert server.drop == 0


def test_a_busy_server_is_asked_later(server: Behaviour, layouts: Path) -> None:
    server.busy = 2
    adata = lo.read_h5ad(server.url(layouts.name))
    server.busy = 3
    expected = lo.read_h5ad(layouts)
    assert_same_value(adata.obs, expected.obs, "obs")
    x = adata.layers["flat"]
    server.busy = 4
    np.testing.assert_array_equal(x[5:9].compute(), expected.layers["flat"][5:9].compute())
    assert server.busy == 0


def test_a_server_may_say_when(server: Behaviour, layouts: Path, monkeypatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    server.busy, server.retry_after = 2, 7
    lo.read_h5ad(server.url(layouts.name))
    assert pauses.count(7) == 2


def test_pauses_grow(server: Behaviour, layouts: Path, monkeypatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("lazyomics.io.remote.ranges.time.sleep", pauses.append)
    server.busy = 100
    with dask.config.set({"lazyomics.remote-wait": 1.0}), pytest.raises(RemoteFileError):
        lo.read_h5ad(server.url(layouts.name))
    pauses = [p for p in pauses if p]  # the server's own are of no length
    assert len(pauses) == 5
    assert all(0.75 * 2**k <= pause <= 1.25 * 2**k for k, pause in enumerate(pauses))


def test_giving_up_says_what_was_tried(server: Behaviour, layouts: Path) -> None:
    adata = lo.read_h5ad(server.url(layouts.name))
    x = adata.layers["flat"][4_000:4_010]
    server.busy = 1_000
    message = r"http://127.*layouts\.h5ad: bytes [\d,]+ to [\d,]+ .* in 3 attempts.*HTTP status 503"
    with dask.config.set({"lazyomics.remote-attempts": 3}):
        with pytest.raises(RemoteFileError, match=message):
            x.compute()
        # not taken for a damaged file, or for elements that are not there
        for read in (
            lambda: adata.obs,
            lambda: adata.obsm["X_pca"],
            lambda: adata.X,
        ):
            with pytest.raises(RemoteFileError, match=r"in 3 attempts"):
                read()
    server.busy = 0
    assert len(adata.obs) == adata.n_obs  # and the object goes on


def test_a_server_that_ignores_ranges(server: Behaviour, layouts: Path) -> None:
    server.ignores_ranges = True
    with pytest.raises(UnsupportedError, match=r"http://.*whole file.*ignores Range"):
        lo.read_h5ad(server.url(layouts.name))
    assert server.requests == 1


def test_a_server_that_ignores_ranges_later(layouts: Path, tmp_path: Path) -> None:
    """And does not download the file then, either."""
    path = write_layouts(tmp_path / "large.h5ad", 40_000)
    with serving(tmp_path) as server:
        x = lo.read_h5ad(server.url(path.name)).layers["flat"]
        server.forget()
        server.ignores_ranges = True
        with pytest.raises(UnsupportedError, match="ignores Range"):
            x[:10].compute()
    assert server.requests == 1
    # what the sockets of both sides hold
    assert server.sent < path.stat().st_size // 2


def test_a_server_that_tells_no_length(server: Behaviour, layouts: Path) -> None:
    server.with_length = False
    with pytest.raises(UnsupportedError, match="does not say how long the file is"):
        lo.read_h5ad(server.url(layouts.name))


@pytest.mark.parametrize("with_etag", [True, False])
def test_a_file_that_is_replaced(changing: tuple[Behaviour, Path], with_etag: bool) -> None:
    server, path = changing
    server.with_etag = with_etag
    adata = lo.read_h5ad(server.url(path.name))
    x, first = adata.X, adata.layers["flat"][:2].compute()
    other = write_layouts(path.parent / "other.h5ad", 9_000, seed=1)
    os.replace(other, path)
    for read in (
        lambda: x[:10].compute(),
        lambda: adata.obs,
        lambda: adata.obsm["X_pca"],
        lambda: adata.layers["flat"][:2].compute(),
        lambda: lo.explain(adata),
        lambda: adata.to_memory(),
    ):
        with pytest.raises(StaleFileError, match=r"http://.*a\.h5ad changed.*open it again"):
            read()
    again = lo.read_h5ad(adata.filename)
    assert again.n_obs == 9_000
    assert not np.array_equal(again.layers["flat"][:2].compute(), first)


def test_a_file_that_is_removed(changing: tuple[Behaviour, Path]) -> None:
    server, path = changing
    adata = lo.read_h5ad(server.url(path.name))
    path.unlink()
    with pytest.raises(FileNotFoundError):
        adata.layers["boxes"][4_000:4_003].compute()
