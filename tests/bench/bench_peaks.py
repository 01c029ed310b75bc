"""Peaks by the hundred thousand: time and peak memory of each step, in processes of their own.

    python tests/bench/bench_peaks.py FOLDER [--peaks 100000 300000 1000000] [--memory "64 MiB"]

Simulates multiomes (20,000 cells, 5,000 genes, 4,000 counts of peaks for each cell, uncompressed)
into FOLDER where they are not there yet.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.peaks import PEAK  # noqa: E402

PROGRAM = (
    PEAK
    + """
import time
import dask
import numpy as np
import lazyomics as lo
import lazyomics.pp, lazyomics.tl, scipy.sparse.linalg

path, job, target, memory = sys.argv[1:]
if memory:
    dask.config.set({"lazyomics.memory": memory})
imported, start = peak(), time.perf_counter()
mdata = lo.read_h5mu(path)
chosen = np.random.default_rng(0).random(mdata.n_obs) < 0.25
if job in ("tfidf", "lsi", "tfidf, subset, copy"):
    lo.pp.binarize(mdata)
    lo.pp.tfidf(mdata)
if job == "lsi":
    lo.tl.lsi(mdata, n_comps=30)
if "copy" in job:
    mdata[chosen].copy(filename=target)
if job == "compute":
    mdata.compute()
if job == "subset, compute":
    mdata[chosen].compute()
print(time.perf_counter() - start, (peak() - imported) / 1e6)
"""
)
JOBS = (
    "open",
    "tfidf",
    "subset, copy",
    "tfidf, subset, copy",
    "compute",
    "subset, compute",
    "lsi",
)


def simulated(folder: Path, n_peaks: int) -> Path:
    """A multiome of so many peaks."""
    import lazyomics as lo

    path = folder / f"peaks_{n_peaks}.h5mu"
    if path.exists():
        return path
    parts = {}
    for seed, (mod, n_vars, mean) in enumerate([("rna", 5_000, 500), ("atac", n_peaks, 4_000)]):
        part = folder / f"{mod}.h5ad"
        lo.datasets.simulate(part, n_obs=20_000, n_vars=n_vars, mean_counts=mean, seed=seed)
        parts[mod] = lo.read_h5ad(part)
    parts["atac"].var_names = [f"chr1:{500 * k}-{500 * k + 499}" for k in range(n_peaks)]
    lo.MuData(parts).write_h5mu(path)
    for adata in parts.values():
        Path(str(adata.filename)).unlink()
    return path


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--peaks", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    arguments.add_argument("--jobs", nargs="+", default=list(JOBS))
    arguments.add_argument("--memory", default="", help="lazyomics.memory, for lsi")
    given = arguments.parse_args()
    print("| peaks | step | time | memory |\n|--:|---|--:|--:|")
    for n_peaks in given.peaks:
        path = simulated(given.folder, n_peaks)
        for job in given.jobs:
            target = given.folder / "subset.h5mu"
            ran = subprocess.run(
                [sys.executable, "-c", PROGRAM, path, job, target, given.memory],
                capture_output=True,
                text=True,
                check=True,
                cwd=REPOSITORY,
            )
            seconds, megabytes = map(float, ran.stdout.split())
            print(f"| {n_peaks:,} | {job} | {seconds:.1f} s | {megabytes:.0f} MB |", flush=True)
            target.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
