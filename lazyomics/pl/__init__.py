"""Plots, with scanpy's names, parameters and look.

Gene values are read from disk when a plot asks for them: all genes of a call in one pass.
Matplotlib is imported when the first plotting function is used.

Every function takes ``show`` and ``save``:

``show``
    ``None`` (default) shows the figure where the matplotlib backend can (a window, a notebook) and
    otherwise returns the axes; ``True`` always calls :func:`matplotlib.pyplot.show`; ``False``
    never does and returns the axes.
``save``
    ``True`` writes ``figures/<name>.pdf``; a text such as ``"_cd4.png"`` is appended to the name
    (``figures/umap_cd4.png``). A :class:`~pathlib.Path`, or a text with a directory in it
    (``"out/umap.png"``), is taken as the file to write. The folder and the default format are
    in :data:`lazyomics.settings`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lazyomics.errors import require
from lazyomics.missing import missing
from lazyomics.options import settings

if TYPE_CHECKING:
    from lazyomics.pl.cluster_maps import clustermap
    from lazyomics.pl.correlation_matrices import correlation_matrix
    from lazyomics.pl.dendrograms import dendrogram
    from lazyomics.pl.densities import embedding_density
    from lazyomics.pl.dotplots import DotPlot, dotplot
    from lazyomics.pl.embeddings import diffmap, draw_graph, embedding, mofa, pca, tsne, umap
    from lazyomics.pl.embeddings import pca as pca_scatter
    from lazyomics.pl.figure import set_figure_params, set_rcParams_defaults, set_rcParams_scanpy
    from lazyomics.pl.gene_dispersions import filter_genes_dispersion, highly_variable_genes
    from lazyomics.pl.heatmaps import heatmap, tracksplot
    from lazyomics.pl.highest_genes import highest_expr_genes
    from lazyomics.pl.histograms import histogram
    from lazyomics.pl.loadings import mofa_loadings, pca_loadings, pca_overview, ranking
    from lazyomics.pl.marker_plots import (
        rank_genes_groups_dotplot,
        rank_genes_groups_heatmap,
        rank_genes_groups_matrixplot,
        rank_genes_groups_stacked_violin,
        rank_genes_groups_tracksplot,
    )
    from lazyomics.pl.matrixplots import MatrixPlot, matrixplot
    from lazyomics.pl.paga_adjacencies import paga_adjacency
    from lazyomics.pl.paga_compared import paga_compare
    from lazyomics.pl.paga_graph import paga
    from lazyomics.pl.paga_paths import paga_path
    from lazyomics.pl.pseudotime_series import dpt_groups_pseudotime, dpt_timeseries
    from lazyomics.pl.rankings import rank_genes_groups, rank_genes_groups_violin
    from lazyomics.pl.scatters import scatter
    from lazyomics.pl.score_distribution import scrublet_score_distribution
    from lazyomics.pl.spatial_plots import spatial
    from lazyomics.pl.stacked_violins import StackedViolin, stacked_violin
    from lazyomics.pl.variance_ratio import pca_variance_ratio
    from lazyomics.pl.violins import violin

__all__ = [
    "DotPlot",
    "MatrixPlot",
    "StackedViolin",
    "clustermap",
    "correlation_matrix",
    "dendrogram",
    "diffmap",
    "dotplot",
    "dpt_groups_pseudotime",
    "dpt_timeseries",
    "draw_graph",
    "embedding",
    "embedding_density",
    "filter_genes_dispersion",
    "heatmap",
    "highest_expr_genes",
    "highly_variable_genes",
    "histogram",
    "matrixplot",
    "mofa",
    "mofa_loadings",
    "paga",
    "paga_adjacency",
    "paga_compare",
    "paga_path",
    "pca",
    "pca_loadings",
    "pca_overview",
    "pca_scatter",
    "pca_variance_ratio",
    "rank_genes_groups",
    "rank_genes_groups_dotplot",
    "rank_genes_groups_heatmap",
    "rank_genes_groups_matrixplot",
    "rank_genes_groups_stacked_violin",
    "rank_genes_groups_tracksplot",
    "rank_genes_groups_violin",
    "ranking",
    "scatter",
    "scrublet_score_distribution",
    "set_figure_params",
    "set_rcParams_defaults",
    "set_rcParams_scanpy",
    "settings",
    "spatial",
    "stacked_violin",
    "tracksplot",
    "tsne",
    "umap",
    "violin",
]

# No module is called like a function in it: importing the module would hide the function.
_MODULES = {
    "DotPlot": "dotplots",
    "MatrixPlot": "matrixplots",
    "StackedViolin": "stacked_violins",
    "clustermap": "cluster_maps",
    "correlation_matrix": "correlation_matrices",
    "dendrogram": "dendrograms",
    "diffmap": "embeddings",
    "dotplot": "dotplots",
    "dpt_groups_pseudotime": "pseudotime_series",
    "dpt_timeseries": "pseudotime_series",
    "draw_graph": "embeddings",
    "embedding": "embeddings",
    "embedding_density": "densities",
    "filter_genes_dispersion": "gene_dispersions",
    "heatmap": "heatmaps",
    "highest_expr_genes": "highest_genes",
    "highly_variable_genes": "gene_dispersions",
    "histogram": "histograms",
    "matrixplot": "matrixplots",
    "mofa": "embeddings",
    "mofa_loadings": "loadings",
    "paga": "paga_graph",
    "paga_adjacency": "paga_adjacencies",
    "paga_compare": "paga_compared",
    "paga_path": "paga_paths",
    "pca": "embeddings",
    "pca_loadings": "loadings",
    "pca_overview": "loadings",
    "pca_scatter": "embeddings",
    "pca_variance_ratio": "variance_ratio",
    "rank_genes_groups": "rankings",
    "rank_genes_groups_dotplot": "marker_plots",
    "rank_genes_groups_heatmap": "marker_plots",
    "rank_genes_groups_matrixplot": "marker_plots",
    "rank_genes_groups_stacked_violin": "marker_plots",
    "rank_genes_groups_tracksplot": "marker_plots",
    "rank_genes_groups_violin": "rankings",
    "ranking": "loadings",
    "scatter": "scatters",
    "scrublet_score_distribution": "score_distribution",
    "set_figure_params": "figure",
    "set_rcParams_defaults": "figure",
    "set_rcParams_scanpy": "figure",
    "spatial": "spatial_plots",
    "stacked_violin": "stacked_violins",
    "tracksplot": "heatmaps",
    "tsne": "embeddings",
    "umap": "embeddings",
    "violin": "violins",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise missing("pl", name)
    require("matplotlib", extra="plot", purpose=f"pl.{name}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
