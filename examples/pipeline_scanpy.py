"""The steps of pipeline.py with scanpy in memory, to compare with.

python examples/pipeline_scanpy.py COUNTS.h5ad [FOLDER]
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import scanpy as sc
from pynndescent import PyNNDescentTransformer
from scipy.sparse import csr_matrix
from stopwatch import Stopwatch


class Transformer(PyNNDescentTransformer):
    """Scanpy up to 1.12 expects a matrix where pynndescent 0.7 returns a sparse array."""

    def fit_transform(self, X: np.ndarray, y: object = None) -> csr_matrix:
        return csr_matrix(super().fit_transform(X, y))


def default_transformer(n_obs: int) -> Transformer:
    """Make what scanpy makes by itself for this number of cells."""
    return Transformer(
        n_neighbors=15,
        random_state=0,
        n_trees=min(64, 5 + round(n_obs**0.5 / 20.0)),
        n_iters=max(5, round(np.log2(n_obs))),
    )


def main(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    watch = Stopwatch()
    with watch.step("open"):
        adata = sc.read_h5ad(source)
    with watch.step("normalize_total, log1p"):
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    with watch.step("highly_variable_genes"):
        sc.pp.highly_variable_genes(adata, n_top_genes=2000)
    with watch.step("pca"):
        sc.pp.pca(adata, n_comps=50)
    with watch.step("neighbors"):
        large = adata.n_obs >= 8192  # below, scanpy searches exactly
        transformer = default_transformer(adata.n_obs) if large else None
        sc.pp.neighbors(adata, n_neighbors=15, transformer=transformer)
    with watch.step("umap"):
        sc.tl.umap(adata)
    with watch.step("leiden"):
        sc.tl.leiden(adata, resolution=0.5, flavor="igraph", n_iterations=2, directed=False)
    with watch.step("plot"):
        known = [name for name in ("cell_type",) if name in adata.obs]
        sc.pl.umap(adata, color=["leiden", *known], wspace=0.4, show=False)
        plt.savefig(folder / "umap_scanpy.png", bbox_inches="tight", dpi=100)
    with watch.step("subset, streamed to a file"):
        largest = adata.obs["leiden"].value_counts().idxmax()
        adata[adata.obs["leiden"] == largest].write_h5ad(folder / "largest_cluster_scanpy.h5ad")
    with watch.step("save to a new file"):
        adata.write_h5ad(folder / "analysed_scanpy.h5ad")
    watch.save(folder / "pipeline_scanpy.json")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "pipeline_output"))
