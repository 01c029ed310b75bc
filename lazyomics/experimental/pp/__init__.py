"""Preprocessing by analytic Pearson residuals."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.experimental.pp.highly_variable_genes import highly_variable_genes
from lazyomics.experimental.pp.normalize_pearson_residuals import normalize_pearson_residuals
from lazyomics.experimental.pp.normalize_pearson_residuals_pca import (
    normalize_pearson_residuals_pca,
)
from lazyomics.experimental.pp.recipe_pearson_residuals import recipe_pearson_residuals
from lazyomics.missing import missing

__all__ = [
    "highly_variable_genes",
    "normalize_pearson_residuals",
    "normalize_pearson_residuals_pca",
    "recipe_pearson_residuals",
]


def __getattr__(name: str) -> NoReturn:
    raise missing("experimental.pp", name)


def __dir__() -> list[str]:
    return sorted(__all__)
