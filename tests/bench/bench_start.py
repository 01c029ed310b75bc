"""What a process takes before it works: imports, and loops that are compiled when first used.

    python tests/bench/bench_start.py [SMALL.h5ad] [--runs 5]

Each time is that of a whole process; the programs take turns, medians count. Pipelines go from
counts to components, of 2,700 simulated cells × 32,000 genes if no file is given: once with no
machine code in the cache, as after installing, and once more with what the first one left there.
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

from tests.bench.bench_pipeline import environment

REPOSITORY = Path(__file__).resolve().parents[2]
IMPORTS = {
    "import lazyomics": "import lazyomics",
    "import dask.array, pandas, h5py": "import dask.array, pandas, h5py",
    "import pandas, h5py, scipy.sparse": "import pandas, h5py, scipy.sparse",
}
PIPELINE = """
import sys
from tests.bench.bench_pipeline import run_lazyomics
run_lazyomics(sys.argv[1], lambda step: None)
"""


def seconds(*command: str, cache: str | None = None) -> float:
    """Of a process."""
    chosen = {"NUMBA_CACHE_DIR": cache} if cache else {}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", *command],
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, **chosen},
    )
    return time.perf_counter() - start


def turn(path: Path) -> dict[str, float]:
    """Every program once."""
    found = {name: seconds(program) for name, program in IMPORTS.items()}
    with tempfile.TemporaryDirectory() as cache:
        for name in ("pipeline, nothing compiled yet", "pipeline, compiled before"):
            found[name] = seconds(PIPELINE, str(path), cache=cache)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, help="a small .h5ad file with counts")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.path.resolve() if options.path else None
        if path is None:
            from lazyomics.datasets import simulate

            path = simulate(Path(folder) / "small.h5ad", n_obs=2_700, n_vars=32_000)
        turns = [turn(path) for _ in range(options.runs)]
        print("| process | time |\n|---|--:|")
        for name in turns[0]:
            print(f"| {name} | {median(found[name] for found in turns):.2f} s |")
        print(f"\n{environment(path, options.runs)}")


if __name__ == "__main__":
    main()
