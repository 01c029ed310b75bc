"""The sparse block types of lazy matrices: CSRBlock and CSCBlock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse as sp
import sparse
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import DTypeLike, NDArray

from lazyomics.blocks.canonical import checked_arrays
from lazyomics.blocks.dask import register_block_type
from lazyomics.blocks.index import select
from lazyomics.blocks.layout import BlockLayout
from lazyomics.blocks.reduce import BlockReductions
from lazyomics.blocks.ufunc import apply_function, apply_ufunc, dense

__all__ = [
    "BlockShapes",
    "CSCBlock",
    "CSRBlock",
    "SparseBlock",
    "as_block",
    "register",
]


class BlockShapes(BlockLayout):
    """Methods of a block that change its shape."""

    @property
    def T(self) -> BlockLayout:
        """The transpose, with the same arrays and the other axis compressed."""
        return self.transposed()

    mT = T

    def transpose(self, axes: Any = None, *rest: Any) -> Any:
        """Transpose, unless ``axes`` keeps the axes as they are."""
        order = (1, 0) if axes is None else tuple(np.ravel([axes, *rest]) % 2)
        if sorted(order) != [0, 1]:
            raise ValueError(f"axes {axes} are not those of a two-dimensional block")
        return self.transposed() if order == (1, 0) else self

    def reshape(self, *shape: Any, order: Literal["C", "F"] = "C", **_: Any) -> Any:
        """A block if the new shape has two dimensions, else a dense array."""
        wanted = shape[0] if len(shape) == 1 else shape
        sizes = tuple(np.atleast_1d(wanted).tolist()) if wanted != () else ()
        if len(sizes) != 2 or order != "C":
            return self.toarray().reshape(sizes, order=order)
        matrix = self.distinct().carrier().tocoo().reshape(sizes)
        return type(self).from_scipy(self.scipy_type(matrix), self.dtype)

    def ravel(self, order: Literal["C", "F"] = "C") -> NDArray[Any]:
        """All values in one dimension, therefore dense."""
        return self.toarray().ravel(order=order)

    flatten = ravel

    def squeeze(self, axis: Any = None) -> Any:
        """Remove axes of length 1; what is left of them is dense."""
        return self if axis is None and 1 not in self.shape else self.toarray().squeeze(axis)

    def nonzero(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the values that are not zero, row by row."""
        block = (self if self.major == 0 else self.swapped()).canonical()
        rows = np.repeat(np.arange(self.shape[0]), block.counts())
        marked = block.data != 0
        return rows[marked], block.indices[marked].astype(np.intp)


