"""What a value is, said without importing what could have made it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import scipy.sparse as sp

if TYPE_CHECKING:
    import dask.array as da

    from lazyomics.blocks.block import SparseBlock

__all__ = [
    "is_block",
    "is_dask_array",
    "is_in_memory",
    "is_sparse_array",
    "to_memory_format",
]


def is_dask_array(value: Any) -> TypeGuard[da.Array]:
    """Whether a value is a dask array, lazy matrices included."""
    return _is_one("dask.array", "Array", value)


def is_block(value: Any) -> TypeGuard[SparseBlock]:
    """Whether a value is a sparse block."""
    return _is_one("lazyomics.blocks.block", "SparseBlock", value)


def is_sparse_array(value: Any) -> bool:
    """Whether a value is an array of the sparse library, blocks included."""
    return _is_one("sparse", "SparseArray", value)


def _is_one(module: str, kind: str, value: Any) -> bool:
    found = getattr(sys.modules.get(module), kind, None)  # None while it is being imported
    return found is not None and isinstance(value, found)


def is_in_memory(matrix: Any) -> bool:
    """Whether a matrix is held by numpy, scipy or a block instead of being lazy."""
    return isinstance(matrix, np.ndarray) or sp.issparse(matrix) or is_block(matrix)


def to_memory_format(value: Any) -> Any:
    """Blocks as scipy's matrices, which is what users and scanpy expect; the rest unchanged."""
    if not is_block(value):
        return value
    kind = sp.csc_matrix if value.major == 1 else sp.csr_matrix
    return kind((value.data, value.indices, value.indptr), shape=value.shape)
