"""Tools: embedding, clustering, and trees of groups.

Each function imports the heavy package it needs when it is called.
"""

from __future__ import annotations

from lazyomics.pp.pca import pca
from lazyomics.tl.dendrogram import dendrogram
from lazyomics.tl.leiden import leiden
from lazyomics.tl.lsi import lsi
from lazyomics.tl.umap import umap

__all__ = ["dendrogram", "leiden", "lsi", "pca", "umap"]


def __dir__() -> list[str]:
    return sorted(__all__)
