"""Parts of a large file as whole processes: lazyomics beside anndata, backed and lazy, and scanpy.

    python tests/bench/bench_subset.py [COUNTS.h5ad] [--runs 3] [--jobs cells,gene] [--again]

Each run is a process of its own, imports included; the programs take turns, so that what else the
machine does falls on all of them. "Inside" is the time after the imports; with ``--again``, the
time that the same takes once more in that process. Prints medians and their ratio to the faster of
the other programs as a markdown table. Without a file, 50,000 cells × 20,000 genes are simulated
(gzip).
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
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

from tests.bench.bench_pipeline import environment, peak_memory
from tests.bench.results import add_results


class Run(NamedTuple):
    """What one process reports."""

    wall: float  # seconds of the process, imports included
    inside: float  # seconds after the imports
    peak: float  # MB


def scattered(size: int, count: int, seed: int = 0) -> np.ndarray:
    chosen = np.random.default_rng(seed).choice(size, count, replace=False)
    return np.sort(chosen)


def with_lazyomics(path: str):
    import lazyomics as lo

    return lambda: lo.read_h5ad(path)


def with_anndata(path: str):
    import anndata

    return lambda: anndata.read_h5ad(path, backed="r")


def with_anndata_lazy(path: str):
    import anndata
    import dask.array  # noqa: F401 (part of the imports, not of the job)
    import h5py
    from anndata.experimental import read_elem_lazy

    def opened():
        file = h5py.File(path, "r")
        return anndata.AnnData(
            X=read_elem_lazy(file["X"], chunks=(10_000, -1)),
            obs=anndata.io.read_elem(file["obs"]),
            var=anndata.io.read_elem(file["var"]),
        )

    return opened


def with_scanpy(path: str):
    import scanpy as sc

    return lambda: sc.read_h5ad(path)


def with_scanpy_dask(path: str):
    import scanpy  # noqa: F401

    return with_anndata_lazy(path)


PROGRAMS: dict[str, Callable] = {
    "lazyomics": with_lazyomics,
    "anndata backed": with_anndata,
    "anndata lazy": with_anndata_lazy,
    "scanpy": with_scanpy,
    "scanpy on dask": with_scanpy_dask,
}
PARTS = ("lazyomics", "anndata backed", "anndata lazy")
BACKED = ("lazyomics", "anndata backed")
VERBS = ("lazyomics", "scanpy", "scanpy on dask")


def cells(adata, target: str) -> None:
    adata[scattered(adata.n_obs, 2000)].to_memory()


def part(adata, target: str) -> None:
    adata[scattered(adata.n_obs, int(0.17 * adata.n_obs))].to_memory()


def part_to_file(adata, target: str) -> None:
    chosen = adata[scattered(adata.n_obs, int(0.17 * adata.n_obs))]
    if getattr(adata, "isbacked", False):
        chosen.copy(filename=target)
    else:
        chosen.write_h5ad(target)


def part_gzip(adata, target: str) -> None:
    chosen = adata[scattered(adata.n_obs, int(0.17 * adata.n_obs))]
    chosen.write_h5ad(target, compression="gzip")


def gene(adata, target: str) -> None:
    adata[:, [adata.n_vars // 3]].to_memory()


def genes(adata, target: str) -> None:
    adata[:, scattered(adata.n_vars, 2000)].to_memory()


def qc(adata, target: str) -> None:
    if type(adata).__module__.startswith("lazyomics"):
        import lazyomics as package
    else:
        import scanpy as package
    package.pp.calculate_qc_metrics(adata, percent_top=None, inplace=True)
    np.asarray(adata.obs["total_counts"])


def only_open(adata, target: str) -> None:
    pass


JOBS: dict[str, tuple[str, Callable, tuple[str, ...]]] = {
    "open": ("open the file", only_open, BACKED),
    "cells": ("2,000 random cells → memory", cells, PARTS),
    "part": ("17 % of the cells, scattered → memory", part, PARTS),
    "file": ("17 % of the cells → new file", part_to_file, PARTS),
    "gzip": ("17 % of the cells → new file, gzip", part_gzip, PARTS),
    "genes": ("2,000 random genes of all cells → memory", genes, PARTS),
    "gene": ("one gene of all cells → memory", gene, PARTS),
    "qc": ("calculate_qc_metrics", qc, VERBS),
}


def child(program: str, job: str, path: str, target: str, times: str) -> None:
    warnings.simplefilter("ignore")
    opened = PROGRAMS[program](path)
    for _ in range(int(times)):
        Path(target).unlink(missing_ok=True)
        start = time.perf_counter()
        JOBS[job][1](opened(), target)
        seconds = time.perf_counter() - start
    print(seconds, peak_memory())


def measure(program: str, job: str, path: Path, folder: Path, times: int) -> Run:
    target = folder / f"{program.replace(' ', '_')}.h5ad"
    work = [program, job, str(path), str(target), str(times)]
    command = [sys.executable, __file__, "--child", *work]
    start = time.perf_counter()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    wall = time.perf_counter() - start
    target.unlink(missing_ok=True)
    inside, peak = map(float, output.split()[-2:])
    return Run(wall, inside, peak)


def medians(runs: dict[str, list[Run]]) -> dict[str, Run]:
    return {
        program: Run(*(median(column) for column in zip(*measured, strict=True)))
        for program, measured in runs.items()
    }


def row(job: str, found: dict[str, Run]) -> str:
    """A line of the table; how many times faster the first program is than the best other one."""
    ours, *others = found.values()
    whole = min(other.wall for other in others) / ours.wall
    inside = min(other.inside for other in others) / ours.inside
    theirs = "; ".join(f"{p} {r.wall:.2f} ({r.inside:.2f})" for p, r in list(found.items())[1:])
    peaks = " / ".join(f"{r.peak:.0f}" for r in found.values())
    return (
        f"| {JOBS[job][0]} | {ours.wall:.2f} ({ours.inside:.2f}) | {theirs} | {whole:.1f} × | "
        f"{inside:.1f} × | {peaks} |"
    )


def compare(
    path: Path, jobs: list[str], n_runs: int, folder: Path, times: int
) -> tuple[str, list[dict]]:
    lines = [
        "| job | lazyomics: s, process (inside) | others | process | inside | peak MB |",
        "|---|--:|---|--:|--:|--:|",
    ]
    results = []
    for job in jobs:
        runs: dict[str, list[Run]] = {program: [] for program in JOBS[job][2]}
        for _ in range(n_runs):
            for program in runs:
                runs[program].append(measure(program, job, path, folder, times))
        found = medians(runs)
        lines.append(row(job, found))
        results.append({"job": JOBS[job][0], "seconds": {p: r.wall for p, r in found.items()}})
        print(lines[-1], file=sys.stderr, flush=True)
    load = ", ".join(f"{n:.1f}" for n in os.getloadavg())
    table = "\n".join([*lines, "", environment(path, n_runs), f"load of the machine: {load}"])
    return table, results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, help="an .h5ad file with counts")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--jobs", default=",".join(JOBS), help="in this order, with commas")
    parser.add_argument("--again", action="store_true", help="do it twice, report the second time")
    parser.add_argument("--json", type=Path, help="also add the medians to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.path
        if path is None:
            from lazyomics.datasets import simulate

            path = Path(folder) / "simulated.h5ad"
            simulate(path, n_obs=50_000, n_vars=20_000, compression="gzip")
        jobs, times = options.jobs.split(","), 1 + options.again
        table, results = compare(path, jobs, options.runs, Path(folder), times)
    print(table)
    if options.json:
        add_results(options.json, results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
