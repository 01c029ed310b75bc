"""The distance to the floor: a pass over X ÷ only reading and inflating the same chunks.

    python tests/bench/bench_floor.py [COUNTS.h5ad] [--runs 3] [--threads 4]

Both use the same threads in the same process and take turns; the floor asks for the same ranges
of data and indices as the blocks of the pass do, and drops what it gets. Without a file, 50,000
cells × 20,000 genes are simulated (gzip).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from statistics import median

import dask

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

import lazyomics as lo
from lazyomics.kernels.gram import scatter_of_run
from lazyomics.lazy import as_lazy, compute, fold_runs, recipe_of
from lazyomics.pp.pca import RUNS
from tests.bench.bench_pipeline import environment


def floor(path: Path, threads: int) -> None:
    """Read and decode what one pass over X reads, block by block."""
    recipe = recipe_of(lo.read_h5ad(path).X)
    source = recipe.source
    ends = [0, *source.stored_per_line().cumsum().tolist()]
    ranges = [(ends[a], ends[b]) for a, b in pairwise(recipe.bounds())]

    def read(bounds: tuple[int, int]) -> None:
        source.data.read(*bounds)
        source.indices.read(*bounds)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, ranges))


def totals(path: Path, threads: int) -> None:
    lo.pp.calculate_qc_metrics(lo.read_h5ad(path), percent_top=None, inplace=True)


def variable_genes(path: Path, threads: int) -> None:
    adata = lo.read_h5ad(path)
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    lo.pp.highly_variable_genes(adata, n_top_genes=2000)


def chosen_genes(path: Path) -> lo.AnnData:
    adata = lo.read_h5ad(path)
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    adata.var["highly_variable"] = [i % (adata.n_vars // 2000) == 0 for i in range(adata.n_vars)]
    return adata


def scatter_matrix(path: Path, threads: int) -> None:
    """The covariance of 2,000 genes, as PCA's only pass over the file computes it."""
    adata = chosen_genes(path)
    x = as_lazy(adata[:, adata.var["highly_variable"]].X)
    compute(fold_runs(x, scatter_of_run, runs=RUNS, keep_bytes_per_row=1e9))


def components(path: Path, threads: int) -> None:
    lo.pp.pca(chosen_genes(path), n_comps=50)


PASSES: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "hvg": ("normalize_total, log1p, highly_variable_genes (1 pass)", variable_genes),
    "qc": ("calculate_qc_metrics (1 pass)", totals),
    "scatter": ("normalize_total, log1p, scatter matrix of 2,000 genes (1 pass)", scatter_matrix),
    "pca": ("the same as pca: that pass, eigenvectors, coordinates", components),
}


def seconds(work: Callable[[Path, int], None], path: Path, threads: int) -> float:
    start = time.perf_counter()
    work(path, threads)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, help="an .h5ad file with counts in CSR")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        path = options.path
        if path is None:
            path = Path(folder) / "simulated.h5ad"
            lo.datasets.simulate(path, n_obs=50_000, n_vars=20_000, compression="gzip")
        print("| pass | time | floor | ratio |\n|---|--:|--:|--:|")
        with dask.config.set(num_workers=options.threads):
            for name, work in PASSES.values():
                seconds(work, path, options.threads)  # compiles what is not in the cache
                runs = [
                    (seconds(work, path, options.threads), seconds(floor, path, options.threads))
                    for _ in range(options.runs)
                ]
                taken, least = (median(column) for column in zip(*runs, strict=True))
                print(f"| {name} | {taken:.2f} s | {least:.2f} s | {taken / least:.2f} |")
        print(f"\n{environment(path, options.runs)}\nload of the machine: {os.getloadavg()}")


if __name__ == "__main__":
    main()
