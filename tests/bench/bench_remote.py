"""Requests and bytes that a file on a server costs: opening it, some cells, a pass.

``python tests/bench/bench_remote.py [FILE.h5ad] [--latency 0.02]`` serves the file on loopback.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

import lazyomics as lo
from tests.io.remote.range_server import Behaviour, serving

CELLS = 2_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds before each answer")
    arguments, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file
        if path is None:
            path = Path(folder) / "simulated.h5ad"
            lo.datasets.simulate(path, n_obs=50_000, n_vars=20_000, mean_counts=1_000, seed=0)
        with serving(path.absolute().parent, latency=arguments.latency) as server:
            measure(server, path)


def measure(server: Behaviour, path: Path) -> None:
    """Open the file, then read more and more of it."""
    size = path.stat().st_size
    print(f"file of {size / 1e6:.1f} MB, {1e3 * server.latency:.0f} ms before each answer")

    def step(name: str, action: Callable[[], Any]) -> Any:
        with counted(server, name, size):
            return action()

    adata = step("open", lambda: lo.read_h5ad(server.url(path.name)))
    step("X, its row pointers", lambda: adata.X)
    step("obs", lambda: adata.obs)
    n = adata.n_obs
    step("explain: the chunk index", lambda: lo.explain(adata))
    some = np.sort(np.random.default_rng(0).choice(n, min(CELLS, n), replace=False))
    step("1,000 neighbouring cells", lambda: adata.X[n // 2 : n // 2 + 1000].compute())
    step(f"{len(some):,} scattered cells", lambda: adata.X[some].compute())
    step("counts of each cell, a pass", lambda: adata.X.sum(axis=1).compute())


@contextmanager
def counted(server: Behaviour, name: str, size: int) -> Iterator[None]:
    """Print what a block asked the server for."""
    server.forget()
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    print(
        f"{name:28} {server.requests:5} requests {server.sent / 1e6:9.2f} MB "
        f"({100 * server.sent / size:6.2f} %) {seconds:7.2f} s, {server.most_at_once} at once"
    )


if __name__ == "__main__":
    main()
