"""Cells in a second that loaders for learning hand out in shuffled batches.

    python tests/bench/bench_batches.py [FILE.h5ad] [--cells 100000] [--runs 3] [--only lazyomics]

Each loader is a process of its own; loaders take turns, medians count. What is counted is an epoch
after a first batch of another one, of 1,024 cells a batch: sparse ones of lazyomics, annbatch and
scDataset, dense ones of AnnLoader. annbatch reads the collection that it made of the .h5ad before,
which is not counted; the others read the .h5ad. A loader whose package is missing is left out; each
is stopped after 20 seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

BATCH = 1024
ENOUGH = 20.0  # seconds


def lazyomics(path: Path, folder: Path) -> Iterable[Any]:
    import lazyomics as lo

    return lo.ml.batches(lo.read_h5ad(path), BATCH, memory="512MiB")


def scdataset(path: Path, folder: Path) -> Iterable[Any]:
    import anndata
    from scdataset import BlockShuffling, scDataset

    return scDataset(
        anndata.read_h5ad(path, backed="r"),
        BlockShuffling(block_size=64),
        batch_size=BATCH,
        fetch_factor=16,
        fetch_callback=lambda data, rows: data.X[rows],
    )


def annbatch(path: Path, folder: Path) -> Iterable[Any]:
    from annbatch import DatasetCollection, Loader

    place = folder / "collection.zarr"
    new = not place.exists()
    collection = DatasetCollection(place)
    if new:
        collection.add_adatas([path], shuffle=True)
    loader = Loader(
        batch_size=BATCH, chunk_size=64, preload_nchunks=256, preload_to_gpu=False, to=None
    )
    return loader.use_collection(collection)


def annloader(path: Path, folder: Path) -> Iterable[Any]:
    import anndata
    from anndata.experimental import AnnLoader

    adata = anndata.read_h5ad(path, backed="r")
    return AnnLoader(adata, batch_size=BATCH, shuffle=True)


LOADERS = {each.__name__: each for each in (lazyomics, scdataset, annbatch, annloader)}


def measure(name: str, path: Path, folder: Path) -> None:
    """Print the cells in a second of one loader, and the peak memory of its process."""
    import resource
    import warnings

    warnings.simplefilter("ignore")
    loader = LOADERS[name](path, folder)
    next(iter(loader))
    start, cells = time.perf_counter(), 0
    for batch in loader:
        x = batch["X"] if isinstance(batch, dict) else getattr(batch, "X", batch)
        cells += x.shape[0]
        if time.perf_counter() - start > ENOUGH:
            break
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cells_per_second": cells / took, "cells": cells, "peak_mib": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=LOADERS, action="append")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, path, folder = options.measure
        return measure(name, Path(path), Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        path = options.path
        if path is None:
            from lazyomics.datasets import simulate

            path = simulate(Path(folder) / "x.h5ad", n_obs=options.cells, n_vars=20_000)
        found: dict[str, list[dict[str, float]]] = {}
        for run in range(options.runs + 1):  # the first one compiles, and converts for annbatch
            for name in options.only or LOADERS:
                command = [sys.executable, __file__, "--measure", name, str(path), folder]
                done = subprocess.run(command, check=False, capture_output=True, text=True)
                if done.returncode:
                    print(f"{name}: {done.stderr.strip().splitlines()[-1]}")
                elif run:
                    found.setdefault(name, []).append(json.loads(done.stdout.splitlines()[-1]))
        for name, runs in found.items():
            speed = median(run["cells_per_second"] for run in runs)
            peak = median(run["peak_mib"] for run in runs)
            print(f"{name:10} {speed:12,.0f} cells a second, {peak:6,.0f} MiB")
    return None


if __name__ == "__main__":
    main()
