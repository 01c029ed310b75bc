"""Compare what comes after the components: neighbours, UMAP and Leiden, beside scanpy.

    python tests/bench/bench_graph.py [--n-obs 20000] [--runs 1] [--peers lazyomics,scanpy]

Components are simulated: groups of different size that touch each other, 50 dimensions of falling
variance. Each program runs in a process of its own with its defaults (``flavor="igraph",
n_iterations=2`` for Leiden). Recall is the share of the true 14 nearest others that was found, of
500 cells; kept is the share of the 15 nearest others in the components that are so in the layout.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

from tests.bench.results import add_results

PEERS = ("lazyomics", "scanpy")
STEPS = ("neighbors", "umap", "leiden")
CHECKED = 500
N_GROUPS = 30


def components(n_obs: int, width: int = 50) -> np.ndarray:
    rng = np.random.default_rng(0)
    spread = np.geomspace(1, 0.3, width)
    centers = rng.normal(scale=1.6, size=(N_GROUPS, width)) * spread
    sizes = rng.dirichlet(np.full(N_GROUPS, 3.0))
    groups = rng.choice(N_GROUPS, n_obs, p=sizes)
    # a part of the cells lies between its group and the next one
    share = np.where(rng.random(n_obs) < 0.2, rng.random(n_obs), 0)[:, None]
    places = centers[groups] * (1 - share) + centers[(groups + 1) % N_GROUPS] * share
    return (places + rng.normal(size=(n_obs, width)) * spread).astype(np.float32)


def child(peer: str, path: str) -> None:
    """Run one peer in this process and report on standard output."""
    warnings.simplefilter("ignore")
    x = np.load(path)
    package = importlib.import_module(peer)
    container = importlib.import_module("lazyomics" if peer == "lazyomics" else "anndata")
    adata: Any = container.AnnData(np.zeros((len(x), 1), np.float32), obsm={"X_pca": x})
    found: dict[str, Any] = {}

    def timed(step: str, work: Any, **options: Any) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        work(adata, **options)
        found[step] = time.perf_counter() - wall, time.process_time() - cpu

    timed("neighbors", package.pp.neighbors, use_rep="X_pca")
    timed("umap", package.tl.umap)
    timed("leiden", package.tl.leiden, flavor="igraph", n_iterations=2, directed=False)
    found["peak"] = peak_bytes()
    found.update(quality(x, adata))
    print(json.dumps(found))


def peak_bytes() -> int:
    """Most memory that this process ever held, mapped files included."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def quality(x: np.ndarray, adata: Any) -> dict[str, float]:
    rows = np.random.default_rng(1).choice(len(x), CHECKED, replace=False)
    graph = adata.obsp["distances"].tocsr()
    layout = np.asarray(adata.obsm["X_umap"], dtype=np.float64)
    found = kept = 0.0
    for row in rows:
        far = np.square(x - x[row]).sum(axis=1)
        far[row] = np.inf
        true = np.argpartition(far, 15)[:15]
        true = true[np.argsort(far[true])]
        stored = graph.indices[graph.indptr[row] : graph.indptr[row + 1]]
        found += len(np.intersect1d(true[:14], stored)) / 14
        flat = np.square(layout - layout[row]).sum(axis=1)
        flat[row] = np.inf
        kept += len(np.intersect1d(true, np.argpartition(flat, 15)[:15])) / 15
    return {
        "recall": found / CHECKED,
        "kept": kept / CHECKED,
        "modularity": modularity(adata.obsp["connectivities"].tocoo(), adata.obs["leiden"]),
    }


def modularity(graph: Any, labels: Any) -> float:
    codes = labels.cat.codes.to_numpy()
    degrees = np.bincount(graph.row, weights=graph.data, minlength=len(codes))
    of_groups = np.bincount(codes, weights=degrees)
    total = degrees.sum()
    inside = graph.data[codes[graph.row] == codes[graph.col]].sum(dtype=np.float64)
    return float(inside / total - np.square(of_groups / total).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n-obs", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--peers", default=",".join(PEERS), help="in this order, with commas")
    parser.add_argument("--json", type=Path, help="also add the medians to this file")
    options = parser.parse_args()
    peers = options.peers.split(",")
    runs: dict[str, list[dict[str, Any]]] = {peer: [] for peer in peers}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "components.npy"
        np.save(path, components(options.n_obs))
        for _ in range(options.runs):
            for peer in peers:
                command = [sys.executable, __file__, "--child", peer, str(path)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                runs[peer].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{options.n_obs:,} cells × 50 components; seconds, of all processors in brackets\n")
    print("| program | neighbours | UMAP | Leiden | peak, MB | recall | kept | modularity |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    seconds = {}
    for peer, measured in runs.items():
        times = [[median(r[step][k] for r in measured) for k in (0, 1)] for step in STEPS]
        cells = [f"{wall:.1f} ({cpu:.1f})" for wall, cpu in times]
        cells.append(f"{median(r['peak'] for r in measured) / 1e6:,.0f}")
        cells += [f"{measured[0][name]:.4f}" for name in ("recall", "kept", "modularity")]
        print(f"| {peer} | {' | '.join(cells)} |")
        seconds[peer] = sum(wall for wall, _ in times)
    if options.json:
        job = f"components to clusters, {options.n_obs:,} cells"
        add_results(options.json, [{"job": job, "seconds": seconds}])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
