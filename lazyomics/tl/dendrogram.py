"""``tl.dendrogram``: a tree of the groups of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.get.group_stats import as_names, cell_groups, group_stats
from lazyomics.names import choices
from lazyomics.pp.representation import as_dense, choose_representation

__all__ = ["dendrogram"]

COR_METHODS = ("pearson", "kendall", "spearman")
LINKAGE_METHODS = ("single", "complete", "average", "weighted", "centroid", "median", "ward")


def dendrogram(
    adata: AnnData,
    groupby: str | Sequence[str],
    *,
    n_pcs: int | None = None,
    use_rep: str | None = None,
    var_names: Sequence[str] | None = None,
    use_raw: bool | None = None,
    cor_method: str = "pearson",
    linkage_method: str = "complete",
    optimal_ordering: bool = False,
    key_added: str | None = None,
    inplace: bool = True,
) -> dict[str, Any] | None:
    """Cluster groups of cells hierarchically by the correlation of their means, eagerly.

    Parameters
    ----------
    adata
        Annotated matrix, ``n_obs`` × ``n_vars``.
    groupby
        One categorical obs column or several, joined by ``"_"``.
    n_pcs
        Use only the first ``n_pcs`` columns of the representation.
    use_rep
        ``"X"`` or a key of ``adata.obsm``. By default ``X_pca``, or X where ``n_vars`` ≤ 50.
    var_names
        Genes whose means are used instead of a representation.
    use_raw
        With ``var_names``: read them from ``adata.raw``; by default if it is there.
    cor_method
        ``"pearson"``, ``"kendall"`` or ``"spearman"``.
    linkage_method
        As :func:`scipy.cluster.hierarchy.linkage` takes it.
    optimal_ordering
        Order the leaves so that neighbours are as close as possible.
    key_added
        Key in ``uns``; by default ``"dendrogram_" + groupby``.
    inplace
        False returns the result instead of setting it.

    Returns
    -------
    None or dict
        Sets ``adata.uns[key_added]`` with ``linkage`` (float, (n_groups - 1, 4)), ``groupby``,
        ``use_rep``, ``cor_method``, ``linkage_method``, ``categories_ordered``,
        ``categories_idx_ordered``, ``dendrogram_info`` and ``correlation_matrix`` (float,
        (n_groups, n_groups)).

    Raises
    ------
    ValueError
        If a column is missing or not categorical, or fewer than two groups have cells.
    KeyError
        If a gene is unknown.

    Notes
    -----
    Groups without cells are left out. scanpy reads all genes when ``var_names`` is given; here
    exactly these are used, as documented by both. Passes over X: 0 with an obsm representation,
    1 with ``var_names`` (these columns only) or where X is the representation. Peak memory: the
    representation, or 16 bytes × n_groups × n_genes for each block in flight.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"kind": pd.Categorical(list("aabbcc"))}, index=list("uvwxyz"))
    >>> x = np.array([[1.0, 2, 3], [1, 2, 4], [9, 1, 0], [9, 2, 0], [1, 3, 4], [1, 2, 5]])
    >>> adata = lo.AnnData(x, obs=obs)
    >>> lo.tl.dendrogram(adata, "kind")
    >>> adata.uns["dendrogram_kind"]["categories_ordered"]
    ['b', 'a', 'c']
    """
    check_annotated(adata, "tl.dendrogram")
    columns = as_names(groupby)
    _check(adata.obs, columns)
    if cor_method not in COR_METHODS:
        raise ValueError(f"cor_method must be one of {COR_METHODS}, found {cor_method!r}")
    if linkage_method not in LINKAGE_METHODS:
        raise ValueError(
            f"linkage_method must be one of {LINKAGE_METHODS}, found {linkage_method!r}"
        )
    if var_names is None:
        means = _representation_means(adata, columns, use_rep=use_rep, n_pcs=n_pcs)
    else:
        genes = as_names(var_names)
        means, _ = group_stats(adata, genes, columns, use_raw=use_raw)
    if len(means) < 2:
        raise ValueError(f"a dendrogram needs at least 2 groups with cells, found {len(means)}")
    result = {
        "groupby": columns,
        "use_rep": use_rep,
        **_tree(means, cor_method, linkage_method, optimal_ordering=optimal_ordering),
    }
    if not inplace:
        return result
    adata.uns[f"dendrogram_{'_'.join(columns)}" if key_added is None else key_added] = result
    return None


def _check(obs: pd.DataFrame, columns: list[str]) -> None:
    for name in columns:
        if name not in obs:
            raise ValueError(
                f"groupby={name!r} is not a column of adata.obs; {choices(name, obs.columns)}"
            )
        if not isinstance(obs[name].dtype, pd.CategoricalDtype):
            raise ValueError(
                f"groupby={name!r} must be categorical, found {obs[name].dtype}. Convert it: "
                f"adata.obs[{name!r}] = adata.obs[{name!r}].astype('category')"
            )


def _representation_means(
    adata: AnnData, columns: list[str], *, use_rep: str | None, n_pcs: int | None
) -> pd.DataFrame:
    x = as_dense(choose_representation(adata, use_rep=use_rep, n_pcs=n_pcs))
    x = x.astype(np.float64) if x.dtype == np.longdouble else x  # which pandas has no means of
    groups = cell_groups(adata.obs, columns)
    if len(columns) > 1:  # scanpy orders joined groups by name here
        groups = groups.reorder_categories(sorted(groups.categories))
    index = pd.CategoricalIndex(groups)
    means: pd.DataFrame = pd.DataFrame(x).groupby(index, observed=True).mean()
    return means


def _tree(
    means: pd.DataFrame, cor_method: str, linkage_method: str, *, optimal_ordering: bool
) -> dict[str, Any]:
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    correlation = means.T.corr(method=cor_method).clip(-1, 1).to_numpy()  # type: ignore[arg-type]
    linkage = hierarchy.linkage(
        squareform(1 - correlation),
        method=linkage_method,
        optimal_ordering=optimal_ordering,
    )
    info = hierarchy.dendrogram(linkage, labels=list(means.index), no_plot=True)
    return {
        "linkage": linkage,
        "cor_method": cor_method,
        "linkage_method": linkage_method,
        "categories_ordered": info["ivl"],
        "categories_idx_ordered": info["leaves"],
        "dendrogram_info": info,
        "correlation_matrix": np.asarray(correlation),
    }
