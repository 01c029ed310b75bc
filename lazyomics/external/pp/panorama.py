"""Integrate batches with Scanorama."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazyomics.container import AnnData
from lazyomics.external.pp.batches import batch_column, coordinates_of, package

__all__ = ["scanorama_integrate"]


def scanorama_integrate(
    adata: AnnData,
    key: str,
    *,
    basis: str = "X_pca",
    adjusted_basis: str = "X_scanorama",
    knn: int = 20,
    sigma: float = 15,
    approx: bool = True,
    alpha: float = 0.10,
    batch_size: int = 5000,
    **kwargs: Any,
) -> None:
    """Assemble batches along their mutual nearest neighbours, with Scanorama.

    Parameters
    ----------
    adata
        Annotated data with components in ``obsm``, the cells of a batch one after the other.
    key
        Column of ``obs`` with the batches.
    basis
        Entry of ``obsm`` to integrate.
    adjusted_basis
        Entry of ``obsm`` for the result.
    knn
        Neighbours for matching.
    sigma
        Width of the kernel that smooths corrections.
    approx
        Search neighbours approximately.
    alpha
        Least alignment score of two batches.
    batch_size
        Cells whose corrections are computed at a time.
    kwargs
        Of ``scanorama.assemble``.

    Returns
    -------
    None. Sets ``obsm[adjusted_basis]``, of the shape of ``obsm[basis]``.

    Raises
    ------
    KeyError
        If the column or the entry does not exist.
    ValueError
        If batches are missing or not contiguous, or coordinates not finite.
    MissingDependencyError
        If scanorama is not installed.

    Notes
    -----
    Passes over X: 0.

    References
    ----------
    Hie, B., Bryson, B. & Berger, B. (2019). Efficient integration of heterogeneous single-cell
    transcriptomes using Scanorama. doi:10.1038/s41587-019-0113-3
    """
    verb = "external.pp.scanorama_integrate"
    x = coordinates_of(adata, basis, verb)
    batches = batch_column(adata, key, verb).to_numpy()
    begins = np.flatnonzero(np.append(True, batches[1:] != batches[:-1]))
    names = [batches[begin] for begin in begins]
    if len(set(names)) < len(names):
        raise ValueError(f"Detected non-contiguous batches: sort the cells by obs[{key!r}] first.")
    scanorama = package("scanorama", verb=verb)
    integrated = scanorama.assemble(
        [part.copy() for part in np.split(x, begins[1:])],
        knn=knn,
        sigma=sigma,
        approx=approx,
        alpha=alpha,
        ds_names=names,
        batch_size=batch_size,
        **kwargs,
    )
    adata.obsm[adjusted_basis] = np.concatenate(integrated)
