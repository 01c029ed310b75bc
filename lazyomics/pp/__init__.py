"""Preprocessing: quality control, normalisation, corrections, feature selection, PCA, neighbours.

Verbs have scanpy's names, parameters and result keys. Matrix-sized results stay lazy; what has
the size of ``obs`` or ``var`` is computed at once.
"""

from __future__ import annotations

from typing import NoReturn

from lazyomics.missing import missing
from lazyomics.pp.binarize import binarize
from lazyomics.pp.clr import clr
from lazyomics.pp.combat import combat
from lazyomics.pp.downsample_counts import downsample_counts
from lazyomics.pp.filter import filter_cells, filter_genes
from lazyomics.pp.filter_axis import filter_obs, filter_var, intersect_obs
from lazyomics.pp.filter_genes_dispersion import filter_genes_dispersion
from lazyomics.pp.hvg import highly_variable_genes
from lazyomics.pp.log1p import log1p
from lazyomics.pp.neighbors import neighbors
from lazyomics.pp.normalize import normalize_total
from lazyomics.pp.normalize_per_cell import normalize_per_cell
from lazyomics.pp.pca import pca
from lazyomics.pp.qc import calculate_qc_metrics
from lazyomics.pp.recipes import recipe_seurat, recipe_weinreb17, recipe_zheng17
from lazyomics.pp.regress_out import regress_out
from lazyomics.pp.sample import sample
from lazyomics.pp.sample_obs import sample_obs
from lazyomics.pp.scale import scale
from lazyomics.pp.scrublet import scrublet
from lazyomics.pp.scrublet_simulate_doublets import scrublet_simulate_doublets
from lazyomics.pp.sqrt import sqrt
from lazyomics.pp.subsample import subsample
from lazyomics.pp.tfidf import tfidf

__all__ = [
    "binarize",
    "calculate_qc_metrics",
    "clr",
    "combat",
    "downsample_counts",
    "filter_cells",
    "filter_genes",
    "filter_genes_dispersion",
    "filter_obs",
    "filter_var",
    "highly_variable_genes",
    "intersect_obs",
    "log1p",
    "neighbors",
    "normalize_per_cell",
    "normalize_total",
    "pca",
    "recipe_seurat",
    "recipe_weinreb17",
    "recipe_zheng17",
    "regress_out",
    "sample",
    "sample_obs",
    "scale",
    "scrublet",
    "scrublet_simulate_doublets",
    "sqrt",
    "subsample",
    "tfidf",
]


def __getattr__(name: str) -> NoReturn:
    raise missing("pp", name)


def __dir__() -> list[str]:
    return sorted(__all__)
