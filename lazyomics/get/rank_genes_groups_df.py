"""``get.rank_genes_groups_df``: marker genes as a data frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from lazyomics.container.choose import check_annotated
from lazyomics.names import choices

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["rank_genes_groups_df", "ranking_result"]


SHARES = {"pts": "pct_nz_group", "pts_rest": "pct_nz_reference"}


def rank_genes_groups_df(
    adata: AnnData,
    group: str | Iterable[str] | None,
    *,
    key: str = "rank_genes_groups",
    pval_cutoff: float | None = None,
    log2fc_min: float | None = None,
    log2fc_max: float | None = None,
    gene_symbols: str | None = None,
) -> pd.DataFrame:
    """Return what ``tl.rank_genes_groups`` found as a data frame, eagerly.

    Parameters
    ----------
    adata
        Annotated data with ranked genes.
    group
        One group or several; None for all.
    key
        Key of ``uns`` where the result is.
    pval_cutoff
        Keep genes whose corrected p-value is below.
    log2fc_min, log2fc_max
        Keep genes whose log2 fold change is above or below.
    gene_symbols
        Column of ``var`` to add.

    Returns
    -------
    DataFrame with ``names``, ``scores`` and, but for "logreg", ``logfoldchanges``, ``pvals`` and
    ``pvals_adj``; a row for each gene of a group, in the order of groups and scores. With several
    groups ``group`` comes first. Where shares were computed, ``pct_nz_group`` and
    ``pct_nz_reference`` come last.

    Raises
    ------
    KeyError
        If there is no such result, group or column.

    Notes
    -----
    Passes over X: 0. Peak memory: three times the result.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"kind": pd.Categorical(list("aabb"))}, index=list("wxyz"))
    >>> adata = lo.AnnData(np.array([[1.5, 0], [2.5, 0.5], [0, 1], [0, 2]]), obs=obs)
    >>> lo.tl.rank_genes_groups(adata, "kind")
    >>> lo.get.rank_genes_groups_df(adata, "b")["names"].tolist()
    ['1', '0']
    """
    check_annotated(adata, "get.rank_genes_groups_df")
    ranked = ranking_result(adata, key)
    known = list(ranked["names"].dtype.names)
    groups = known if group is None else [group] if isinstance(group, str) else list(group)
    unknown = [name for name in groups if name not in known]
    if unknown:
        raise KeyError(f"no genes were ranked for {unknown}; {choices(unknown, known)}")
    tested = ranked["params"]["method"] != "logreg"
    columns = ["names", "scores", *(["logfoldchanges", "pvals", "pvals_adj"] if tested else [])]
    parts = [
        pd.DataFrame({"group": name, **{c: ranked[c][name] for c in columns}}) for name in groups
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["group"] = pd.Categorical(frame["group"], categories=groups)
    if tested:
        if pval_cutoff is not None:
            frame = frame[frame["pvals_adj"] < pval_cutoff]
        if log2fc_min is not None:
            frame = frame[frame["logfoldchanges"] > log2fc_min]
        if log2fc_max is not None:
            frame = frame[frame["logfoldchanges"] < log2fc_max]
    if gene_symbols is not None:
        frame = frame.join(adata.var[gene_symbols], on="names")
    for share, column in SHARES.items():
        if share in ranked:
            long = ranked[share][groups].rename_axis(index="names").reset_index()
            long = long.melt(id_vars="names", var_name="group", value_name=column)
            frame = frame.merge(long)
    if len(groups) == 1:
        frame = frame.drop(columns="group")
    return frame.reset_index(drop=True)


def ranking_result(adata: AnnData, key: str | None = None) -> Mapping[str, Any]:
    """Result of ``tl.rank_genes_groups`` in ``uns``, by default under its usual key."""
    key = "rank_genes_groups" if key is None else key
    if key not in adata.uns:
        step = "lo.tl.rank_genes_groups"
        raise KeyError(f"adata.uns has no {key!r}; {choices(key, adata.uns, step=step)}")
    found: Mapping[str, Any] = adata.uns[key]
    return found
