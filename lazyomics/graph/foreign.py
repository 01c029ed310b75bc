"""Dask arrays of others: every block is looked at before anything trusts what they declare."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
import scipy.sparse as sp
import sparse
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from lazyomics.errors import ShapeError
from lazyomics.graph.block_array import BlockArray
from lazyomics.kernels.block import CSCBlock, CSRBlock, SparseBlock
from lazyomics.kernels.foreign_blocks import BlockKind, checked_block

__all__ = ["known_blocks"]


def known_blocks(x: da.Array, where: str = "the matrix") -> BlockArray:
    """Return a dask array with blocks that kernels take. Reads nothing.

    Parameters
    ----------
    x
        Any dask array. Blocks of scipy's formats and of the sparse library become sparse blocks,
        ``numpy.matrix`` plain arrays.
    where
        What it is, for messages.

    Returns
    -------
    The array itself where its blocks come from here, else one that brings each block to the form,
    shape and type that the array declares, when it is computed.

    Raises
    ------
    ShapeError
        If its chunks have unknown sizes.
    TypeError
        If its blocks are of a kind that has no such form.
    """
    return x if isinstance(x, BlockArray) else _checked(x, where)


@dataclass(frozen=True)
class _Declared:
    """What an array says of its blocks."""

    where: str
    dtype: np.dtype[Any]
    kind: BlockKind


def _checked(x: da.Array, where: str) -> BlockArray:
    if any(np.isnan(size) for sizes in x.chunks for size in sizes):
        raise ShapeError(
            f"{where}: a dask array whose chunks have unknown sizes, found shape {x.shape}; call "
            "compute_chunk_sizes() on it first"
        )
    kind = _kind(x, where)
    dtype = np.dtype(x.dtype).newbyteorder("=")
    declared = _Declared(where, dtype, kind)
    name = f"blocks-{tokenize(x.name, declared.where)}"
    layer: dict[Any, Any] = {f"declared-{name}": declared}
    for at in product(*(range(n) for n in x.numblocks)):
        shape = tuple(int(sizes[k]) for sizes, k in zip(x.chunks, at, strict=True))
        layer[(name, *at)] = (_check, f"declared-{name}", (x.name, *at), _Place(at, shape))
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[x])
    return BlockArray(graph, name, x.chunks, meta=_empty(kind, dtype, x.ndim))


@dataclass(frozen=True)
class _Place:
    """Where a block is, and how large, as a plain graph value."""

    at: tuple[int, ...]
    shape: tuple[int, ...]


def _check(declared: _Declared, block: Any, place: _Place) -> Any:
    try:
        return checked_block(block, place.shape, declared.dtype, declared.kind)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ShapeError
        raise kind(
            f"{declared.where}: block {place.at} of the dask array is not what it declares: "
            f"{error}. Give map_blocks or from_delayed the right dtype=, meta= and shape"
        ) from error


def _kind(x: da.Array, where: str) -> BlockKind:
    """In which form the blocks of an array are held."""
    meta = x._meta
    if isinstance(meta, np.ma.MaskedArray):
        raise TypeError(
            f"{where}: a dask array of masked arrays, whose masks would be lost; fill them first: "
            "dask.array.ma.filled(x, 0) or another value"
        )
    if isinstance(meta, np.ndarray | np.generic):
        return "dense"
    found = f"{type(meta).__module__.partition('.')[0]}.{type(meta).__name__}"
    if not isinstance(meta, sparse.SparseArray) and not sp.issparse(meta):
        raise TypeError(
            f"{where}: a dask array of {found}, expected blocks of numpy, scipy.sparse or sparse; "
            "convert them with map_blocks"
        )
    if x.ndim != 2:
        raise TypeError(
            f"{where}: sparse blocks have 2 dimensions, found {x.ndim} of {found}; make them "
            "dense with map_blocks"
        )
    by_columns = isinstance(meta, CSCBlock) or (sp.issparse(meta) and meta.format == "csc")
    return "csc" if by_columns and x.numblocks[0] == 1 else "csr"


def _empty(kind: BlockKind, dtype: np.dtype[Any], ndim: int) -> SparseBlock | np.ndarray[Any, Any]:
    if kind == "dense":
        return np.empty((0,) * ndim, dtype)
    return (CSCBlock if kind == "csc" else CSRBlock)(shape=(0, 0), dtype=dtype)
