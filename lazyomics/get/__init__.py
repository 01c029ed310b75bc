"""Values of cells, genes and groups as data frames and objects, read in one pass."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.get.aggregate import aggregate
from lazyomics.get.group_stats import group_stats
from lazyomics.get.obs_df import obs_df
from lazyomics.get.rank_genes_groups_df import rank_genes_groups_df
from lazyomics.get.var_df import var_df
from lazyomics.missing import missing

__all__ = ["aggregate", "group_stats", "obs_df", "rank_genes_groups_df", "var_df"]


def __getattr__(name: str) -> NoReturn:
    raise missing("get", name)


def __dir__() -> list[str]:
    return sorted(__all__)
