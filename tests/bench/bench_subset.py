"""Parts of a large file as whole processes: lazyomics beside anndata's backed mode.

    python tests/bench/bench_subset.py [COUNTS.h5ad] [--runs 3] [--jobs cells,gene] [--write FILE]

Each run is a process of its own, imports included; both programs take turns, so that what else
the machine does falls on both. Prints medians and their ratio as a markdown table, and writes it
to a file if asked. Without a file, 50,000 cells × 20,000 genes are simulated (gzip).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

from tests.bench.bench_pipeline import environment, peak_memory

Measured = tuple[float, float]  # seconds of the process, MB


def scattered(size: int, count: int, seed: int = 0) -> np.ndarray:
    chosen = np.random.default_rng(seed).choice(size, count, replace=False)
    return np.sort(chosen)


def opened(program: str, path: str):
    if program == "lazyomics":
        import lazyomics as lo

        return lo.read_h5ad(path)
    import anndata

    return anndata.read_h5ad(path, backed="r")


def cells(adata, target: str) -> None:
    adata[scattered(adata.n_obs, 2000)].to_memory()


def part(adata, target: str) -> None:
    adata[scattered(adata.n_obs, int(0.17 * adata.n_obs))].to_memory()


def part_to_file(adata, target: str) -> None:
    adata[scattered(adata.n_obs, int(0.17 * adata.n_obs))].copy(filename=target)


def part_gzip(adata, target: str) -> None:
    chosen = adata[scattered(adata.n_obs, int(0.17 * adata.n_obs))]
    chosen.write_h5ad(target, compression="gzip")


def gene(adata, target: str) -> None:
    adata[:, [adata.n_vars // 3]].to_memory()


def genes(adata, target: str) -> None:
    adata[:, scattered(adata.n_vars, 2000)].to_memory()


def only_open(adata, target: str) -> None:
    pass


JOBS: dict[str, tuple[str, Callable]] = {
    "import": ("import the package", only_open),
    "open": ("open the file", only_open),
    "cells": ("2,000 random cells → memory", cells),
    "part": ("17 % of the cells, scattered → memory", part),
    "file": ("17 % of the cells → new file", part_to_file),
    "gzip": ("17 % of the cells → new file, gzip", part_gzip),
    "gene": ("one gene of all cells → memory", gene),
    "genes": ("2,000 random genes of all cells → memory", genes),
}
PROGRAMS = ("lazyomics", "anndata")


def child(program: str, job: str, path: str, target: str) -> None:
    warnings.simplefilter("ignore")
    if job == "import":
        __import__(program)
    else:
        JOBS[job][1](opened(program, path), target)
    print(peak_memory())


def measure(program: str, job: str, path: Path, folder: Path) -> Measured:
    target = folder / f"{program}.h5ad"
    command = [sys.executable, __file__, "--child", program, job, str(path), str(target)]
    start = time.perf_counter()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    wall = time.perf_counter() - start
    target.unlink(missing_ok=True)
    return wall, float(output.split()[-1])


def row(job: str, runs: dict[str, list[Measured]]) -> str:
    """A line of the table: medians of both programs, and how many times faster the first is."""
    (ours, our_peak), (theirs, their_peak) = (
        tuple(median(column) for column in zip(*runs[program], strict=True)) for program in PROGRAMS
    )
    times = f"{ours:.2f} s | {theirs:.2f} s | {theirs / ours:.1f} ×"
    return f"| {JOBS[job][0]} | {times} | {our_peak:.0f} MB | {their_peak:.0f} MB |"


def compare(path: Path, jobs: list[str], n_runs: int, folder: Path) -> str:
    lines = [
        "| job (whole process) | lazyomics | anndata, backed | ratio | peak | peak |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for job in jobs:
        runs: dict[str, list[Measured]] = {program: [] for program in PROGRAMS}
        for _ in range(n_runs):
            for program in PROGRAMS:
                runs[program].append(measure(program, job, path, folder))
        lines.append(row(job, runs))
        print(lines[-1], file=sys.stderr, flush=True)
    load = ", ".join(f"{n:.1f}" for n in os.getloadavg())
    return "\n".join([*lines, "", environment(path, n_runs), f"load of the machine: {load}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, help="an .h5ad file with counts")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--jobs", default=",".join(JOBS), help="in this order, with commas")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.path
        if path is None:
            from lazyomics.datasets import simulate

            path = Path(folder) / "simulated.h5ad"
            simulate(path, n_obs=50_000, n_vars=20_000, compression="gzip")
        table = compare(path, options.jobs.split(","), options.runs, Path(folder))
    print(table)
    if options.write:
        options.write.write_text(f"{table}\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
