"""Values of one gene for all cells, with and without a copy of X by genes.

    python tests/bench/bench_genes.py [COUNTS.h5ad] [--genes 9]

The file is copied first. Each gene is asked for once, in a process that has read one before.
Without a file, 50,000 cells × 20,000 genes are simulated (gzip).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

import lazyomics as lo
from lazyomics.io.hdf5 import count_reads


def timed(path: Path, n_genes: int) -> str:
    """Median time and bytes of a gene, and the time of the first one."""
    adata = lo.read_h5ad(path)
    names = adata.var_names[:: max(1, adata.n_vars // (n_genes + 1))][: n_genes + 1]
    seconds, read = [], []
    for name in names:
        start = time.perf_counter()
        with count_reads() as counter:
            lo.get.obs_df(adata, [name])
        seconds.append(time.perf_counter() - start)
        read.append(counter.bytes_read)
    return (
        f"{median(seconds[1:]) * 1e3:,.0f} ms, {median(read[1:]) / 1e6:,.2f} MB read "
        f"(the first one: {seconds[0] * 1e3:,.0f} ms)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--genes", type=int, default=9)
    arguments, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "genes.h5ad"
        if arguments.file is None:
            lo.datasets.simulate(path, n_obs=50_000, n_vars=20_000, compression="gzip")
        else:
            adata = lo.read_h5ad(arguments.file)
            for key in list(adata.layers):
                del adata.layers[key]
            adata.write_h5ad(path)
        size = path.stat().st_size
        print(f"{lo.read_h5ad(path).shape}, {size / 1e6:,.0f} MB")
        print("a gene without a copy:", timed(path, arguments.genes))
        start = time.perf_counter()
        lo.add_gene_major(lo.read_h5ad(path))
        seconds = time.perf_counter() - start
        grown = path.stat().st_size - size
        print(f"add_gene_major: {seconds:.1f} s, the file grows by {grown / 1e6:,.0f} MB")
        print("a gene with a copy:   ", timed(path, arguments.genes))


if __name__ == "__main__":
    main()
