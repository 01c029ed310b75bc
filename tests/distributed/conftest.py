"""A cluster of two worker processes on this machine, started once, and files for it to read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
import h5py
import pytest

import lazyomics as lo

SMALL_BLOCKS = {"lazyomics.chunk-bytes": "256 KiB"}


def local_cluster(n_workers: int = 2, **options: Any) -> Any:
    """Worker processes of one thread each, without a dashboard and without log lines."""
    from distributed import LocalCluster

    # workers say goodbye with log lines on their standard error; only their processes know that
    # output, so they are told by the configuration that they inherit
    with dask.config.set({"logging.distributed": "critical", "distributed.admin.tick.limit": "1h"}):
        return LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            memory_limit="1 GiB",
            silence_logs=logging.CRITICAL,
            **options,
        )


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    pytest.importorskip("distributed", reason="starts worker processes")
    with local_cluster() as started:
        yield started


@pytest.fixture
def client(cluster) -> Iterator[Any]:
    """The client that dask uses by default while the test runs; blocks are small, so many."""
    from distributed import Client

    with Client(cluster) as connected, dask.config.set(SMALL_BLOCKS):
        yield connected


@pytest.fixture(scope="session")
def counts(tmp_path_factory) -> Path:
    """Counts of 3,000 cells in about ten blocks."""
    path = tmp_path_factory.mktemp("cluster") / "counts.h5ad"
    return lo.datasets.simulate(path, n_obs=3000, n_vars=600, mean_counts=400, seed=3)


@dataclass
class WorkerReads:
    """What the workers read of one file."""

    path: Path
    decoded: dict[str, int] = field(default_factory=dict)

    def of(self, name: str) -> float:
        """How often they read a dataset: 1.0 is each of its values once."""
        with h5py.File(self.path, "r") as file:
            size = file[name].size * file[name].dtype.itemsize
        return self.decoded.get(name, 0) / size


@pytest.fixture
def worker_reads(client, counts) -> Callable[[], AbstractContextManager[WorkerReads]]:
    """``with worker_reads() as reads: …`` then look at ``reads.of("X/data")``."""

    @contextmanager
    def counting() -> Iterator[WorkerReads]:
        reads = WorkerReads(counts)
        client.run(_start_counting)
        try:
            yield reads
        finally:
            for found in client.run(_stop_counting, str(counts)).values():
                for name, decoded in found.items():
                    reads.decoded[name] = reads.decoded.get(name, 0) + decoded

    return counting


def _start_counting() -> None:
    from lazyomics.io.hdf5 import array as counters

    counters._active = (counters.ReadCounter(),)


def _stop_counting(path: str) -> dict[str, int]:
    from lazyomics.io.hdf5 import array as counters

    (counter,), counters._active = counters._active, ()
    found = counter.by_dataset.items()
    return {name.strip("/"): read.bytes_decoded for (at, name), read in found if at == path}
