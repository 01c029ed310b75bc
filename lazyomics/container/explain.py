"""The plan of an object: what a pass over its lazy matrices reads and holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazyomics.lazy.explain import Plan, plan_of

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["explain"]


def explain(adata: AnnData) -> Plan:
    """Say what one pass over each lazy matrix of an object costs, before anything runs.

    Parameters
    ----------
    adata
        Object, opened from a file or in memory.

    Returns
    -------
    A plan that prints itself: storage, selection, steps and blocks of X, raw.X and each lazy
    layer, the HDF5 chunks and stored bytes that one pass reads, and an estimate of its memory.
    Its fields hold the numbers.

    Notes
    -----
    Passes over X: 0. Only row pointers and the positions of chunks are read.

    Examples
    --------
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(obs={"n": [1, 2]}, var={"n": [3]})
    >>> lo.explain(adata)
    nothing is lazy: all matrices are in memory
    """
    matrices = {}
    for (place, key), x in adata._lazy_parts().items():
        name = {"X": "X", "raw": "raw.X"}.get(place, f"{place}[{key!r}]")
        if x.ndim <= 2:
            matrices[name] = x
    return plan_of(matrices)
