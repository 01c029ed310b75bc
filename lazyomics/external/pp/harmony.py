"""Integrate batches with Harmony."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazyomics.container import AnnData
from lazyomics.errors import require
from lazyomics.external.pp.batches import batch_column, coordinates_of

__all__ = ["harmony_integrate"]


def harmony_integrate(
    adata: AnnData,
    key: str | Sequence[str],
    *,
    basis: str = "X_pca",
    adjusted_basis: str = "X_pca_harmony",
    **kwargs: Any,
) -> None:
    """Adjust components so that batches lie on one another, with harmonypy.

    Parameters
    ----------
    adata
        Annotated data with components in ``obsm``.
    key
        Column of ``obs`` with the batches, or several.
    basis
        Entry of ``obsm`` to adjust.
    adjusted_basis
        Entry of ``obsm`` for the result.
    kwargs
        Of ``harmonypy.run_harmony``.

    Returns
    -------
    None. Sets ``obsm[adjusted_basis]``, of the shape of ``obsm[basis]``, in the type that harmonypy
    gives.

    Raises
    ------
    KeyError
        If the column or the entry does not exist.
    ValueError
        If batches are missing, or coordinates not finite.
    MissingDependencyError
        If harmonypy is not installed: ``pip install 'lazyomics[integration]'``.

    Notes
    -----
    Passes over X: 0. Peak memory: a few copies of the components.

    The result of harmonypy 2 has a row for each cell; scanpy 1.12 and older transpose it, as that
    of harmonypy 0.2 and older had a column for each, and so fail with it.

    References
    ----------
    Korsunsky, I. et al. (2019). Fast, sensitive and accurate integration of single-cell data with
    Harmony. doi:10.1038/s41592-019-0619-0
    """
    verb = "external.pp.harmony_integrate"
    x = coordinates_of(adata, basis, verb).astype(np.float64)
    for name in [key] if isinstance(key, str) else key:
        batch_column(adata, name, verb)
    harmonypy = require("harmonypy", extra="integration", purpose=verb)
    names = key if isinstance(key, str) else list(key)
    found = np.asarray(harmonypy.run_harmony(x, adata.obs, names, **kwargs).Z_corr)
    adata.obsm[adjusted_basis] = found if found.shape == x.shape else found.T
