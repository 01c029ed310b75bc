"""Tools: embedding, clustering, trees of groups, marker genes, and scores of gene sets.

Each function imports the heavy package it needs when it is called.
"""

from __future__ import annotations

from typing import NoReturn

from lazyomics.missing import missing
from lazyomics.pp.pca import pca
from lazyomics.tl.dendrogram import dendrogram
from lazyomics.tl.diffmap import diffmap
from lazyomics.tl.dpt import dpt
from lazyomics.tl.draw_graph import draw_graph
from lazyomics.tl.embedding_density import embedding_density
from lazyomics.tl.filter_rank_genes_groups import filter_rank_genes_groups
from lazyomics.tl.ingest_new_cells import Ingest, ingest
from lazyomics.tl.leiden import leiden
from lazyomics.tl.louvain import louvain
from lazyomics.tl.lsi import lsi
from lazyomics.tl.marker_gene_overlap import marker_gene_overlap
from lazyomics.tl.mofa import mofa
from lazyomics.tl.paga import paga
from lazyomics.tl.paga_measures import (
    paga_compare_paths,
    paga_degrees,
    paga_expression_entropies,
)
from lazyomics.tl.rank_genes_groups import rank_genes_groups
from lazyomics.tl.score_genes import score_genes
from lazyomics.tl.score_genes_cell_cycle import score_genes_cell_cycle
from lazyomics.tl.tsne import tsne
from lazyomics.tl.umap import umap

__all__ = [
    "Ingest",
    "dendrogram",
    "diffmap",
    "dpt",
    "draw_graph",
    "embedding_density",
    "filter_rank_genes_groups",
    "ingest",
    "leiden",
    "louvain",
    "lsi",
    "marker_gene_overlap",
    "mofa",
    "paga",
    "paga_compare_paths",
    "paga_degrees",
    "paga_expression_entropies",
    "pca",
    "rank_genes_groups",
    "score_genes",
    "score_genes_cell_cycle",
    "tsne",
    "umap",
]


def __getattr__(name: str) -> NoReturn:
    raise missing("tl", name)


def __dir__() -> list[str]:
    return sorted(__all__)
