"""Heat maps with trees of cells and genes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.errors import require
from lazyomics.pl.coloring import category_colors
from lazyomics.pl.figure import Save, finish
from lazyomics.pl.values import as_categories, choose_raw, gene_frame

__all__ = ["clustermap"]


def clustermap(
    adata: AnnData,
    obs_keys: str | None = None,
    *,
    use_raw: bool | None = None,
    show: bool | None = None,
    save: Save = None,
    **kwds: Any,
) -> Any:
    """Values of all genes in all cells as colours, ordered by hierarchical clustering.

    Parameters
    ----------
    adata
        What to plot; select cells and genes first.
    obs_keys
        Column of ``obs`` with categories, whose colours are shown beside the cells.
    use_raw
        Whether genes come from ``raw``; by default if there is one.
    show, save
        See :mod:`lazyomics.pl`.
    **kwds
        Passed to :func:`seaborn.clustermap`.

    Returns
    -------
    The :class:`seaborn.matrix.ClusterGrid`, or None if the figure was shown. Sets
    ``uns[f"{obs_keys}_colors"]`` if it is missing.

    Raises
    ------
    KeyError
        If ``obs_keys`` is no column of ``obs``.
    MissingDependencyError
        If seaborn is not installed (extra ``seaborn``).
    TypeError
        If ``adata`` is no AnnData, or ``obs_keys`` holds numbers.
    ValueError
        If ``obs_keys`` is not one name.

    Notes
    -----
    Passes over X: 1. Peak memory: n_obs × n_vars values, about twice, and 8 bytes for each pair of
    cells and each pair of genes: seaborn clusters in memory.
    """
    check_annotated(adata, "pl.clustermap")
    if obs_keys is not None and not isinstance(obs_keys, str):
        raise ValueError(f"obs_keys={obs_keys!r}: expected the name of one column of obs")
    groups = None if obs_keys is None else _groups(adata, obs_keys)
    seaborn = require("seaborn", extra="seaborn", purpose="pl.clustermap")
    use_raw = choose_raw(adata, use_raw, None)
    raw = adata.raw if use_raw else None
    names = list((adata if raw is None else raw).var_names)
    frame = gene_frame(adata, names, layer=None, use_raw=use_raw)
    if obs_keys is not None and groups is not None:
        colors = category_colors(adata, obs_keys, groups.categories)
        kwds = {"row_colors": [colors.get(group, "white") for group in groups], **kwds}
    grid = seaborn.clustermap(frame, **kwds)
    return finish(grid.figure, grid, name="clustermap", show=show, save=save, owned=True)


def _groups(adata: AnnData, key: str) -> pd.Categorical:
    if key not in adata.obs.columns:
        raise KeyError(f"obs_keys={key!r} is not in obs: {list(adata.obs.columns)}")
    groups = as_categories(adata.obs[key])
    if groups is None:
        raise TypeError(f"obs[{key!r}] is numeric, but obs_keys takes categories or text")
    return groups
