"""Codecs for the same counts: size, time to write, time of a pass, and of only decoding.

    python tests/bench/bench_storage.py [COUNTS.h5ad] [--runs 3] [--threads 4] [--only lz4 gzip]

Each line repacks the file with other options, then computes mean and variance of each gene from it.
"Only decode" reads and decodes the same bytes with the same threads and does nothing with them: the
floor of the pass. On a machine that is busy with other work, processor seconds say more than time.
Then a quarter of the cells is written from memory, by lazyomics and by anndata. Without a file,
20,000 cells × 20,000 genes are simulated.
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
from typing import Any

import dask
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

import lazyomics as lo
from lazyomics.kernels.moments import moments
from lazyomics.lazy import fold_rows, recipe_of
from tests.bench.bench_pipeline import environment

VARIANTS: dict[str, dict[str, Any]] = {
    "none": {"codec": "none"},
    "lz4": {"codec": "lz4"},
    "lz4, nothing shuffled": {"codec": "lz4", "shuffle": False},
    "blosc": {"codec": "blosc"},
    "zstd": {"codec": "zstd"},
    "zstd, all shuffled": {"codec": "zstd", "shuffle": True},
    "gzip": {"codec": "gzip"},
    "gzip, level 1": {"codec": "gzip", "level": 1},
    "gzip, all shuffled": {"codec": "gzip", "shuffle": True},
    "gzip, nothing shuffled": {"codec": "gzip", "shuffle": False},
    "gzip, chunks of 128 KiB": {"codec": "gzip", "chunk_bytes": "128 KiB"},
    "lzf": {"codec": "lzf"},
}


def pass_over(path: Path) -> None:
    """Mean and variance of each gene."""
    fold_rows(lo.read_h5ad(path).X, moments).compute()


def decode(path: Path, threads: int) -> int:
    """Read and decode what a pass reads, block by block; return the decoded bytes."""
    recipe = recipe_of(lo.read_h5ad(path).X)
    source = recipe.source
    ends = [0, *source.stored_per_line().cumsum().tolist()]
    ranges = [(ends[a], ends[b]) for a, b in pairwise(recipe.bounds())]

    def read(bounds: tuple[int, int]) -> int:
        return source.data.read(*bounds).nbytes + source.indices.read(*bounds).nbytes

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(read, ranges))


def timed(work: Callable[[], Any], runs: int) -> tuple[float, float]:
    """Median of the time, and of the processor time of all threads."""
    laps = []
    for _ in range(runs):
        start, used = time.perf_counter(), time.process_time()
        work()
        laps.append((time.perf_counter() - start, time.process_time() - used))
    wall, processor = (median(column) for column in zip(*laps, strict=True))
    return wall, processor


def line(name: str, path: Path, written: str, runs: int, threads: int) -> str:
    bytes_decoded = decode(path, threads)  # also brings the file into memory
    floor, least = timed(lambda: decode(path, threads), runs)
    wall, processor = timed(lambda: pass_over(path), runs)
    size, rate = path.stat().st_size / 1e6, bytes_decoded / floor / 1e9
    return (
        f"| {name} | {size:,.0f} MB | {written} | {wall:.2f} s | {processor:.2f} s "
        f"| {floor:.2f} s | {rate:.1f} GB/s | {least:.2f} s |"
    )


def compare_codecs(source: Path, folder: Path, only: list[str], runs: int, threads: int) -> None:
    print("| codec | file | repack | pass | processor | only decode | rate | processor |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    pass_over(source)  # compiles
    print(line("as it is", source, "–", runs, threads), flush=True)
    for name, options in VARIANTS.items():
        if only and name.partition(",")[0] not in only:
            continue
        path = folder / "repacked.h5ad"
        start = time.perf_counter()
        lo.repack(source, out=path, **options)
        written = f"{time.perf_counter() - start:.1f} s"
        print(line(name, path, written, runs, threads), flush=True)
        path.unlink()


def compare_writing(source: Path, folder: Path, runs: int) -> None:
    """Write a quarter of the cells from memory with both programs, in turns."""
    adata = lo.read_h5ad(source)
    chosen = np.random.default_rng(0).random(adata.n_obs) < 0.25
    mine = adata[chosen].to_memory()
    theirs = mine.to_anndata()
    print("\n| write a quarter of the cells from memory | lazyomics | anndata | ratio |")
    print("|---|--:|--:|--:|")
    for codec in (None, "gzip", "lzf"):
        laps = []
        for _ in range(runs):
            lap = []
            for program in (mine, theirs):
                path = folder / "written.h5ad"
                start = time.perf_counter()
                program.write_h5ad(path, compression=codec)
                lap.append(time.perf_counter() - start)
                path.unlink()
            laps.append(lap)
        ours, other = (median(column) for column in zip(*laps, strict=True))
        print(f"| {codec or 'no filter'} | {ours:.2f} s | {other:.2f} s | {other / ours:.1f} × |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, help="an .h5ad file with counts in CSR")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="+", default=[], help="codecs, by default all")
    parser.add_argument("--skip-writing", action="store_true", help="codecs only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name, dask.config.set(num_workers=options.threads):
        folder, path = Path(name), options.path
        if path is None:
            path = folder / "simulated.h5ad"
            lo.datasets.simulate(path, n_obs=20_000, n_vars=20_000, compression="gzip")
        compare_codecs(path, folder, options.only, options.runs, options.threads)
        if not options.skip_writing:
            compare_writing(path, folder, options.runs)
        print(f"\n{environment(path, options.runs)}\nload of the machine: {os.getloadavg()}")


if __name__ == "__main__":
    main()
