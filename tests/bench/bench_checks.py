"""What it costs to make sure that what is read is still of the state that was opened.

    python tests/bench/bench_checks.py [FILE.h5ad] [--runs 9]

Of reads that a person waits for, the share of the processor's time that goes into
``Snapshot.check``; medians of runs, each of which opens the file anew. The file has been read
before. Without a file, 100,000 cells × 5,000 genes are simulated.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

import lazyomics as lo
from lazyomics.io.snapshot import Snapshot

READS: dict[str, Callable[[Any], object]] = {
    "obs": lambda adata: len(adata.obs),
    "obsm": lambda adata: adata.obsm["X_random"].shape,
    "1,000 neighbouring cells of X": lambda adata: adata[:1000].X.compute(),
    "sum of X": lambda adata: adata.X.sum().compute(),
}


class Counted:
    """Times ``Snapshot.check`` while it takes its place."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0
        self._check = Snapshot.check

    def __enter__(self) -> Counted:
        def check(snapshot: Snapshot, *args: Any) -> Any:
            start = time.thread_time()
            try:
                return self._check(snapshot, *args)
            finally:
                self.seconds += time.thread_time() - start
                self.calls += 1

        Snapshot.check = check  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        Snapshot.check = self._check  # type: ignore[method-assign]


def measured(path: Path, read: Callable[[Any], object]) -> tuple[float, float, int]:
    """Return the processor's seconds of a read, those of its checks, and how many there were."""
    adata = lo.read_h5ad(path)
    with Counted() as checks:
        start = time.process_time()
        read(adata)
        whole = time.process_time() - start
    return whole, checks.seconds, checks.calls


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.path
        if path is None:
            path = Path(lo.datasets.simulate(Path(folder) / "x.h5ad", n_obs=100_000, n_vars=5_000))
        adata = lo.read_h5ad(path)
        if "X_random" not in adata.obsm:
            adata.obsm["X_random"] = np.random.default_rng(0).random((adata.n_obs, 50))
            adata.write()
        for name, read in READS.items():
            runs = [measured(path, read) for _ in range(options.runs + 1)][1:]
            whole, checks = median(run[0] for run in runs), median(run[1] for run in runs)
            print(
                f"{name:32} {1e3 * whole:8.1f} ms {1e6 * checks:6.0f} µs in {runs[0][2]} checks"
                f" {100 * checks / whole:5.2f} %"
            )


if __name__ == "__main__":
    main()
