"""PBMC 3k from counts to annotated clusters and their markers.

    python examples/pbmc3k.py [COUNTS.h5ad] [FOLDER]

Without a file, the counts are looked for or downloaded by ``lo.datasets.pbmc3k``. Figures, markers
(markers.csv) and the annotated file (pbmc3k_annotated.h5ad) go into FOLDER (pbmc3k_output).
docs/tutorials/pbmc3k.md goes through the steps.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import pandas as pd

import lazyomics as lo

KNOWN_MARKERS = {
    "CD4 T": {"IL7R", "LDHB", "CD3D", "LTB", "IL32"},
    "CD8 T": {"CD8A", "CD8B", "GZMK", "CCL5", "CD3D"},
    "NK": {"GNLY", "NKG7", "GZMB", "PRF1", "FGFBP2"},
    "B": {"MS4A1", "CD79A", "CD79B", "CD74", "HLA-DRA"},
    "CD14 monocytes": {"CD14", "LYZ", "S100A8", "S100A9", "FCN1"},
    "FCGR3A monocytes": {"FCGR3A", "MS4A7", "LST1", "FCER1G", "AIF1"},
    "Dendritic": {"FCER1A", "CST3", "HLA-DPA1", "HLA-DPB1", "CLEC10A"},
    "Megakaryocytes": {"PPBP", "PF4", "SDPR", "GNG11", "CLU"},
}


def main(source: Path, folder: Path) -> lo.AnnData:
    folder.mkdir(parents=True, exist_ok=True)
    adata = filtered(lo.read_h5ad(source))
    cluster(adata)
    annotate(adata)
    markers(adata).to_csv(folder / "markers.csv", index=False)
    draw(adata, folder)
    adata.write_h5ad(folder / "pbmc3k_annotated.h5ad")
    print(adata)
    print(adata.obs["cell_type"].value_counts())
    return adata


def filtered(adata: lo.AnnData) -> lo.AnnData:
    """Leave out cells with few genes, many, or much of mitochondria, and possible doublets."""
    adata.var_names_make_unique()
    adata.var["mt"] = adata.var_names.str.startswith("MT-")
    lo.pp.filter_cells(adata, min_genes=200)
    lo.pp.filter_genes(adata, min_cells=3)
    lo.pp.calculate_qc_metrics(adata, qc_vars=["mt"], percent_top=None, inplace=True)
    lo.pp.scrublet(adata)
    good = (adata.obs["n_genes_by_counts"] < 2500) & (adata.obs["pct_counts_mt"] < 5)
    return adata[good & ~adata.obs["predicted_doublet"]].copy()


def cluster(adata: lo.AnnData) -> None:
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    lo.pp.highly_variable_genes(adata, n_top_genes=2000)
    lo.pp.pca(adata, n_comps=40)
    lo.pp.neighbors(adata, n_neighbors=10)
    lo.tl.umap(adata)
    lo.tl.leiden(adata, resolution=0.9, flavor="igraph", n_iterations=2, directed=False)


def annotate(adata: lo.AnnData) -> None:
    """Name each cluster by the known markers that are most often among its own."""
    lo.tl.rank_genes_groups(adata, "leiden", method="wilcoxon", pts=True)
    overlap = lo.tl.marker_gene_overlap(adata, KNOWN_MARKERS, top_n_markers=50)
    adata.obs["cell_type"] = adata.obs["leiden"].map(overlap.idxmax()).astype("category")


def markers(adata: lo.AnnData) -> pd.DataFrame:
    """Rank the genes of each type of cells; those that two in three cells of it express."""
    lo.tl.rank_genes_groups(adata, "cell_type", method="wilcoxon", pts=True, key_added="markers")
    table = lo.get.rank_genes_groups_df(adata, None, key="markers", pval_cutoff=0.01)
    return table[table["pct_nz_group"] > 2 / 3].groupby("group", observed=True).head(20)


def draw(adata: lo.AnnData, folder: Path) -> None:
    lo.pl.umap(
        adata,
        color=["cell_type", "CST3", "NKG7", "MS4A1"],
        ncols=2,
        show=False,
        save=folder / "umap.png",
    )
    shown = {
        name: sorted(genes & set(adata.var_names))[:3] for name, genes in KNOWN_MARKERS.items()
    }
    lo.pl.dotplot(adata, shown, "cell_type", show=False, save=folder / "markers.png")


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else lo.datasets.pbmc3k(),
        Path(sys.argv[2] if len(sys.argv) > 2 else "pbmc3k_output"),
    )
