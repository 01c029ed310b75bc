"""Containers: annotated matrices whose large parts stay lazy."""

from lazyomics.container.anndata import AnnData
from lazyomics.container.raw import Raw

__all__ = ["AnnData", "Raw"]
