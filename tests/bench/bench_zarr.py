"""From counts to highly variable genes on zarr: lazyomics, and scanpy on anndata's read_lazy.

    python tests/bench/bench_zarr.py [COUNTS.h5ad] [--cells 50000] [--runs 3] [--format 3]

Stores are written by anndata, in its chunks, and by lazyomics, in chunks of 1 MiB and in shards.
Each run is a process of its own: import, open, normalise, log1p, 2,000 highly variable genes. The
programs take turns. Without a file, counts are simulated.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

GENES = 2000


def run_lazyomics(store: str) -> list[str]:
    import lazyomics as lo

    adata: Any = lo.read_zarr(store)
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    lo.pp.highly_variable_genes(adata, n_top_genes=GENES)
    return list(adata.var_names[adata.var["highly_variable"]])


def run_read_lazy(store: str) -> list[str]:
    import anndata
    import scanpy as sc

    opened = anndata.experimental.read_lazy(store)
    adata = anndata.AnnData(opened.X, obs=opened.obs.to_memory(), var=opened.var.to_memory())
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=GENES)
    return list(adata.var_names[adata.var["highly_variable"]])


PROGRAMS = {"lazyomics": run_lazyomics, "read_lazy and scanpy": run_read_lazy}


def measure(program: str, store: str) -> tuple[float, float, str]:
    """Seconds and MB of one process, and the genes that it found."""
    command = [sys.executable, __file__, "--program", program, store]
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    found = child.stdout.read() if child.stdout else ""
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{program} failed on {store}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1000, found.splitlines()[-1]


def stores(counts: str, folder: Path, zarr_format: int) -> None:
    """Write the stores that are read."""
    import anndata

    import lazyomics as lo

    made = {name: folder / f"{name}.zarr" for name in ("anndata", "chunks", "shards")}
    warnings.simplefilter("ignore")
    anndata.settings.zarr_write_format = zarr_format
    anndata.read_h5ad(counts).write_zarr(made["anndata"])
    adata = lo.read_h5ad(counts)
    begin = time.perf_counter()
    adata.write_zarr(made["chunks"], zarr_format=zarr_format)
    print(f"write_zarr: {time.perf_counter() - begin:.1f} s")
    if zarr_format == 3:
        adata.write_zarr(made["shards"], shard_bytes="64 MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="?")
    parser.add_argument("--cells", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--format", type=int, default=3)
    parser.add_argument("--program")
    parser.add_argument("--into")
    given = parser.parse_args()
    if given.into:  # in a process of its own, whose memory would count for those that it starts
        stores(given.counts, Path(given.into), given.format)
        return
    if given.program:
        warnings.simplefilter("ignore")
        print(",".join(sorted(PROGRAMS[given.program](given.counts))))
        return
    with tempfile.TemporaryDirectory() as folder:
        counts = given.counts
        if counts is None:
            counts = str(Path(folder) / "counts.h5ad")
            script = Path(__file__).with_name("counts.py")
            command = [sys.executable, str(script), counts, "--cells", str(given.cells)]
            subprocess.run(command, check=True)
        print("| store | program | s | MB |\n|---|---|--:|--:|")
        making = ["--into", folder, "--format", str(given.format)]
        subprocess.run([sys.executable, __file__, counts, *making], check=True)
        for store in sorted(Path(folder).glob("*.zarr")):
            measured: dict[str, list[Any]] = {program: [] for program in PROGRAMS}
            for _ in range(given.runs):
                for program in PROGRAMS:
                    measured[program].append(measure(program, str(store)))
            for program, runs in measured.items():
                seconds, peak = (median(run[k] for run in runs) for k in (0, 1))
                print(f"| {store.stem} | {program} | {seconds:.1f} | {peak:.0f} |", flush=True)
            genes = {program: set(runs[0][2].split(",")) for program, runs in measured.items()}
            first, second = genes.values()
            print(f"\n{len(first & second)} of {len(first)} genes are the same\n")


if __name__ == "__main__":
    main()
