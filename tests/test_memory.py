"""Peak memory of whole programs, measured by the operating system in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lazyomics as lo
from tests.peaks import PEAK

MB = 1 << 20

PROGRAM = (
    PEAK
    + """
import dask
import lazyomics as lo
import lazyomics.kernels.block, lazyomics.pp, sklearn.decomposition

dask.config.set({"lazyomics.chunk-bytes": "4 MiB", "lazyomics.memory": "32 MiB", "num_workers": 2})
small, large, target, job = sys.argv[1:]

def run(path):
    adata = lo.read_h5ad(path)
    if job == "write":
        lo.pp.normalize_total(adata)
        adata.write_h5ad(target)
    elif job == "subset":
        adata[adata.obs["cell_type"].isin(list(adata.obs["cell_type"].unique()[:2]))].copy(target)
    elif job == "pipeline":
        lo.pp.normalize_total(adata, target_sum=1e4)
        lo.pp.log1p(adata)
        lo.pp.highly_variable_genes(adata, n_top_genes=300)
        lo.pp.pca(adata, n_comps=20)
    elif job == "layer":
        adata.layers["double"] = adata.X * 2
        adata.write()

run(small)
before = peak()
run(large)
print(peak() - before)
"""
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    """A small file to warm up with, and one whose matrix is far larger than the bound."""
    folder = tmp_path_factory.mktemp("memory")
    small = lo.datasets.simulate(folder / "small.h5ad", n_obs=400, n_vars=2000, seed=1)
    large = lo.datasets.simulate(folder / "large.h5ad", n_obs=150_000, n_vars=2000, seed=1)
    stored = lo.read_h5ad(large).nbytes
    assert stored > 300 * MB, stored
    return Path(small), Path(large)


@pytest.mark.slow
@pytest.mark.parametrize("job", ["write", "subset", "pipeline", "layer"])
def test_memory_does_not_grow_with_the_file(files, tmp_path, job) -> None:
    small, large = files
    command = [sys.executable, "-c", PROGRAM, str(small), str(large), str(tmp_path / "t"), job]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150 * MB


def test_simulated_counts_are_what_was_asked_for(files) -> None:
    adata = lo.read_h5ad(files[0])
    assert adata.shape == (400, 2000)
    assert np.issubdtype(adata.X.dtype, np.number)
