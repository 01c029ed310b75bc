"""Convert blocks of other libraries, after a check of what they declare."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import scipy.sparse as sp
import sparse

from lazyomics.blocks.block import CSCBlock, CSRBlock, SparseBlock, as_block
from lazyomics.blocks.canonical import checked_lines
from lazyomics.errors import ShapeError

__all__ = [
    "BlockKind",
    "checked_block",
]


BlockKind: TypeAlias = Literal["csr", "csc", "dense"]


def checked_block(
    block: Any, shape: tuple[int, ...], dtype: np.dtype[Any], kind: BlockKind
) -> SparseBlock | np.ndarray[Any, Any]:
    """Return a block in the form that its array declares.

    Parameters
    ----------
    block
        ndarray, scipy sparse matrix or array, array of the sparse library, or block.
    shape
        That it must have.
    dtype
        That it gets, if no values of another kind are lost.
    kind
        ``"csr"``, ``"csc"`` or ``"dense"``: converted if it is another one.

    Returns
    -------
    CSRBlock, CSCBlock or ndarray. Shares memory with ``block`` where possible; no position is
    stored twice.

    Raises
    ------
    TypeError
        If it is no array, masks some values, or its values do not fit the type.
    ShapeError
        If it has another shape, or positions that lead out of it.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> block = sp.csc_matrix(np.eye(2, 3))
    >>> checked_block(block, (2, 3), np.dtype("float32"), "csr")
    <CSRBlock: shape=(2, 3), dtype=float32, nnz=2>
    """
    found = _in_kind(_known(block), kind)
    if tuple(found.shape) != tuple(shape):
        raise ShapeError(f"it declares a block of shape {shape}, found {tuple(found.shape)}")
    if found.dtype == dtype:
        return found
    if not np.can_cast(found.dtype, dtype, "same_kind"):
        raise TypeError(f"it declares values of type {dtype}, found {found.dtype}")
    return found.astype(dtype)


def _known(block: Any) -> Any:
    """The block as one of ours, its positions checked, or as a plain array."""
    if isinstance(block, np.ma.MaskedArray):
        if np.ma.is_masked(block):
            raise TypeError("it declares plain arrays, found a masked one")
        return np.asarray(block)
    if isinstance(block, SparseBlock):
        return _checked_lines(block).distinct()
    if isinstance(block, np.ndarray | np.generic):
        return np.asarray(block)
    if not sp.issparse(block) and not isinstance(block, sparse.SparseArray):
        raise TypeError(f"its blocks must be arrays of numpy or scipy, found {type(block)}")
    if block.ndim != 2:
        raise TypeError(f"sparse blocks have 2 dimensions, found {block.ndim}")
    found: Any = as_block(block)
    return found.distinct()


def _checked_lines(block: SparseBlock) -> SparseBlock:
    if len(block.indptr) != block.n_major + 1:
        raise ShapeError(
            f"a sparse block of shape {block.shape} has {block.n_major + 1} pointers, "
            f"found {len(block.indptr)}"
        )
    lines = checked_lines(block.data, block.indices, block.indptr, block.n_minor)
    same = len(lines[0]) == len(block.data) and len(lines[1]) == len(block.indices)
    return block if same else type(block).from_arrays(*lines, block.shape, block._order)


def _in_kind(block: Any, kind: BlockKind) -> Any:
    if kind == "dense":
        return block.toarray() if isinstance(block, SparseBlock) else block
    if isinstance(block, SparseBlock):
        return block.tocsr() if kind == "csr" else block.tocsc()
    if block.ndim != 2:
        raise ShapeError(f"it declares sparse blocks, found an array of {block.ndim} dimensions")
    return (CSRBlock if kind == "csr" else CSCBlock).from_dense(block)
