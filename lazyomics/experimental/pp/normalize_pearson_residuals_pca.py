"""Principal components of Pearson residuals."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import config
from lazyomics.container.choose import check_annotated
from lazyomics.experimental.pp.normalize_pearson_residuals import normalize_pearson_residuals
from lazyomics.pp.pca import DefaultMask, chosen_genes, pca

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = ["check_table_fits", "normalize_pearson_residuals_pca", "take_over_components"]


def normalize_pearson_residuals_pca(
    adata: AnnData,
    *,
    theta: float = 100,
    clip: float | None = None,
    n_comps: int | None = 50,
    random_state: float = 0,
    kwargs_pca: Mapping[str, Any] = MappingProxyType({}),
    mask_var: NDArray[np.bool_] | str | DefaultMask | None = DefaultMask.HIGHLY_VARIABLE,
    use_highly_variable: bool | None = None,
    check_values: bool = True,
    inplace: bool = True,
) -> AnnData | None:
    """Normalise genes to Pearson residuals and compute their principal components, eagerly.

    Parameters
    ----------
    adata
        Annotated data with counts, shape (n_obs, n_vars).
    theta, clip, check_values
        As in ``experimental.pp.normalize_pearson_residuals``.
    n_comps, random_state
        As in ``pp.pca``.
    kwargs_pca
        Other arguments of ``pp.pca``.
    mask_var
        Genes to use: boolean array of shape (n_vars,) or column of ``var``; by default
        ``var["highly_variable"]`` if it exists. None for all genes. Totals of the cells are those
        of these genes.
    use_highly_variable
        Deprecated: use ``mask_var``.
    inplace
        Write to ``adata``; if False, return the result instead.

    Returns
    -------
    None: sets ``obsm["X_pca"]``, ``varm["PCs"]`` (zero for genes not used), ``uns["pca"]``, and
    ``uns["pearson_residuals_normalization"]`` with ``"theta"``, ``"clip"``, ``"computed_on"`` and
    ``"pearson_residuals_df"``, the residuals of the genes that were used. X stays as it is. If not
    ``inplace``: an object with these genes, X of residuals (lazy unless X is in memory) and the
    components.

    Raises
    ------
    ValueError
        As ``experimental.pp.normalize_pearson_residuals`` and ``pp.pca``.
    MemoryError
        If ``pearson_residuals_df`` would not fit ``lazyomics.memory``; use ``inplace=False``.

    Notes
    -----
    Passes over X: 1, those of ``pp.pca``, and with ``inplace`` 1 for the table of residuals. Peak
    memory: with ``inplace`` that table, n_obs × 8 bytes for each gene, as scanpy writes it;
    without, what ``pp.pca`` takes: residuals are made block by block.

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
    >>> lo.experimental.pp.normalize_pearson_residuals_pca(adata, n_comps=2)
    >>> adata.obsm["X_pca"].shape
    (50, 2)
    """
    check_annotated(adata, "experimental.pp.normalize_pearson_residuals_pca")
    _, mask = chosen_genes(adata, mask_var, use_highly_variable)
    if inplace:
        check_table_fits(adata.n_obs, adata.n_vars if mask is None else int(mask.sum()))
    selected = _bare(adata, mask)
    normalize_pearson_residuals(selected, theta=theta, clip=clip, check_values=check_values)
    pca(selected, n_comps=n_comps, random_state=random_state, **kwargs_pca)
    if not inplace:
        return selected
    take_over_components(adata, selected, mask)
    return None


def _bare(adata: AnnData, mask: NDArray[np.bool_] | None) -> AnnData:
    """X of some genes with names alone, as scanpy returns it."""
    chosen = adata if mask is None else adata[:, mask]
    return type(adata)(chosen.X, obs=chosen.obs[[]].copy(), var=chosen.var[[]].copy())


def check_table_fits(n_obs: int, n_genes: int) -> None:
    """Refuse a table of residuals that is larger than the memory budget.

    Raises
    ------
    MemoryError
        That says how large it would be, and what to do.
    """
    needed, allowed = n_obs * n_genes * 8, config.memory()
    if needed > allowed:
        raise MemoryError(
            f"the table of residuals of {n_obs} cells and {n_genes} genes takes "
            f"{needed / 2**20:,.0f} MiB, and lazyomics.memory allows {allowed / 2**20:,.0f} MiB. "
            "Pass inplace=False, which returns residuals that are made when they are read, or "
            "select fewer genes."
        )


def take_over_components(adata: AnnData, selected: AnnData, mask: NDArray[np.bool_] | None) -> None:
    """Write components, and the residuals that they are of, to the object with all genes.

    Parameters
    ----------
    adata
        Gets ``obsm["X_pca"]``, ``varm["PCs"]``, ``uns["pca"]`` and
        ``uns["pearson_residuals_normalization"]``.
    selected
        The genes that were used, normalised to residuals, with components.
    mask
        Which ones they are, shape (n_vars,); None for all.
    """
    axes = np.asarray(selected.varm["PCs"])
    if mask is not None:
        spread = np.zeros((adata.n_vars, axes.shape[1]))
        spread[mask] = axes
        axes = spread
    adata.varm["PCs"] = axes
    adata.uns["pca"] = selected.uns["pca"]
    adata.uns["pearson_residuals_normalization"] = {
        **selected.uns["pearson_residuals_normalization"],
        "pearson_residuals_df": selected.to_df(),
    }
    adata.obsm["X_pca"] = selected.obsm["X_pca"]
