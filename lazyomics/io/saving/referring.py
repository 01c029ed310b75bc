"""Let an object refer to its file as it is after a save."""

from __future__ import annotations

from lazyomics.container.anndata import AnnData
from lazyomics.container.mappings import AlignedMapping
from lazyomics.errors import StaleFileError
from lazyomics.graph.kinds import is_dask_array

__all__ = ["point_to_file"]


def point_to_file(adata: AnnData, opened: AnnData, *, with_matrices: bool) -> None:
    """Let everything lazy refer to the file as it is now; what is in memory stays in memory.

    A changed X that was not written stays as it was changed, unless ``with_matrices``.
    """
    if opened.shape != adata.shape:
        raise StaleFileError(f"{adata.filename} was replaced while it was saved; open it again")
    for mine, theirs in zip(adata._mappings(), opened._mappings(), strict=True):
        _refresh(mine, theirs)
    if with_matrices:
        _refresh_matrices(adata, opened)
    adata._backing = opened._backing


def _refresh_matrices(adata: AnnData, opened: AnnData) -> None:
    if not adata._x.is_in_memory:
        adata._x = opened._x
    if adata._raw is not None and opened._raw is not None and not adata._raw.x.is_in_memory:
        adata._raw.x = opened._raw.x
        if not adata._raw.var.is_loaded:
            adata._raw.var.refer_to(opened._raw.var)
        _refresh(adata._raw.varm, opened._raw.varm)
    for mine, theirs in ((adata._obs, opened._obs), (adata._var, opened._var)):
        if not mine.is_loaded:
            mine.refer_to(theirs)
    stored = {k: v for k, v in opened._uns.stored().items() if k in adata._uns}
    adata._uns._values.update(
        {k: v for k, v in stored.items() if hasattr(adata._uns.stored()[k], "load")}
    )


def _refresh(mine: AlignedMapping, theirs: AlignedMapping) -> None:
    for key, value in mine.stored().items():
        lazy = is_dask_array(value) or hasattr(value, "load")
        if lazy and key in theirs:
            mine._values[key] = theirs.stored()[key]
