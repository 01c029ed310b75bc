"""Memory of the process that asks and writes, however much the workers send it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from tests.peaks import PEAK

distributed = pytest.importorskip("distributed", reason="starts worker processes")

MB = 1 << 20
N, GENES, STORED = 200_000, 2000, 120

PROGRAM = (
    PEAK
    + """
import dask, distributed
import lazyomics as lo
import numpy as np

dask.config.set({"lazyomics.chunk-bytes": "4 MiB"})
address, job, small, large, target = sys.argv[1:]

def run(path):
    adata = lo.read_h5ad(path)
    lo.pp.log1p(adata)
    chosen = adata[np.arange(adata.n_obs) % 3 != 0]
    return chosen.copy(filename=target) if job == "write" else chosen.compute()

with distributed.Client(address):
    run(small)
    before = peak()
    made = run(large)
    print(peak() - before, made.n_obs)
"""
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A small file to warm up with, and one of 190 MB."""
    folder = tmp_path_factory.mktemp("large")
    paths = []
    for n in (N // 100, N):
        rng = np.random.default_rng(0)
        columns = (np.arange(n * STORED) % STORED * (GENES // STORED)).astype(np.int32)
        values = rng.integers(1, 50, n * STORED).astype(np.float32)
        x = sp.csr_matrix((values, columns, np.arange(n + 1) * STORED), shape=(n, GENES))
        paths.append(folder / f"{n}.h5ad")
        lo.AnnData(x).write_h5ad(paths[-1])
    return paths


def growth(cluster, files, target, job) -> int:
    command = [sys.executable, "-c", PROGRAM, cluster.scheduler_address, job]
    done = subprocess.run(
        [*command, *map(str, files), str(target)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    grown, rows = map(int, done.stdout.split())
    assert rows == N - -(-N // 3)
    print(f"{job}: {grown / MB:.0f} MiB")
    return grown


def test_writing_a_subset_holds_a_window(cluster, files, tmp_path) -> None:
    result = files[1].stat().st_size * 2 / 3
    grown = growth(cluster, files, tmp_path / "subset.h5ad", "write")
    assert result > 120 * MB
    assert grown < 80 * MB, grown / MB
    written = lo.read_h5ad(tmp_path / "subset.h5ad")[:50].compute()
    lo_read = lo.read_h5ad(files[1])[:75].compute().X
    np.testing.assert_array_equal(
        written.X.toarray(), np.log1p(lo_read[np.arange(75) % 3 != 0].toarray())
    )


def test_computing_a_subset_holds_it_once(cluster, files, tmp_path) -> None:
    result = files[1].stat().st_size * 2 / 3
    grown = growth(cluster, files, tmp_path / "unused.h5ad", "compute")
    assert result < grown < 1.5 * result, (grown / MB, result / MB)
