"""Matrices written dense though they are sparse, or read sparse though they are stored dense."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from lazyomics.container.deferred import is_deferred
from lazyomics.container.slots import MatrixSlot
from lazyomics.importing import import_whole
from lazyomics.lazy.kinds import is_dask_array

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["dense", "dense_places", "read_as_sparse"]


def dense(value: Any) -> Any:
    """Return a matrix that is written dense, block by block; a dense one as it is."""
    value = value.load() if is_deferred(value) else value
    graph = import_whole("lazyomics.lazy")
    is_sparse = sp.issparse(value) if not is_dask_array(value) else hasattr(value._meta, "indptr")
    return graph.map_rows(value, _step("AsDense")) if is_sparse else value


def dense_places(adata: AnnData, as_dense: str | Iterable[Any]) -> frozenset[str]:
    """Where in a file the matrices are that ``as_dense`` names.

    Parameters
    ----------
    adata
        Object that has them.
    as_dense
        ``"X"``, ``"raw/X"`` (also ``"raw.X"`` and ``("raw", "X")``), ``"layers/NAME"``.

    Raises
    ------
    ValueError
        If the object has no such matrix.
    """
    known = {"X", *(f"layers/{key}" for key in adata.layers)}
    known |= set() if adata.raw is None else {"raw/X"}
    asked = [as_dense] if isinstance(as_dense, str) else list(as_dense)
    places = frozenset(_place(name) for name in asked)
    if unknown := sorted(places - known):
        raise ValueError(f"as_dense names {unknown}; the object has {sorted(known)}")
    return places


def read_as_sparse(adata: AnnData, as_sparse: str | Iterable[Any], kind: type[Any]) -> None:
    """Hold X or raw.X of a freshly opened object sparse, lazily.

    Parameters
    ----------
    adata
        Object to change. What it holds sparse already stays so.
    as_sparse
        ``"X"``, ``"raw/X"`` (also ``"raw.X"`` and ``("raw", "X")``).
    kind
        ``scipy.sparse.csr_matrix`` or ``csc_matrix``.

    Raises
    ------
    NotImplementedError
        For other elements, or another kind.
    """
    if kind not in (sp.csr_matrix, sp.csc_matrix):
        raise NotImplementedError(f"as_sparse_fmt is csr_matrix or csc_matrix, found {kind}")
    asked = [as_sparse] if isinstance(as_sparse, str) else list(as_sparse)
    for place in map(_place, asked):
        if place == "X" and not adata._x.is_absent:
            adata._x = MatrixSlot(_sparse(adata.X, kind))
        elif place == "raw/X" and adata._raw is not None:
            adata._raw.x = MatrixSlot(_sparse(adata._raw.x.value, kind))
        elif place not in ("X", "raw/X"):
            raise NotImplementedError(f"as_sparse takes 'X' and 'raw/X', found {place!r}")


def _sparse(x: Any, kind: type[Any]) -> Any:
    if not isinstance(x._meta, np.ndarray):
        return x
    graph = import_whole("lazyomics.lazy")
    if kind is sp.csr_matrix:
        return graph.map_rows(x, _step("AsSparse"))
    return graph.map_rows(graph.transpose(x), _step("AsSparse")).T


def _step(name: str) -> Any:
    return getattr(import_whole("lazyomics.kernels.steps"), name)()


def _place(name: Any) -> str:
    return "raw/X" if name in ("raw.X", ("raw", "X")) else str(name)
