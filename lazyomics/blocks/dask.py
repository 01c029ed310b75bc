"""Register blocks with dask, which then computes with them as with arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from dask.array import register_chunk_type
from dask.array.dispatch import (
    concatenate_lookup,
    nannumel_lookup,
    numel_lookup,
    take_lookup,
    tensordot_lookup,
    to_numpy_dispatch,
)
from dask.base import normalize_token
from dask.sizeof import sizeof

from lazyomics import config
from lazyomics.blocks.index import concatenate
from lazyomics.blocks.layout import BlockLayout
from lazyomics.blocks.product import tensordot
from lazyomics.blocks.reduce import count_elements
from lazyomics.blocks.ufunc import take

__all__ = [
    "register_block_type",
]


OBJECT_BYTES = 512  # the Python objects around the three arrays


def register_block_type() -> None:
    """Register `BlockLayout` and its subclasses; doing so again changes nothing."""
    try:
        register_chunk_type(BlockLayout)
    except NotImplementedError:
        config.check_array_engine(True)
        raise
    concatenate_lookup.register(BlockLayout, concatenate)
    take_lookup.register(BlockLayout, take)
    tensordot_lookup.register(BlockLayout, tensordot)
    numel_lookup.register(BlockLayout, count_elements)
    nannumel_lookup.register(BlockLayout, _count_not_nan)
    to_numpy_dispatch.register(BlockLayout, _to_numpy)
    normalize_token.register(BlockLayout, _token)
    sizeof.register(BlockLayout, _bytes_held)


def _count_not_nan(block: Any, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
    nans = np.isnan(block).sum(axis=axis, keepdims=keepdims)
    return np.asarray(count_elements(block, axis, keepdims, np.int64)) - nans


def _to_numpy(block: BlockLayout, **_: Any) -> Any:
    return block.toarray()


def _token(block: BlockLayout) -> Any:
    arrays = (block.data, block.indices, block.indptr)
    return (type(block).__name__, block.shape, *map(normalize_token, arrays))


def _bytes_held(block: BlockLayout) -> int:
    return int(block.nbytes) + OBJECT_BYTES
