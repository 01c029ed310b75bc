"""From counts to clusters on a file that need not fit into memory.

    python examples/pipeline.py COUNTS.h5ad [FOLDER]

Opens the file, normalises, selects genes, reduces, clusters, draws, and streams one cluster to a
file of its own. The steps with their times and the peak memory are printed and put into
FOLDER/pipeline.json (default: pipeline_output). On Linux, put MALLOC_TRIM_THRESHOLD_=65536 into the
environment, as dask does for its own workers: memory that is free then goes back to the system.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask
import matplotlib

matplotlib.use("Agg")
from stopwatch import Stopwatch

import lazyomics as lo

# Each worker holds a block of X in flight, so memory grows with their number, not with the file.
# One pool for all computations: memory that a thread has freed is used again by the same thread.
WORKERS = min(4, os.cpu_count() or 1)


def main(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    watch = Stopwatch()
    with watch.step("open"):
        adata = lo.read_h5ad(source)
    with watch.step("normalize_total, log1p"):
        lo.pp.normalize_total(adata, target_sum=1e4)
        lo.pp.log1p(adata)
    with watch.step("highly_variable_genes"):
        lo.pp.highly_variable_genes(adata, n_top_genes=2000)
    with watch.step("pca"):
        lo.pp.pca(adata, n_comps=50)
    with watch.step("neighbors"):
        lo.pp.neighbors(adata, n_neighbors=15)
    with watch.step("umap"):
        lo.tl.umap(adata)
    with watch.step("leiden"):
        lo.tl.leiden(adata, resolution=0.5, flavor="igraph", n_iterations=2, directed=False)
    with watch.step("plot"):
        draw(adata, folder / "umap.png")
    with watch.step("subset, streamed to a file"):
        largest = adata.obs["leiden"].value_counts().idxmax()
        adata[adata.obs["leiden"] == largest].copy(filename=folder / "largest_cluster.h5ad")
    with watch.step("save to a new file"):
        adata.write_h5ad(folder / "analysed.h5ad")
    watch.save(folder / "pipeline.json")
    print(adata)


def draw(adata: lo.AnnData, path: Path) -> None:
    import matplotlib.pyplot as plt

    known = [name for name in ("cell_type",) if name in adata.obs]
    lo.pl.umap(adata, color=["leiden", *known], wspace=0.4, show=False)
    plt.savefig(path, bbox_inches="tight", dpi=100)
    plt.close("all")


if __name__ == "__main__":
    with ThreadPoolExecutor(WORKERS) as pool, dask.config.set(pool=pool):
        main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "pipeline_output"))
