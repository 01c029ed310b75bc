"""Other file systems of fsspec: in memory, like S3, slow, and those that are not there."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazyomics as lo
from lazyomics import lazy
from lazyomics.errors import (
    FileFormatError,
    MissingDependencyError,
    RemoteFileError,
    StaleFileError,
    UnsupportedError,
)
from tests.comparing import assert_same_value
from tests.io.remote.conftest import write_layouts

fsspec = pytest.importorskip("fsspec", reason="opens files on servers")
memory = pytest.importorskip("fsspec.implementations.memory")


class SlowFileSystem(memory.MemoryFileSystem):
    """Like object storage: every call takes a while, and is counted; fails when told to."""

    protocol = "slow"
    store: dict[str, Any] = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    latency = 0.001
    calls = 0
    received = 0
    failures = 0
    knows_size = True

    def __init__(self, token: str = "", **options: Any) -> None:
        self.token = token
        super().__init__(**options)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("slow://").strip("/")

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        type(self).calls += 1
        found = super().info(path, **kwargs)
        return found if self.knows_size else {**found, "size": None}

    def cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        time.sleep(self.latency)
        type(self).calls += 1
        if type(self).failures > 0:
            type(self).failures -= 1
            raise ConnectionResetError(f"reset: GET {path}?token={self.token}")
        data = super().cat_file(path, start=start, end=end, **kwargs)
        type(self).received += len(data)
        return data


@pytest.fixture
def slow(layouts: Path) -> Iterator[type[SlowFileSystem]]:
    fsspec.register_implementation("slow", SlowFileSystem, clobber=True)
    SlowFileSystem().pipe_file("/bucket/a.h5ad", layouts.read_bytes())
    SlowFileSystem.calls = SlowFileSystem.received = SlowFileSystem.failures = 0
    SlowFileSystem.knows_size = True
    yield SlowFileSystem
    SlowFileSystem.store.clear()


def same_matrices(there: lo.AnnData, here: lo.AnnData) -> None:
    assert_same_value(lazy.materialize(there.X), lazy.materialize(here.X), "X")
    for key in here.layers:
        expected = lazy.materialize(here.layers[key])
        assert_same_value(lazy.materialize(there.layers[key]), expected, key)
    assert_same_value(there.obs, here.obs, "obs")


def test_memory(layouts: Path) -> None:
    system = fsspec.filesystem("memory")
    system.pipe_file("/bucket/a.h5ad", layouts.read_bytes())
    try:
        adata = lo.read_h5ad("memory://bucket/a.h5ad")
        same_matrices(adata, lo.read_h5ad(layouts))
        assert type(lo.read("memory://bucket/a.h5ad")) is lo.AnnData
    finally:
        system.rm("/bucket", recursive=True)


def test_few_bytes_of_a_slow_one(slow: type[SlowFileSystem], layouts: Path) -> None:
    adata = lo.read_h5ad("slow://bucket/a.h5ad")
    assert slow.calls <= 15
    assert slow.received <= 600_000
    there = adata.layers["boxes"][5_000:5_050].compute()
    np.testing.assert_array_equal(there, lo.read_h5ad(layouts).layers["boxes"][5_000:5_050])
    assert slow.received <= 1_200_000
    same_matrices(adata, lo.read_h5ad(layouts))


def test_failures_are_tried_again(slow: type[SlowFileSystem], layouts: Path) -> None:
    slow.failures = 3
    adata = lo.read_h5ad("slow://bucket/a.h5ad", storage_options={"token": "hidden-word"})
    slow.failures = 4
    same_matrices(adata, lo.read_h5ad(layouts))
    slow.failures = 10_000
    with pytest.raises(
        RemoteFileError, match=r"slow://bucket/a\.h5ad.*6 attempts.*Reset"
    ) as caught:
        adata.layers["flat"][9_000:].compute()
    assert "token=…" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_change_is_noticed(slow: type[SlowFileSystem], tmp_path: Path) -> None:
    adata = lo.read_h5ad("slow://bucket/a.h5ad")
    flat = adata.layers["flat"]
    flat[:5].compute()
    other = write_layouts(tmp_path / "other.h5ad", seed=5)
    SlowFileSystem().pipe_file("/bucket/a.h5ad", other.read_bytes())
    for read in (lambda: flat[:5].compute(), lambda: adata.obs, lambda: adata.X):
        with pytest.raises(StaleFileError, match="changed after it was opened"):
            read()
    here = lo.read_h5ad(other)
    same_matrices(lo.read_h5ad("slow://bucket/a.h5ad"), here)


def test_sizes_must_be_known(slow: type[SlowFileSystem]) -> None:
    slow.knows_size = False
    with pytest.raises(UnsupportedError, match="does not say how long"):
        lo.read_h5ad("slow://bucket/a.h5ad")


def test_folders_and_missing_files(slow: type[SlowFileSystem]) -> None:
    with pytest.raises(FileNotFoundError):
        lo.read_h5ad("slow://bucket/other.h5ad")
    with pytest.raises((IsADirectoryError, RemoteFileError)):
        lo.read_h5ad("slow://bucket")
    SlowFileSystem().pipe_file("/bucket/b.h5ad", b"")
    with pytest.raises(FileFormatError, match="expected an HDF5 file"):
        lo.read_h5ad("slow://bucket/b.h5ad")


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, url, install in (
        ("gcsfs", "gs://bucket/a.h5ad", "pip install 'gcsfs'"),
        ("adlfs", "abfs://bucket/a.h5ad", "pip install 'adlfs'"),
        ("fsspec", "s3://bucket/a.h5ad", r"pip install 'lazyomics\[remote\]'"),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(MissingDependencyError, match=install):
                lo.read_h5ad(url)


def test_unknown_protocols_and_options() -> None:
    with pytest.raises(ValueError, match=r"nonsense://a\.h5ad: fsspec cannot open it"):
        lo.read_h5ad("nonsense://a.h5ad")
    with pytest.raises(FileNotFoundError):
        lo.read_h5ad("C:\\data\\missing.h5ad")


@pytest.fixture
def bucket(layouts: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Options for a server that behaves as S3, with the file in a bucket."""
    pytest.importorskip("s3fs", reason="s3:// is opened through s3fs")
    moto = pytest.importorskip("moto.server", reason="stands for S3")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "key": "the-key-id",
        "secret": "the-secret-word",
        "endpoint_url": f"http://{host}:{port}",
    }
    system = fsspec.filesystem("s3", **options)
    system.mkdir("cells")
    system.pipe_file("cells/a.h5ad", layouts.read_bytes())
    yield options
    server.stop()


# moto and botocore are not about what is tested here
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_s3(bucket: dict[str, Any], layouts: Path, tmp_path: Path) -> None:
    url = "s3://cells/a.h5ad"
    adata = lo.read_h5ad(url, storage_options=bucket)
    assert adata.filename == url
    same_matrices(adata, lo.read_h5ad(layouts))
    adata[:100].copy(filename=tmp_path / "some.h5ad")
    same_matrices(lo.read_h5ad(tmp_path / "some.h5ad"), lo.read_h5ad(layouts)[:100])
    system = fsspec.filesystem("s3", **bucket)
    system.pipe_file("cells/a.h5ad", write_layouts(tmp_path / "b.h5ad", seed=9).read_bytes())
    with pytest.raises(StaleFileError) as caught:
        adata.layers["flat"][:5].compute()
    assert "secret" not in str(caught.value) + repr(adata) + repr(adata.X.recipe)
    with pytest.raises(FileNotFoundError, match="no such file"):
        lo.read_h5ad("s3://cells/other.h5ad", storage_options=bucket)
