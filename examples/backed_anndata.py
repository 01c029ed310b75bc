"""The AnnData half of scverse's tutorial on backed mode, with lazyomics.

    python examples/backed_anndata.py [PBMC3K.h5ad] [FOLDER]

Follows the tutorial step by step, then does the four things that it lists as impossible. Without
a file it uses PBMC 3k from this machine or from the download cache. Files and figures go to FOLDER
(default: tutorial_output). https://muon-tutorials.readthedocs.io has the original.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import lazyomics as lo

T_CLUSTERS = ["CD4 T cells", "CD8 T cells"]


def print_size_in_mb(x: object) -> None:
    print(f"{x.__sizeof__() / 1e6:.3} MB")


def save_figure(path: Path) -> None:
    plt.savefig(path, bbox_inches="tight", dpi=100)
    plt.close("all")
    print(f"figure: {path}")


def section(title: str) -> None:
    print(f"\n# {title}")


def open_backed(source: Path, folder: Path) -> lo.AnnData:
    """Working with backed AnnData objects."""
    section("Working with backed AnnData objects")
    adata = lo.read_h5ad(source, backed=False)
    adata = adata.raw.to_adata()
    print_size_in_mb(adata)

    adata.write_h5ad(folder / "pbmc3k_processed_raw.h5ad")
    adata = lo.read_h5ad(folder / "pbmc3k_processed_raw.h5ad", backed=True)
    print_size_in_mb(adata)
    print("isbacked:", adata.isbacked)
    print("filename:", adata.filename)
    return adata


def explore(adata: lo.AnnData, folder: Path) -> None:
    """Exploratory data analysis: values are read on the call, obs and obsm are free to change."""
    section("Exploratory data analysis")
    lo.pl.umap(adata, color=["louvain", "CD4"], wspace=0.6, show=False)
    save_figure(folder / "umap_louvain_CD4.png")
    lo.pl.dotplot(adata, var_names=["NKG7", "CD4", "CD3E"], groupby="louvain", show=False)
    save_figure(folder / "dotplot.png")

    lo.pp.neighbors(adata, n_neighbors=20)
    lo.tl.umap(adata)
    lo.tl.leiden(adata, resolution=0.5, key_added="leiden_res0.5")
    print(adata.obs)
    lo.pl.umap(adata, color=["louvain", "leiden_res0.5"], wspace=0.6, show=False)
    save_figure(folder / "umap_louvain_leiden.png")


def extract_subset(adata: lo.AnnData, folder: Path) -> tuple[lo.AnnData, lo.AnnData]:
    """Extract a subset: into memory, or streamed to a file of its own."""
    section("Extracting a subset of AnnData")
    in_memory = adata[adata.obs["louvain"].isin(T_CLUSTERS)].to_memory()
    print(in_memory)
    print("isbacked:", in_memory.isbacked)

    in_file = adata[adata.obs["louvain"].isin(T_CLUSTERS)].copy(
        filename=folder / "pbmc3k_processed_CD4Tcells.h5ad"
    )
    print(in_file)
    print("isbacked:", in_file.isbacked)
    return in_memory, in_file


def index_by_numbers(adata: lo.AnnData) -> object:
    """Numeric indexing of X gives a lazy array; compute() reads it."""
    section("Numeric indexing of X")
    block = adata.X[:, 0 : adata.n_vars].compute()
    print(f"{block.shape[0]} × {block.shape[1]}, {block.nnz} stored values, {block.dtype}")
    return block


def save_changes(adata: lo.AnnData, folder: Path) -> lo.AnnData:
    """Save what changed into the opened file, see it after opening again, save to another file."""
    section("Save changes made to backed AnnData")
    adata.write_h5ad()
    adata = lo.read_h5ad(folder / "pbmc3k_processed_raw.h5ad", backed=True)
    print(adata)
    adata.write_h5ad(folder / "pbmc3k_processed_newclustering.h5ad")
    return adata


def normalize_opened(adata: lo.AnnData) -> lo.AnnData:
    """Impossible thing 1: normalise the opened object. Nothing is read, the file stays as it is."""
    section("Normalise the opened object")
    normalized = adata.copy()
    lo.pp.normalize_total(normalized, target_sum=1e4)
    lo.pp.log1p(normalized)
    print("X is still lazy:", normalized.X)
    print("first row sums:", normalized[:3].X.compute().sum(axis=1))
    return normalized


def lazy_layers(adata: lo.AnnData, normalized: lo.AnnData, folder: Path) -> lo.AnnData:
    """Impossible thing 2: layers that are not loaded, as X."""
    section("Lazy layers")
    adata.layers["lognorm"] = normalized.X
    adata.write_h5ad()
    adata = lo.read_h5ad(folder / "pbmc3k_processed_raw.h5ad")
    print("a layer of the file:", adata.layers["lognorm"])
    lo.pl.umap(adata, color="CD3E", layer="lognorm", show=False)
    save_figure(folder / "umap_CD3E_lognorm.png")
    return adata


OTHER_PROCESS = """
import sys
import lazyomics as lo
adata = lo.read_h5ad(sys.argv[1], backed=True)
adata.obs["seen_by_another_process"] = True
adata.write_h5ad()
"""


def two_processes(adata: lo.AnnData) -> lo.AnnData:
    """Impossible thing 3: the file open in two processes, one of them saving."""
    section("The file open in two processes")
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(adata.filename)], check=True)
    print("read after the other saved:", int(adata.X.sum().compute()))
    adata = lo.read_h5ad(adata.filename)
    print("its column:", adata.obs["seen_by_another_process"].unique())
    return adata


def modify_x(adata: lo.AnnData, folder: Path) -> lo.AnnData:
    """Impossible thing 4: modify X. The file's X stays, unless it is told otherwise."""
    section("Modify X")
    adata.X = (adata.X > 0).astype("float32")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adata.write_h5ad()
    print(f"{caught[0].category.__name__}: {caught[0].message}")
    binary = adata.copy(filename=folder / "pbmc3k_processed_binary.h5ad")
    print("largest value in the new file:", binary.X.max().compute())
    return binary


def main(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    adata = open_backed(source, folder)
    explore(adata, folder)
    extract_subset(adata, folder)
    index_by_numbers(adata)
    adata = save_changes(adata, folder)
    normalized = normalize_opened(adata)
    adata = lazy_layers(adata, normalized, folder)
    adata = two_processes(adata)
    modify_x(adata, folder)


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(
        given[0] if given else lo.datasets.pbmc3k_processed(),
        given[1] if len(given) > 1 else Path("tutorial_output"),
    )
