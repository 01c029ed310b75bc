"""Peak memory of whole programs, measured by the operating system in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from lazyomics.io.encodings import write_element
from tests.peaks import PEAK

MB = 1 << 20

PROGRAM = (
    PEAK
    + """
import dask
import lazyomics as lo
import lazyomics.blocks.block, lazyomics.pp, sklearn.decomposition

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


LIMITED = (
    PEAK
    + """
import dask
import lazyomics as lo

dask.config.set({"lazyomics.chunk-bytes": "4 MiB", "lazyomics.memory": "32 MiB", "num_workers": 2})
small, large, target, job, slack = sys.argv[1:]

def run(path):
    adata = lo.read_h5ad(path)
    if job == "load":
        return adata.to_memory()
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    lo.pp.highly_variable_genes(adata, n_top_genes=300)
    lo.pp.pca(adata, n_comps=20)
    chosen = adata[adata.obs["cell_type"] == "b", adata.var["highly_variable"]]
    chosen.copy(filename=target)
    return adata

run(small)  # what is imported and compiled on first use, and the stacks of the threads
with open("/proc/self/statm", encoding="ascii") as file:
    mapped = int(file.read().split()[0]) * resource.getpagesize()
limit = mapped + int(slack)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = peak()
try:
    result = run(large)
except MemoryError:
    print("short of memory")
else:
    print(peak() - before, result.obsm["X_pca"].shape[0] if job != "load" else 0)
"""
)
# One arena for all threads: each would reserve 64 MiB of addresses without using them.
SINGLE = {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SLACK = 160 * MB
TIMES_LARGER = 4


def write_cells(path: Path, n_windows: int) -> Path:
    """A file of any size in seconds: the same 4,000 cells over and over, not compressed."""
    rng = np.random.default_rng(0)
    n_cells, n_genes, stored = 4000, 2000, 500
    n = n_windows * n_cells
    positions = rng.random((n_cells, n_genes), np.float32).argpartition(stored, axis=1)[:, :stored]
    indices = np.sort(positions, axis=1).astype("i4").ravel()
    values = rng.poisson(2 * rng.random(n_genes)[indices] + 0.5).astype("f4") + 1
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        names = [f"c{k}" for k in range(n)]
        kinds = pd.Categorical.from_codes(np.arange(n) % 3, ["a", "b", "c"])
        write_element(file, "obs", pd.DataFrame({"cell_type": kinds}, index=names))
        write_element(file, "var", pd.DataFrame(index=[f"g{k}" for k in range(n_genes)]))
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        x.attrs["shape"] = (n, n_genes)
        x["indptr"] = np.arange(n + 1, dtype="i8") * stored
        for part, window in (("data", values), ("indices", indices)):
            shape = (n * stored,)
            made = x.create_dataset(part, shape, window.dtype, chunks=(1 << 17,))
            for k in range(n_windows):
                made[k * len(window) : (k + 1) * len(window)] = window
    return path


@pytest.fixture(scope="module")
def stored_cells(tmp_path_factory) -> tuple[Path, Path]:
    """A small file to warm up with, and one several times larger than the limit's slack."""
    folder = tmp_path_factory.mktemp("limited")
    small, large = write_cells(folder / "small.h5ad", 1), write_cells(folder / "large.h5ad", 42)
    assert large.stat().st_size > TIMES_LARGER * SLACK
    return small, large


def run_limited(files: tuple[Path, Path], target: Path, job: str) -> list[str]:
    """What the program prints under a hard limit of ``SLACK`` more addresses than it had."""
    command = [sys.executable, "-c", LIMITED, *map(str, files), str(target), job, str(SLACK)]
    environment = {**os.environ, **SINGLE}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces RLIMIT_AS")
def test_the_pipeline_runs_under_a_hard_limit(stored_cells, tmp_path) -> None:
    target = tmp_path / "chosen.h5ad"
    used, n_scores = map(int, run_limited(stored_cells, target, "pipeline"))
    assert used < SLACK
    chosen = lo.read_h5ad(target)
    assert n_scores == 42 * 4000
    assert chosen.shape == (n_scores // 3, 300)
    assert chosen.obsm["X_pca"].shape == (len(chosen), 20)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces RLIMIT_AS")
def test_the_same_limit_is_too_small_for_the_matrix(stored_cells, tmp_path) -> None:
    assert run_limited(stored_cells, tmp_path / "none", "load") == ["short", "of", "memory"]