class SparseBlock(BlockShapes, BlockReductions):
    """Two-dimensional sparse block with fill value 0: base of `CSRBlock` and `CSCBlock`.

    Attributes
    ----------
    data : ndarray of shape (nnz,)
        Stored values; zeros may be among them.
    indices : ndarray of int32 or int64, shape (nnz,)
        Position of each along the axis that is not compressed.
    indptr : ndarray of int32 or int64, shape (n_major + 1,)
        Where each line of the compressed axis begins.
    shape : tuple of int
        Rows and columns.
    """

    def __getitem__(self, key: Any) -> Any:
        return select(self, key)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Iterate over the rows, as numpy does; pandas takes what can be iterated for values."""
        return (self[row] for row in range(self.shape[0]))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return apply_ufunc(self, ufunc, method, inputs, options)

    def __array_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        ours = (np.ndarray, BlockLayout, sparse.SparseArray)
        if not all(issubclass(t, ours) for t in types):
            return NotImplemented
        return apply_function(func, args, kwargs)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a sparse block has no dense array to share; drop copy=False")
        return self.toarray().astype(dtype or self.dtype, copy=False)

    def __matmul__(self, other: Any) -> Any:
        return np.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return np.matmul(other, self)

    def __pow__(self, other: Any) -> Any:
        # The operator of arrays is not np.power: it squares, and takes roots, by other functions.
        if np.ndim(other) == 0 and not isinstance(other, BlockLayout):
            with np.errstate(all="ignore"):
                stays_zero = (np.zeros(1, self.dtype) ** other == 0).all()
            if not stays_zero:
                return self.toarray() ** other
            block = self.distinct()
            return block.like(block.data**other)
        return np.power(self, other)

    def dot(self, other: Any) -> Any:
        """Matrix product, or product with a scalar."""
        return np.dot(self, other)

    def astype(
        self,
        dtype: DTypeLike,
        order: str = "K",
        casting: Any = "unsafe",
        subok: bool = True,
        copy: bool = True,
    ) -> Self:
        """Cast the values; positions are shared."""
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        block = self.distinct()
        return block.like(block.data.astype(dtype, casting=casting, copy=copy))

    def round(self, decimals: int = 0, out: Any = None) -> Any:
        """Round to the given number of decimals."""
        if out is not None:
            return np.round(self.toarray(), decimals, out=out)
        block = self.distinct()
        return block.like(np.round(block.data, decimals))

    def clip(self, a_min: Any = None, a_max: Any = None, out: Any = None, **more: Any) -> Any:
        """Limit the values; a block if zero lies within the limits and they are scalars."""
        limits = {"a_min": a_min, "a_max": a_max} if not {"min", "max"} & set(more) else {}
        options = {**limits, **more}
        scalar = all(np.ndim(limit) == 0 for limit in options.values())
        zero = np.zeros(1, self.dtype)
        if out is not None or not scalar or np.clip(zero, **options)[0] != 0:
            limits = {key: dense(limit) for key, limit in options.items()}
            return np.clip(self.toarray(), out=out, **limits)
        block = self.distinct()
        return block.like(np.clip(block.data, **options))

    @property
    def real(self) -> Self:
        """Real part."""
        return self.like(self.data.real) if self.dtype.kind == "c" else self

    @property
    def imag(self) -> Self:
        """Imaginary part."""
        return self.like(self.data.imag.copy())

    def isnan(self) -> Any:
        """Where values are NaN."""
        return np.isnan(self)

    def isinf(self) -> Any:
        """Where values are infinite."""
        return np.isinf(self)

    def asformat(self, format: str, **options: Any) -> Any:
        """Convert to "csr", "csc", or to a format of the sparse library: "coo", "dok"."""
        if format in ("csr", "csc"):
            return self.tocsr() if format == "csr" else self.tocsc()
        return self if format == "gcxs" else sparse.COO(self.to_scipy()).asformat(format, **options)

    def change_compressed_axes(self, new_compressed_axes: Sequence[int]) -> SparseBlock:
        """Convert between compressed rows, (0,), and compressed columns, (1,)."""
        return self.tocsr() if tuple(new_compressed_axes) in ((0,), (-2,)) else self.tocsc()

    def tocoo(self) -> sparse.COO:
        """Convert to the coordinate format of the sparse library."""
        return sparse.COO(self.carrier()).astype(self.dtype)

    def tocsr(self) -> CSRBlock:
        """Return the block with compressed rows: itself, if they are."""
        return self if isinstance(self, CSRBlock) else self.swapped()

    def tocsc(self) -> CSCBlock:
        """Return the block with compressed columns: itself, if they are."""
        return self if isinstance(self, CSCBlock) else self.swapped()


# `x += y` binds the sum to x: the arrays of a block may belong to other blocks, too.
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"):
    setattr(SparseBlock, f"__i{_name}__", getattr(NDArrayOperatorsMixin, f"__{_name}__"))


class CSRBlock(SparseBlock):
    """Block with compressed rows: the values of a row lie together.

    Parameters
    ----------
    arg : scipy sparse matrix, ndarray, block or (data, indices, indptr), optional
        What to hold; without it, a block of zeros. `from_arrays` is the cheap way from arrays.
    shape : tuple of int, optional
        Rows and columns.
    dtype : dtype, optional
        Type of the values.

    Examples
    --------
    >>> import numpy as np
    >>> block = CSRBlock(np.array([[0, 2, 0], [0, 0, 0], [1, 0, 3]], dtype=np.float32))
    >>> block
    <CSRBlock: shape=(3, 3), dtype=float32, nnz=3>
    >>> block.sum(axis=0)
    array([1., 2., 3.], dtype=float32)
    >>> block[[2, 0]] / np.array([[2], [1]])
    <CSRBlock: shape=(2, 3), dtype=float64, nnz=3>
    >>> (block > 0) @ np.ones(3)
    array([1., 0., 2.])
    >>> block[0] + 1
    array([1., 3., 1.], dtype=float32)
    """

    major = 0
    scipy_type = sp.csr_array


class CSCBlock(SparseBlock):
    """Block with compressed columns: the values of a column lie together; see `CSRBlock`."""

    major = 1
    scipy_type = sp.csc_array


CSRBlock.twin = CSCBlock
CSCBlock.twin = CSRBlock


def as_block(x: Any) -> CSRBlock | CSCBlock | NDArray[Any]:
    """Return a block or array that shares memory with ``x`` where possible.

    Parameters
    ----------
    x : scipy sparse matrix or array, SparseBlock, sparse.SparseArray or ndarray
        Two-dimensional. Formats other than CSR and CSC are converted to CSR.

    Returns
    -------
    CSRBlock, CSCBlock or ndarray
        What is sparse stays sparse, what is dense stays dense.

    Raises
    ------
    ValueError
        If ``x`` does not have two dimensions.
    ShapeError
        If the arrays of a scipy matrix do not fit together.
    """
    if isinstance(x, CSRBlock | CSCBlock):
        return x
    if np.ndim(x) != 2:
        raise ValueError(f"a block has two dimensions, found {np.ndim(x)} in {type(x).__name__}")
    if sp.issparse(x):
        return _from_scipy(x)
    if isinstance(x, sparse.SparseArray):
        return CSRBlock(x)
    return np.asarray(x)


def _from_scipy(matrix: Any) -> CSRBlock | CSCBlock:
    """Compiled loops trust positions; anyone may have assigned the arrays of a scipy matrix."""
    if matrix.format not in ("csr", "csc"):
        matrix = matrix.tocsr()
    form = CSCBlock if matrix.format == "csc" else CSRBlock
    return form.from_arrays(*checked_arrays(matrix), matrix.shape)


def register() -> None:
    """Tell dask about blocks; done on import of this module."""
    register_block_type()


register()
