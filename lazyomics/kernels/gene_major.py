"""Rows turned to lie gene by gene, for products with a few vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock

__all__ = ["GeneMajorRows", "gene_major"]


@dataclass(frozen=True, eq=False)
class GeneMajorRows:
    """Consecutive rows of a sparse matrix in the order of its columns.

    A product then reads each column's vector once, and the rows' own vectors stay in the cache.

    Attributes
    ----------
    data
        Stored values, column by column: floating, integers as the narrowest exact floating type.
    rows
        Row of each, in the narrowest type.
    starts
        Of each column in ``data``, shape (p + 1,).
    shape
        Rows and columns.
    """

    data: NDArray[Any]
    rows: NDArray[Any]
    starts: NDArray[Any]
    shape: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Bytes of the values and their rows; ``starts`` is the same for any number of them."""
        return int(self.data.nbytes + self.rows.nbytes)


def gene_major(block: CSRBlock) -> GeneMajorRows:
    """Turn a block of rows over; the result shares no memory with it.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> from lazyomics.kernels.block import as_block
    >>> from lazyomics.kernels.gene_major import gene_major
    >>> turned = gene_major(as_block(sp.csr_matrix(np.array([[1.0, 0.0], [2.0, 3.0]]))))
    >>> turned.data, turned.rows, turned.starts
    (array([1., 2., 3.]), array([0, 1, 1], dtype=uint16), array([0, 2, 3], dtype=int32))
    """
    n, p = block.shape
    indices = block.indices.astype(np.int32 if p < 1 << 31 else np.int64, copy=False)
    data = block.data.astype(_floating(block.dtype), copy=False)
    turned = sp.csr_array((data, indices, block.indptr), shape=(n, p)).tocsc()
    rows = turned.indices.astype(np.uint16 if n <= 1 << 16 else np.int32, copy=False)
    starts = turned.indptr.astype(np.int32 if len(data) < 1 << 31 else np.int64, copy=False)
    return GeneMajorRows(turned.data, rows, starts, (n, p))


def _floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype in (np.float32, np.float64):
        return dtype
    narrow = dtype.itemsize <= 2  # float16, and integers that float32 holds exactly
    return np.dtype(np.float32 if narrow else np.float64)
