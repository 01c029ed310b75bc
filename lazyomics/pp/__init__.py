"""Preprocessing: quality control, normalisation, feature selection, PCA and neighbours.

Verbs have scanpy's names, parameters and result keys. Matrix-sized results stay lazy; what has
the size of ``obs`` or ``var`` is computed at once.
"""

from __future__ import annotations

from lazyomics.pp.binarize import binarize
from lazyomics.pp.clr import clr
from lazyomics.pp.filter import filter_cells, filter_genes
from lazyomics.pp.hvg import highly_variable_genes
from lazyomics.pp.log1p import log1p
from lazyomics.pp.neighbors import neighbors
from lazyomics.pp.normalize import normalize_total
from lazyomics.pp.pca import pca
from lazyomics.pp.qc import calculate_qc_metrics
from lazyomics.pp.scale import scale
from lazyomics.pp.tfidf import tfidf

__all__ = [
    "binarize",
    "calculate_qc_metrics",
    "clr",
    "filter_cells",
    "filter_genes",
    "highly_variable_genes",
    "log1p",
    "neighbors",
    "normalize_total",
    "pca",
    "scale",
    "tfidf",
]


def __dir__() -> list[str]:
    return sorted(__all__)
