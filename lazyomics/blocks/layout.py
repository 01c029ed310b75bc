"""Buffers of a block, and the checks that they fit each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import scipy.sparse as sp
import sparse
from numpy.typing import DTypeLike, NDArray

from lazyomics.blocks.canonical import index_dtype

__all__ = [
    "BlockLayout",
    "Order",
]


Array: TypeAlias = NDArray[Any]
# What is known of the stored positions. None: nothing yet. "unique": none is stored twice.
# "canonical": also sorted within each major line.
Order: TypeAlias = Literal["unique", "canonical"] | None

INT32_MAX = np.iinfo(np.int32).max


def signed_indices(indices: Array, indptr: Array, n_minor: int) -> tuple[Array, Array]:
    """Bring both index arrays to one signed native integer type, as scipy needs them.

    Nothing is copied where the type fits already. ``indices`` is long, so ``indptr`` follows it
    wherever the values allow.
    """
    indices = _signed(indices, n_minor)
    indptr = _signed(indptr, len(indices))
    if indices.dtype == indptr.dtype:
        return indices, indptr
    if indices.dtype == np.int32 and len(indices) > INT32_MAX:
        return indices.astype(np.int64), indptr
    return indices, indptr.astype(indices.dtype)


def _signed(index: Array, largest: int) -> Array:
    """Return ``index`` as int32 or int64; ``largest`` bounds the values in it."""
    dtype = index.dtype
    if not dtype.isnative:
        index = index.astype(dtype.newbyteorder("="))
        dtype = index.dtype
    if dtype in (np.int32, np.int64):
        return index
    if dtype.kind not in "ui":
        raise TypeError(f"index arrays of a sparse block must hold integers, found {dtype}")
    if dtype.itemsize < 4:
        return index.astype(np.int32)
    if dtype == np.uint32 and largest > INT32_MAX:
        return index.astype(np.int64)
    return index.view(np.int32 if dtype.itemsize == 4 else np.int64)


class BlockLayout(sparse.GCXS):
    """Storage of a two-dimensional block with fill value 0; see `lazyomics.blocks.block`."""

    major: ClassVar[int]  # the compressed axis: 0 for rows, 1 for columns
    scipy_type: ClassVar[Any]
    twin: ClassVar[type[BlockLayout]]  # the class with the other axis compressed

    data: Array
    indices: Array
    indptr: Array
    shape: tuple[int, int]
    fill_value: Any
    _order: Order

    def __init__(
        self, arg: Any = None, shape: tuple[int, ...] | None = None, dtype: DTypeLike | None = None
    ) -> None:
        source = self._source(arg, shape, dtype)
        data = source.data if dtype is None else source.data.astype(dtype, copy=False)
        self._set(data, source.indices, source.indptr, source.shape, None)

    @classmethod
    def _source(cls, arg: Any, shape: tuple[int, ...] | None, dtype: DTypeLike | None) -> Any:
        """Something with the arrays of this format, shared with ``arg`` where possible."""
        if arg is None and shape is not None:
            pointers = np.zeros(shape[cls.major] + 1, np.int32)
            return cls.from_arrays(np.zeros(0, dtype), np.zeros(0, np.int32), pointers, shape)
        if isinstance(arg, tuple) and shape is not None:
            return cls.from_arrays(arg[0], arg[1], arg[2], shape)
        if isinstance(arg, BlockLayout):
            return arg if arg.major == cls.major else arg.swapped()
        if isinstance(arg, sparse.SparseArray):
            return cls.scipy_type(sparse.COO(arg).to_scipy_sparse())
        return cls.scipy_type(arg) if sp.issparse(arg) else cls.from_dense(np.asarray(arg))

    def _set(
        self, data: Array, indices: Array, indptr: Array, shape: tuple[int, ...], order: Order
    ) -> None:
        self.shape = (int(shape[0]), int(shape[1]))
        self.data = data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))
        self.indices, self.indptr = signed_indices(indices, indptr, self.shape[1 - self.major])
        self.fill_value = self.data.dtype.type(0)
        self._compressed_axes = (self.major,)
        self._order = order

    @classmethod
    def from_arrays(
        cls,
        data: Array,
        indices: Array,
        indptr: Array,
        shape: tuple[int, ...],
        order: Order = None,
    ) -> Self:
        """Wrap three arrays as they are: nothing is checked, nothing is copied.

        Parameters
        ----------
        data : ndarray of shape (nnz,)
            Stored values.
        indices : ndarray of int, shape (nnz,)
            Position of each value along the axis that is not compressed. Need be neither sorted nor
            unique: values stored twice for a position count as their sum.
        indptr : ndarray of int, shape (n_major + 1,)
            Where each line of the compressed axis begins and ends; starts with 0, ends with nnz.
        shape : tuple of int
            Rows and columns.
        order : {None, "unique", "canonical"}
            What the caller knows of the positions: none is stored twice ("unique"), and they are
            sorted too ("canonical"). Otherwise it is found out when an operation needs it.

        Returns
        -------
        CSRBlock or CSCBlock
            The class it is called on.

        Notes
        -----
        Index arrays of a type that scipy does not take (unsigned, or two different types) are
        converted, without a copy where possible.
        """
        block = object.__new__(cls)
        block._set(data, indices, indptr, shape, order)
        return block

    @classmethod
    def from_scipy(cls, matrix: Any, dtype: DTypeLike | None = None, order: Order = None) -> Self:
        """Wrap a scipy matrix of the same format, sharing its arrays."""
        data = matrix.data if dtype is None else matrix.data.astype(dtype, copy=False)
        return cls.from_arrays(data, matrix.indices, matrix.indptr, matrix.shape, order)

    @classmethod
    def from_dense(cls, array: Array) -> Self:
        """Store what is not zero (NaN included) in a two-dimensional array."""
        lines = array if cls.major == 0 else array.T
        majors, minors = np.nonzero(lines)
        indptr = np.zeros(len(lines) + 1, dtype=np.int64)
        np.cumsum(np.bincount(majors, minlength=len(lines)), out=indptr[1:])
        index = index_dtype(max(len(minors), *array.shape))
        return cls.from_arrays(
            lines[majors, minors], minors.astype(index), indptr.astype(index), array.shape,
            "canonical",
        )  # fmt: skip

    @classmethod
    def from_numpy(cls, x: Any, *_: Any, **__: Any) -> Self:
        """Make a block by the name that the sparse library has for it."""
        return cls(x)

    from_coo = from_scipy_sparse = from_numpy

    def like(self, data: Array) -> Self:
        """Return a block with other values at the same positions."""
        return self.from_arrays(data, self.indices, self.indptr, self.shape, self._order)

    def __reduce__(self) -> tuple[Any, ...]:
        arrays = (self.data, self.indices, self.indptr)
        return type(self).from_arrays, (*arrays, self.shape, self._order)

    def copy(self, deep: bool = True) -> Self:
        """Return a block with arrays of its own, or with the same ones if not ``deep``."""
        if not deep:
            return self.like(self.data)
        arrays = (self.data.copy(), self.indices.copy(), self.indptr.copy())
        return self.from_arrays(*arrays, self.shape, self._order)

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name}: shape={self.shape}, dtype={self.dtype}, nnz={self.nnz}>"

    __str__ = __repr__

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def n_major(self) -> int:
        """Number of lines along the compressed axis."""
        return self.shape[self.major]

    @property
    def n_minor(self) -> int:
        """Length of each such line."""
        return self.shape[1 - self.major]

    def counts(self) -> Array:
        """Number of values stored in each major line."""
        return np.diff(self.indptr)

    def panels(self, values: int) -> Iterator[tuple[int, int, slice]]:
        """Cut the block into runs of whole major lines with about so many values.

        Yields first line, last line (exclusive), and where their values lie. Temporary arrays of
        a panel stay in the processor's cache, those of a whole block would not.
        """
        steps = np.arange(0, self.nnz, values)
        bounds = np.unique(np.searchsorted(self.indptr, steps, side="right") - 1)
        if self.nnz:
            edges = [*bounds.tolist(), self.n_major]
            for first, last in pairwise(edges):
                yield first, last, slice(int(self.indptr[first]), int(self.indptr[last]))

    def distinct(self) -> Self:
        """Return the block with no position stored twice: itself, unless it has to be summed."""
        if self._order is not None:
            return self
        summed = self._summed()
        if summed.nnz == self.nnz:
            self._order = "canonical" if summed is self else "unique"
            return self
        return summed

    def canonical(self) -> Self:
        """Return the block with positions unique and sorted: itself, if they are."""
        if self._order == "canonical":
            return self
        summed = self._summed()
        if summed is self:
            self._order = "canonical"
        return summed

    def _summed(self) -> Self:
        matrix = self.carrier()
        if matrix.has_canonical_format:
            return self
        # Its flags say unsorted, which the shared arrays are: the copy is sorted, not they.
        matrix = self.scipy_type(matrix, copy=True)
        matrix.sum_duplicates()
        return self.from_scipy(matrix, self.dtype, "canonical")

    def to_scipy(self) -> Any:
        """Return a ``scipy.sparse`` array that shares the memory of this block."""
        return self.scipy_type((self.data, self.indices, self.indptr), shape=self.shape)

    to_scipy_sparse = to_scipy

    def carrier(self) -> Any:
        """Like `to_scipy`, with values in a type that scipy computes with (float16 does not)."""
        data = self.data.astype(np.float32) if self.dtype == np.float16 else self.data
        return self.scipy_type((data, self.indices, self.indptr), shape=self.shape)

    def toarray(self) -> Array:
        """Return the block as a dense array."""
        return np.asarray(self.carrier().toarray(), self.dtype)

    todense = toarray

    def maybe_densify(self, max_size: int = 1000, min_density: float = 0.25) -> Array:
        """Return the block as a dense array if that is small, else raise ValueError."""
        if self.size > max_size and self.density < min_density:
            raise ValueError(f"{self!r} is too large to be made dense; call toarray() to do so")
        return self.toarray()

    def swapped(self) -> BlockLayout:
        """Return the same block with the other axis compressed."""
        matrix = self.carrier().asformat("csc" if self.major == 0 else "csr")
        # The conversion walks the lines in order, so what it writes is sorted.
        order: Order = "canonical" if self._order else None
        return self.twin.from_scipy(matrix, self.dtype, order)

    def transposed(self) -> BlockLayout:
        """Return the transpose, which shares all arrays."""
        arrays = (self.data, self.indices, self.indptr)
        return self.twin.from_arrays(*arrays, self.shape[::-1], self._order)
