"""Threads, forks, other processes, and the collector of garbage."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import lazyomics as lo
from lazyomics.io.remote.connection import Pages
from lazyomics.io.remote.opened import no_collection
from tests.io.remote.range_server import Behaviour

pytest.importorskip("aiohttp", reason="http:// is opened through aiohttp")

SECRET = "Bearer very-secret-word"
OPTIONS = {"headers": {"Authorization": SECRET}}


def test_workers_get_url_and_options(server: Behaviour, layouts: Path, tmp_path: Path) -> None:
    server.token = SECRET
    adata = lo.read_h5ad(server.url(layouts.name), storage_options=OPTIONS)
    expected = float(adata.X[:50].sum().compute())
    parcel = tmp_path / "parcel"
    parcel.write_bytes(pickle.dumps((adata[:50], adata.X[:50], adata.layers["boxes"])))
    code = (
        f"import pickle; a, x, y = pickle.load(open({str(parcel)!r}, 'rb'))\n"
        "print(float(a.X.sum().compute()), float(x.sum().compute()), len(a.obs), y.shape[0])"
    )
    root = Path(lo.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.split() == [str(expected), str(expected), "50", str(adata.n_obs)]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork_after_reading(server: Behaviour, layouts: Path) -> None:
    adata = lo.read_h5ad(server.url(layouts.name))
    expected = adata.layers["flat"][7_000:7_010].compute(scheduler="sync")
    context = multiprocessing.get_context("fork")
    queue = context.Queue()

    def child() -> None:
        values = adata.layers["flat"][7_000:7_010].compute(scheduler="sync")
        queue.put((values, len(adata.obs)))

    process = context.Process(target=child, daemon=True)
    process.start()
    values, length = queue.get(timeout=60)
    process.join(60)
    assert process.exitcode == 0
    np.testing.assert_array_equal(values, expected)
    assert length == adata.n_obs
    adata.layers["flat"][3_000:3_010].compute()  # the parent goes on


def test_threads(server: Behaviour, layouts: Path) -> None:
    there, here = lo.read_h5ad(server.url(layouts.name)), lo.read_h5ad(layouts)

    def read(k: int) -> bool:
        rows = slice(k * 100, k * 100 + 250)
        left, right = (
            (
                a.X[rows].compute(scheduler="sync"),
                a.layers["boxes"][rows].compute(),
                a.obsm["X_pca"],
            )
            for a in (there, here)
        )
        same = (left[0].to_scipy() != right[0].to_scipy()).nnz == 0
        return same and all(np.array_equal(p, q) for p, q in zip(left[1:], right[1:], strict=True))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(24), timeout=120))


def test_nothing_is_collected_while_h5py_waits(
    server: Behaviour, layouts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector waits for h5py's lock if it meets an object of h5py, in whatever thread.

    In the thread that receives the data that would be for ever.
    """
    enabled: list[bool] = []
    read = Pages.read

    def watched(pages: Pages, position: int, size: int) -> bytes | bytearray:
        enabled.append(gc.isenabled())
        return read(pages, position, size)

    adata = lo.read_h5ad(server.url(layouts.name))
    monkeypatch.setattr(Pages, "read", watched)
    assert len(adata.obs) == adata.n_obs
    assert len(enabled) > 3
    assert not any(enabled)
    assert gc.isenabled()
    with no_collection():
        with no_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_secrets_are_not_shown(server: Behaviour, layouts: Path) -> None:
    url = server.url(f"{layouts.name}?signature=hidden-in-query")
    server.token = SECRET
    adata = lo.read_h5ad(url, storage_options=OPTIONS)
    shown = [repr(adata), str(adata), repr(adata.filename), str(adata.filename)]
    shown += [repr(adata.X), str(adata.X.recipe), repr(dict(adata.X.dask)), str(lo.explain(adata))]
    shown += [repr(vars(adata._backing)), repr(adata._obs), repr(adata._uns)]
    server.token = "Bearer another"
    failures = [lambda: adata.X.compute(), lambda: lo.read_h5ad(url, storage_options=OPTIONS)]
    failures += [adata.write, lambda: lo.read_h5ad(url, storage_options={"nonsense": SECRET})]
    failures += [lambda: adata.write_h5ad(url)]
    for failure in failures:
        with pytest.raises((OSError, NotImplementedError, TypeError)) as caught:
            failure()
        error: BaseException | None = caught.value
        while error is not None:
            shown += [str(error), repr(error)]
            error = None if error.__suppress_context__ else error.__cause__ or error.__context__
    for text in shown:
        assert "secret" not in text
        assert "hidden" not in text
    assert adata.filename == url.partition("?")[0] or str(adata.filename) in url
    server.token = SECRET
    assert lo.read_h5ad(adata.filename).shape == adata.shape  # keeps its options
