"""Universal functions of two sparse blocks of the same shape."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block_layout import BlockLayout

__all__ = ["combine"]

Array: TypeAlias = NDArray[Any]


def combine(ufunc: np.ufunc, a: BlockLayout, b: BlockLayout, options: Any) -> Any:
    """Apply ``ufunc`` to two blocks; the format of the result is that of ``a``.

    A block if the function makes zero of two zeros, else a dense array.
    """
    with np.errstate(all="ignore"):
        zero = ufunc(np.zeros(1, a.dtype), np.zeros(1, b.dtype), **options)
    if not (zero == 0).all():
        return ufunc(a.toarray(), b.toarray(), **options)
    if b.major != a.major:
        b = b.swapped()
    a, b = a.distinct(), b.distinct()
    if a.indices is b.indices and a.indptr is b.indptr:  # such as x * (x > 1)
        return a.like(ufunc(a.data, b.data, **options))
    result = None if options else _in_scipy(ufunc, a, b, zero.dtype)
    return _on_union(ufunc, a, b, options) if result is None else result


def _in_scipy(
    ufunc: np.ufunc, a: BlockLayout, b: BlockLayout, dtype: np.dtype[Any]
) -> BlockLayout | None:
    """Add, subtract or multiply in scipy, where its result is numpy's; else None."""
    if np.float16 in (a.dtype, b.dtype):
        return None
    if ufunc is np.add:
        matrix = a.to_scipy() + b.to_scipy()
    elif ufunc is np.subtract:
        matrix = a.to_scipy() - b.to_scipy()
    elif ufunc is np.multiply and _is_finite(a) and _is_finite(b):
        matrix = a.to_scipy().multiply(b.to_scipy())
    else:
        return None
    both = a._order == b._order == "canonical"
    return type(a).from_scipy(matrix, dtype, "canonical" if both else "unique")


def _is_finite(block: BlockLayout) -> bool:
    return block.dtype.kind not in "fc" or bool(np.isfinite(block.data).all())


def _on_union(ufunc: np.ufunc, a: BlockLayout, b: BlockLayout, options: Any) -> BlockLayout:
    """Apply the function wherever one of the blocks stores a value.

    Where the stored values of each stand in the union is found by adding the two patterns as
    complex numbers: the real part counts through the values of ``a``, the imaginary part through
    those of ``b``.
    """
    real = a.like(np.arange(1, a.nnz + 1, dtype=np.complex128)).to_scipy()
    imaginary = b.like(np.arange(1, b.nnz + 1) * 1j).to_scipy()
    union = real + imaginary
    values = [
        np.concatenate((np.zeros(1, block.dtype), block.data))[place.astype(np.intp)]
        for block, place in ((a, union.data.real), (b, union.data.imag))
    ]
    data = ufunc(*values, **options)
    return type(a).from_arrays(data, union.indices, union.indptr, a.shape, "unique")
