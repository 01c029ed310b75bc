"""Verbs between counts and a figure, from the file, beside scanpy's on the same values in memory.

    python tests/bench/bench_verbs.py [COUNTS.h5ad] [--runs 1] [--peers lazyomics,scanpy]
                                      [--verbs t-test wilcoxon …]

Counts are normalised and logged first: recorded by lazyomics, so that each verb reads, decodes and
normalises within its time; done in memory before the clock starts by scanpy. Each verb of each
program runs in a process of its own, after the same verb on 500 cells, so that nothing is compiled
or imported within its time. Regression and ComBat: 2,000 genes, followed by PCA. Doublets: of
counts, with five neighbours, which leaves little but the work on the matrix.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

from tests.bench.counts import write_counts
from tests.bench.results import add_results

PEERS = ("lazyomics", "scanpy")
WARMED_UP = 500  # cells
GENES = slice(0, 28_000, 14)  # 2,000 of those that vary in whatever way
KEY = "cell_type"


def ranked(**options: Any) -> Callable[[Any, Any], Any]:
    return lambda m, a: m.tl.rank_genes_groups(a, KEY, **options)


def scored(m: Any, a: Any) -> None:
    m.tl.score_genes(a, list(a.var_names[100:4100:40]))


def aggregated(m: Any, a: Any) -> None:
    m.get.aggregate(a, KEY, ["mean", "count_nonzero"])


def regressed(m: Any, a: Any) -> None:
    a = a[:, GENES].copy()
    a.obs["size"] = np.random.default_rng(0).normal(size=a.n_obs)
    m.pp.regress_out(a, "size")
    m.pp.pca(a, 50, mask_var=None)


def combated(m: Any, a: Any) -> None:
    a = a[:, GENES].copy()
    a.obs["batch"] = np.random.default_rng(0).choice(["a", "b", "c"], a.n_obs)
    m.pp.combat(a, "batch")
    m.pp.pca(a, 50, mask_var=None)


def doublets(m: Any, a: Any) -> None:
    m.pp.scrublet(a, n_neighbors=5, verbose=False)


OF_COUNTS = ("scrublet",)
VERBS: dict[str, Callable[[Any, Any], Any]] = {
    "t-test": ranked(method="t-test"),
    "wilcoxon": ranked(method="wilcoxon"),
    "wilcoxon, ties corrected": ranked(method="wilcoxon", tie_correct=True),
    "score_genes": scored,
    "aggregate": aggregated,
    "scrublet": doublets,
    "regress_out, pca": regressed,
    "combat, pca": combated,
}


def child(peer: str, verb: str, path: str) -> None:
    """Run one verb of one program in this process and report on standard output."""
    warnings.simplefilter("ignore")
    module = importlib.import_module(peer)
    adata = module.read_h5ad(path)

    def prepared(part: Any) -> Any:
        if verb not in OF_COUNTS:
            module.pp.normalize_total(part, target_sum=1e4)
            module.pp.log1p(part)
        return part

    VERBS[verb](module, prepared(adata[:WARMED_UP].copy()))
    prepared(adata)
    wall, cpu = time.perf_counter(), time.process_time()
    VERBS[verb](module, adata)
    found = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps(found | {"peak": peak()}))


def peak() -> float:
    """MB that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--peers", default=",".join(PEERS), help="in this order, with commas")
    parser.add_argument("--verbs", nargs="+", choices=list(VERBS), default=list(VERBS))
    parser.add_argument("--json", type=Path, help="also add the medians to this file")
    options = parser.parse_args()
    peers = options.peers.split(",")
    with tempfile.TemporaryDirectory() as folder:
        path = options.file
        if path is None:
            path = Path(folder) / "counts.h5ad"
            write_counts(path, 10_000)
        print("seconds, of all processors in brackets, and peak memory\n")
        print(f"| verb | {' | '.join(peers)} | ratio |")
        print(f"|---|{'--:|' * (len(peers) + 1)}", flush=True)
        for verb in options.verbs:
            medians = {peer: measured(peer, verb, path, options.runs) for peer in peers}
            row = [
                f"{m['wall']:.2f} s ({m['cpu']:.1f}), {m['peak']:,.0f} MB" for m in medians.values()
            ]
            ratio = medians[peers[-1]]["wall"] / medians[peers[0]]["wall"]
            print(f"| {verb} | {' | '.join(row)} | {ratio:.1f} × |", flush=True)
            if options.json:
                seconds = {peer: m["wall"] for peer, m in medians.items()}
                add_results(options.json, [{"job": verb, "seconds": seconds}])


def measured(peer: str, verb: str, path: Path, runs: int) -> dict[str, float]:
    found = []
    for _ in range(runs):
        command = [sys.executable, __file__, "--child", peer, verb, str(path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{peer}, {verb}:\n{done.stderr}")
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return {name: median(f[name] for f in found) for name in found[0]}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
