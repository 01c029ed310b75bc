"""Marker genes that are expressed inside of their group and not outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container.choose import check_annotated, get_matrix
from lazyomics.get.rank_genes_groups_df import ranking_result
from lazyomics.kernels.group_sums import group_sums
from lazyomics.names import choices

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["filter_rank_genes_groups"]


def filter_rank_genes_groups(
    adata: AnnData,
    *,
    key: str | None = None,
    groupby: str | None = None,
    use_raw: bool | None = None,
    key_added: str = "rank_genes_groups_filtered",
    min_in_group_fraction: float = 0.25,
    min_fold_change: float = 1,
    max_out_group_fraction: float = 0.5,
    compare_abs: bool = False,
) -> None:
    """Replace ranked genes that do not mark their group by NaN, eagerly.

    Parameters
    ----------
    adata
        Annotated data with ranked genes, shape (n_obs, n_vars).
    key
        Key of ``uns`` where they are, ``"rank_genes_groups"`` by default.
    groupby
        Column of ``obs``; that of the ranking by default.
    use_raw
        Take shares and means from ``adata.raw``; as for the ranking by default.
    key_added
        Key of ``uns`` for the result.
    min_in_group_fraction
        A gene is kept if more than this share of the cells of its group express it,
    min_fold_change
        if its log2 fold change is greater,
    max_out_group_fraction
        and if less than this share of the other cells express it.
    compare_abs
        Compare the absolute fold change.

    Returns
    -------
    None. Sets ``uns[key_added]``: a copy of the ranking whose ``names`` are NaN where a gene is
    filtered out.

    Raises
    ------
    KeyError
        If there is no ranking, or a gene is unknown.
    ValueError
        If raw is asked for and not there.

    Notes
    -----
    Passes over X: 0 where the ranking has fold changes and the shares of both sides; else 1 for all
    groups, of the ranked genes only. Peak memory: the blocks in flight and
    some 60 bytes × n_groups × genes.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"kind": pd.Categorical(list("aabb"))}, index=list("wxyz"))
    >>> adata = lo.AnnData(np.array([[1.5, 0], [2.5, 0.5], [0, 1], [0, 2]]), obs=obs)
    >>> lo.tl.rank_genes_groups(adata, "kind")
    >>> lo.tl.filter_rank_genes_groups(adata)
    >>> adata.uns["rank_genes_groups_filtered"]["names"]["a"].tolist()
    ['0', nan]
    """
    check_annotated(adata, "tl.filter_rank_genes_groups")
    key = "rank_genes_groups" if key is None else key
    ranked = ranking_result(adata, key)
    params = ranked["params"]
    groupby = params["groupby"] if groupby is None else groupby
    use_raw = params["use_raw"] if use_raw is None else use_raw
    same = (
        params["groupby"] == groupby
        and params["reference"] == "rest"
        and params["use_raw"] == use_raw
    )
    use_changes = same and "logfoldchanges" in ranked
    use_shares = same and "pts_rest" in ranked
    names = pd.DataFrame(ranked["names"])
    read = None
    if not use_changes or not use_shares:
        read = _Read(adata, groupby, names, use_raw=bool(use_raw))
    kept = pd.DataFrame(False, index=names.index, columns=names.columns)
    for group in names.columns:
        genes = names[group].to_numpy()
        if use_shares:
            inside, outside = (
                ranked[share][group].loc[genes].to_numpy() for share in ("pts", "pts_rest")
            )
        else:
            assert read is not None
            inside, outside = read.shares(group, genes)
        if use_changes:
            change = ranked["logfoldchanges"][group]
        else:
            assert read is not None
            change = read.fold_changes(group, genes)
        change = np.abs(change) if compare_abs else change
        kept[group] = (
            (inside > min_in_group_fraction)
            & (outside < max_out_group_fraction)
            & (change > min_fold_change)
        )
    result = dict(ranked)
    result["names"] = names[kept].to_records(index=False)
    adata.uns[key_added] = result


class _Read:
    """Shares and means of the ranked genes inside and outside of each group, from one pass."""

    def __init__(self, adata: AnnData, groupby: str, names: pd.DataFrame, *, use_raw: bool) -> None:
        known = adata.var_names
        if use_raw:
            if adata.raw is None:
                raise ValueError("use_raw=True, but the object has no raw")
            known = adata.raw.var_names
        self.genes = pd.Index(pd.unique(names.to_numpy().ravel()))
        at = known.get_indexer(self.genes)
        if (at < 0).any():
            unknown = self.genes[at < 0].tolist()[:5]
            raise KeyError(f"genes {unknown} are not in var_names; {choices(unknown, known)}")
        labels = pd.Categorical(adata.obs[groupby].astype("category"))
        groups = [str(name) for name in labels.categories]
        self.rows = {name: k for k, name in enumerate(groups)}
        codes = np.where(labels.codes < 0, len(groups), labels.codes).astype(np.int64)
        x = get_matrix(adata, use_raw=use_raw)[:, at]
        folded = lazy.fold_rows(x, group_sums, rows=(codes,), n_groups=len(groups) + 1)
        (state,) = lazy.compute(folded)
        state = state.whole()
        self.cells, self.sums, self.nonzero = state.n, state.sums(), state.nonzero()
        base = adata.uns.get("log1p", {}).get("base")
        self.scale = 1.0 if base is None else np.log(base)

    def _both(
        self, values: NDArray[Any], group: str, genes: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        row, at = self.rows[group], self.genes.get_indexer(pd.Index(genes))
        mine, others = values[row, at], np.delete(values, row, axis=0).sum(axis=0)[at]
        with np.errstate(invalid="ignore", divide="ignore"):
            return mine / self.cells[row], others / (self.cells.sum() - self.cells[row])

    def shares(self, group: str, genes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        return self._both(self.nonzero, group, genes)

    def fold_changes(self, group: str, genes: NDArray[Any]) -> NDArray[np.float64]:
        inside, outside = (
            np.expm1(mean * self.scale) for mean in self._both(self.sums, group, genes)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.log2((inside + 1e-9) / (outside + 1e-9)))
