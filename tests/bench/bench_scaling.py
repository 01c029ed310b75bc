"""Time for each cell, from few cells to many, of the pipeline from counts to components.

    python tests/bench/bench_scaling.py [COUNTS.h5ad …] [--runs 3] [--memory 512MiB]

Each file is worked on in a process of its own, first with all that a new process has to load, then
again ``--runs`` times, of which the median counts. Peak memory is that of the process. Without
files, 20,000 simulated cells × 20,000 genes are joined with themselves 1, 5 and 25 times (gzip).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

from tests.bench.bench_pipeline import environment, peak_memory, run_lazyomics

COPIES = (1, 5, 25)


def child(path: str, runs: str) -> None:
    """Work on one file again and again, and report on standard output."""
    import lazyomics as lo

    cells = lo.read_h5ad(path).n_obs
    seconds = []
    for _ in range(1 + int(runs)):
        start = time.perf_counter()
        run_lazyomics(path, lambda step: None)
        seconds.append(time.perf_counter() - start)
    print(cells, seconds[0], median(seconds[1:]), peak_memory())


def measure(path: Path, runs: int, memory: str | None) -> str:
    """A line of the table."""
    chosen = {"DASK_LAZYOMICS__MEMORY": memory} if memory else {}
    output = subprocess.run(
        [sys.executable, __file__, "--child", str(path), str(runs)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **chosen},
    ).stdout
    cells, first, again, peak = (float(word) for word in output.split()[-4:])
    each = 1e6 * again / cells
    return f"| {cells:,.0f} | {first:.1f} s | {again:.2f} s | {each:.1f} ms | {peak:,.0f} MB |"


def joined(folder: Path) -> list[Path]:
    """Simulated cells, and files of several times as many."""
    import lazyomics as lo
    from lazyomics.datasets import simulate

    one, paths = folder / "simulated.h5ad", []
    simulate(one, n_obs=20_000, n_vars=20_000, compression="gzip")
    for copies in COPIES:
        paths.append(folder / f"simulated_{copies}.h5ad")
        parts = [lo.read_h5ad(one) for _ in range(copies)]
        whole = lo.concat(parts, keys=[str(k) for k in range(copies)], index_unique="-")
        whole.write_h5ad(paths[-1], compression="gzip")
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, help=".h5ad files with counts")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", help="lazyomics.memory, such as 512MiB")
    options = parser.parse_args()
    print("| cells | first time | again | again, 1,000 cells | peak memory |")
    print("|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        paths = options.paths or joined(Path(folder))
        for path in paths:
            print(measure(path, options.runs, options.memory), flush=True)
        print(f"\n{environment(paths[-1], options.runs)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
