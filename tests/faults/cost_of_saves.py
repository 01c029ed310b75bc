"""What a save in place costs: seconds, bytes written, and how much the file grows.

    python -m tests.faults.cost_of_saves [FILE.h5ad]

Works on a copy of the file, or on a simulated one of 50,000 cells.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np

import lazyomics as lo
from lazyomics.io.files import open_for_saving
from lazyomics.io.transaction import disk


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--saves", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.h5ad"
        if arguments.file is None:
            lo.datasets.simulate(path, n_obs=50_000, n_vars=20_000, mean_counts=1_000, seed=0)
        else:
            shutil.copy(arguments.file, path)
        print(f"file of {path.stat().st_size / 1e6:.0f} MB")
        large_layer(Path(folder) / "large.h5ad")
        two_columns(path)
        many_saves(path, arguments.saves)
        before = path.stat().st_size
        start = time.perf_counter()
        given_back = lo.repack(path).given_back
        seconds = time.perf_counter() - start
        print(f"repack: {given_back / 1e6:.1f} of {before / 1e6:.0f} MB back in {seconds:.1f} s")


def two_columns(path: Path) -> None:
    """Add two columns of obs, ten times; show time and bytes of the last."""
    adata = lo.read_h5ad(path)
    chance, seconds = np.random.default_rng(0), []
    for _ in range(10):
        adata.obs["one"], adata.obs["two"] = chance.random((2, adata.n_obs))
        written: Counter[str] = Counter()
        real = disk.write

        def count(descriptor: int, data: Any, position: int, into: Any = written) -> None:
            into["writes"] += 1
            into["bytes"] += len(data)
            real(descriptor, data, position)  # noqa: B023 (called before it changes)

        start = time.perf_counter()
        with mock.patch.object(disk, "write", count):
            adata.write()
        seconds.append(time.perf_counter() - start)
    print(
        f"two columns of obs: {statistics.median(seconds):.2f} s (median of 10), "
        f"{written['writes']} writes, {written['bytes'] / 1e6:.2f} MB with the journal"
    )


def large_layer(path: Path) -> None:
    """Copy 1 GB that was prepared beside the file into it, as a saved layer is."""
    lo.AnnData(np.eye(3)).write_h5ad(path)
    beside = path.with_name("beside.h5")
    with h5py.File(beside, "w") as file:
        made = file.create_dataset("large", (1000, 125_000), "f8", chunks=(100, 1250))
        for column in range(0, 125_000, 1250):
            values = np.random.default_rng(column).random((1000, 1250))
            made[:, column : column + 1250] = values
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    with h5py.File(beside) as file, open_for_saving(path) as target:
        file.copy("large", target, "large")
    seconds = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"a layer of 1 GB: {seconds:.1f} s, {grown:.0f} MiB more memory at most")
    beside.unlink()
    path.unlink()


def many_saves(path: Path, saves: int) -> None:
    """Change a column and an embedding again and again."""
    adata = lo.read_h5ad(path)
    chance, sizes = np.random.default_rng(0), []
    for _ in range(saves):
        adata.obs["score"] = chance.random(adata.n_obs)
        adata.obs["group"] = chance.integers(0, 20, adata.n_obs).astype(str)
        adata.obsm["X_new"] = chance.random((adata.n_obs, 50), dtype="f4")
        adata.write()
        sizes.append(path.stat().st_size)
    grown = sizes[-1] - sizes[0]
    print(
        f"{saves} saves of two changed columns and an embedding ({adata.n_obs * 209 / 1e6:.1f} MB "
        f"each): the file grew by {grown / 1e3:.0f} kB after the first"
    )


if __name__ == "__main__":
    main()
