"""From counts to principal components as whole processes: lazyomics, and scanpy in two ways.

    python tests/bench/bench_pipeline.py [COUNTS.h5ad] [--runs 3] [--peers A,B] [--clusters]

Each run is a process of its own: import, open, normalise, log1p, 2,000 highly variable genes, 50
components; with ``--clusters`` also neighbours, UMAP and Leiden, each with its defaults. The
programs take turns, so that what else the machine does falls on all of them. The medians are
printed as a markdown table, the agreement of the components below it. Without a file, 50,000 cells
× 20,000 genes are simulated (gzip).
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

from tests.bench.results import add_results


class Run(NamedTuple):
    """What one process reports."""

    hvg: float  # seconds from the start to the highly variable genes
    pca: float  # seconds from the start to the components
    clusters: float  # seconds from the start to the clusters; the same without ``--clusters``
    wall: float  # seconds of the process, imports included
    peak: float  # MB


def run_lazyomics(path: str, lap: Callable[[str], None], clusters: bool = False) -> np.ndarray:
    import lazyomics as lo

    adata = lo.read_h5ad(path)
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    lo.pp.highly_variable_genes(adata, n_top_genes=2000)
    lap("hvg")
    lo.pp.pca(adata, n_comps=50)
    lap("pca")
    if clusters:
        to_clusters(lo, adata, lap)
    return adata.obsm["X_pca"]


def run_scanpy(path: str, lap: Callable[[str], None], clusters: bool = False) -> np.ndarray:
    import scanpy as sc

    adata = sc.read_h5ad(path)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=2000)
    lap("hvg")
    sc.pp.pca(adata, n_comps=50)
    lap("pca")
    if clusters:
        to_clusters(sc, adata, lap)
    return adata.obsm["X_pca"]


def run_scanpy_dask(path: str, lap: Callable[[str], None], clusters: bool = False) -> np.ndarray:
    import anndata
    import h5py
    import scanpy as sc
    from anndata.experimental import read_elem_lazy

    with h5py.File(path, "r") as file:
        adata = anndata.AnnData(
            X=read_elem_lazy(file["X"], chunks=(10_000, -1)),
            obs=anndata.io.read_elem(file["obs"]),
            var=anndata.io.read_elem(file["var"]),
        )
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
        sc.pp.highly_variable_genes(adata, n_top_genes=2000)
        lap("hvg")
        sc.pp.pca(adata, n_comps=50)
        components = np.asarray(adata.obsm["X_pca"])
        lap("pca")
        if clusters:
            adata.obsm["X_pca"] = components
            to_clusters(sc, adata, lap)
    return components


def to_clusters(package: Any, adata: Any, lap: Callable[[str], None]) -> None:
    """Go on from the components with the verbs of lazyomics or of scanpy."""
    package.pp.neighbors(adata)
    lap("neighbors")
    package.tl.umap(adata)
    lap("umap")
    package.tl.leiden(adata, flavor="igraph", n_iterations=2, directed=False)
    lap("clusters")


PEERS = {"lazyomics": run_lazyomics, "scanpy": run_scanpy, "scanpy on dask": run_scanpy_dask}


def peak_memory() -> float:
    """Peak resident memory in MB. (getrusage may report that of the process that started us.)"""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise OSError("no VmHWM in /proc/self/status: this benchmark needs Linux")


def child(peer: str, path: str, scores: str, clusters: str) -> None:
    """Run one peer in this process and report on standard output."""
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    laps: dict[str, float] = {}

    def lap(step: str) -> None:
        laps[step] = time.perf_counter() - start

    np.save(scores, PEERS[peer](path, lap, clusters == "True"))
    print({step: round(seconds, 1) for step, seconds in laps.items()}, file=sys.stderr)
    print(laps["hvg"], laps["pca"], laps.get("clusters", laps["pca"]), peak_memory())


def measure(peer: str, path: Path, scores: Path, *, clusters: bool) -> Run:
    command = [sys.executable, __file__, "--child", peer, str(path), str(scores), str(clusters)]
    start = time.perf_counter()
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    wall = time.perf_counter() - start
    hvg, pca, last, peak = (float(word) for word in output.split()[-4:])
    return Run(hvg, pca, last, wall, peak)


def agreement(ours: Path, theirs: Path) -> float:
    """Lowest absolute correlation of a component with the other program's."""
    pairs = zip(np.load(ours).T, np.load(theirs).T, strict=True)
    return min(abs(np.corrcoef(a, b)[0, 1]) for a, b in pairs)


def table(runs: dict[str, list[Run]]) -> str:
    lines = [
        "| program | process | to HVG | to PCA | to clusters | peak memory |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for peer, measured in runs.items():
        hvg, pca, last, wall, peak = (median(column) for column in zip(*measured, strict=True))
        clusters = f"{last:.1f} s" if last > pca else "–"
        cells = (peer, f"{wall:.1f} s", f"{hvg:.1f} s", f"{pca:.1f} s", clusters, f"{peak:.0f} MB")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def environment(path: Path, n_runs: int) -> str:
    versions = []
    for package in ("lazyomics", "scanpy", "anndata", "dask", "numpy", "scipy", "numba", "h5py"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} (source tree)")
    return (
        f"{path.name}, {path.stat().st_size / 1e6:.0f} MB; medians of {n_runs} runs in turn; "
        f"{processor()}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}; {', '.join(versions)}\n"
        f"command: python {' '.join(sys.argv)}"
    )


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def compare(
    path: Path, peers: list[str], n_runs: int, folder: Path, *, clusters: bool
) -> dict[str, float]:
    runs: dict[str, list[Run]] = {peer: [] for peer in peers}
    for i in range(n_runs):
        for peer in peers:
            scores = folder / f"{peer}.npy"
            runs[peer].append(measure(peer, path, scores, clusters=clusters))
            print(f"run {i + 1} {peer}: {runs[peer][-1].wall:.1f} s", file=sys.stderr)
    print(table(runs))
    for other in peers[1:]:
        worst = agreement(folder / f"{peers[0]}.npy", folder / f"{other}.npy")
        print(f"\n{peers[0]} and {other}: every component correlates by {worst:.6f} or more")
    print(f"\n{environment(path, n_runs)}")
    return {peer: median(run.wall for run in measured) for peer, measured in runs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, help="an .h5ad file with counts")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS), help="in this order, with commas")
    parser.add_argument("--n-obs", type=int, default=50_000, help="cells, when simulated")
    parser.add_argument("--clusters", action="store_true", help="go on to UMAP and Leiden")
    parser.add_argument("--json", type=Path, help="also add the medians to this file")
    parser.add_argument("--label", default="counts to components", help="name of the job there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.path
        if path is None:
            from lazyomics.datasets import simulate

            path = Path(folder) / f"simulated_{options.n_obs}.h5ad"
            simulate(path, n_obs=options.n_obs, n_vars=20_000, compression="gzip")
        peers = options.peers.split(",")
        seconds = compare(path, peers, options.runs, Path(folder), clusters=options.clusters)
    if options.json:
        add_results(options.json, [{"job": f"pipeline, {options.label}", "seconds": seconds}])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
