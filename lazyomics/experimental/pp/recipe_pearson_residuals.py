"""Highly variable genes, normalisation and PCA by Pearson residuals."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lazyomics.container.choose import check_annotated
from lazyomics.experimental.pp.highly_variable_genes import highly_variable_genes
from lazyomics.experimental.pp.normalize_pearson_residuals import normalize_pearson_residuals
from lazyomics.experimental.pp.normalize_pearson_residuals_pca import (
    check_table_fits,
    take_over_components,
)
from lazyomics.pp.pca import pca

if TYPE_CHECKING:
    import pandas as pd

    from lazyomics.container import AnnData

__all__ = ["recipe_pearson_residuals"]


def recipe_pearson_residuals(
    adata: AnnData,
    *,
    theta: float = 100,
    clip: float | None = None,
    n_top_genes: int = 1000,
    batch_key: str | None = None,
    chunksize: int = 1000,
    n_comps: int | None = 50,
    random_state: float | None = 0,
    kwargs_pca: Mapping[str, Any] = MappingProxyType({}),
    check_values: bool = True,
    inplace: bool = True,
) -> tuple[AnnData, pd.DataFrame] | None:
    """Select genes, normalise them to Pearson residuals, and compute principal components.

    Parameters
    ----------
    adata
        Annotated data with counts, shape (n_obs, n_vars).
    theta, clip, n_top_genes, batch_key, chunksize, check_values
        As in ``experimental.pp.highly_variable_genes``.
    n_comps, random_state
        As in ``pp.pca``.
    kwargs_pca
        Other arguments of ``pp.pca``.
    inplace
        Write to ``adata``; if False, return the results instead.

    Returns
    -------
    None: sets what ``highly_variable_genes`` does, ``obsm["X_pca"]``, ``varm["PCs"]`` (zero for
    genes that were not selected), ``uns["pca"]``, and ``uns["pearson_residuals_normalization"]``
    with ``"theta"``, ``"clip"``, ``"computed_on"`` and ``"pearson_residuals_df"``, the residuals
    of the selected genes. X stays as it is. If not ``inplace``: an object with the selected genes,
    X of residuals (lazy) and the components; and the table of genes.

    Raises
    ------
    ValueError, KeyError
        As ``experimental.pp.highly_variable_genes`` and ``pp.pca``.
    MemoryError
        If ``pearson_residuals_df`` would not fit ``lazyomics.memory``; use ``inplace=False``.

    Notes
    -----
    Passes over X: 3, those of ``pp.pca``, and 1 for the table of residuals. Peak memory: with
    ``inplace`` that table, n_obs × n_top_genes × 8 bytes, as scanpy writes it; without, what
    ``pp.pca`` takes.

    References
    ----------
    Lause, J., Berens, P. & Kobak, D. (2021). Analytic Pearson residuals for normalization of
    single-cell RNA-seq UMI data. doi:10.1186/s13059-021-02451-7

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> counts = np.random.default_rng(0).poisson(2, size=(50, 30))
    >>> adata = lo.AnnData(counts.astype("float32"))
    >>> lo.experimental.pp.recipe_pearson_residuals(adata, n_top_genes=9, n_comps=2)
    >>> adata.obsm["X_pca"].shape
    (50, 2)
    """
    check_annotated(adata, "experimental.pp.recipe_pearson_residuals")
    if inplace:
        check_table_fits(adata.n_obs, min(n_top_genes, adata.n_vars))
    genes = highly_variable_genes(
        adata,
        theta=theta,
        clip=clip,
        n_top_genes=n_top_genes,
        batch_key=batch_key,
        chunksize=chunksize,
        check_values=check_values,
        inplace=inplace,
    )
    chosen = (adata.var if genes is None else genes)["highly_variable"].to_numpy()
    selected = adata[:, chosen].copy()
    normalize_pearson_residuals(selected, theta=theta, clip=clip, check_values=check_values)
    pca(selected, n_comps=n_comps, random_state=random_state, **kwargs_pca)
    if genes is not None:
        return selected, genes
    take_over_components(adata, selected, chosen)
    return None
