"""Methods of scipy's sparse matrices on lazy ones, for programs that were written for those."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics import config
from lazyomics.lazy.recipe import recipe_of

__all__ = ["ScipyMethods"]

BYTES_OF_A_POSITION = 4


class ScipyMethods:
    """Attributes of ``scipy.sparse.csr_matrix`` that compute the matrix, if it fits.

    Results are those of scipy for the computed matrix. It may take ``lazyomics.memory`` (25 % of
    the available memory by default), by an estimate from what is stored; larger ones raise
    MemoryError before anything is read. ``nnz`` and ``getnnz`` count block by block and have no
    such limit. Each access is a pass over the matrix. ``data``, ``indices`` and ``indptr`` are
    read-only: what is written into them would not reach the lazy matrix.
    """

    __slots__ = ()

    def toarray(self, order: Any = None, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Compute all values, as a dense array in memory.

        Parameters
        ----------
        order
            ``"C"`` or ``"F"``.
        out
            Array to write to instead.

        Raises
        ------
        MemoryError
            If it would take more than ``lazyomics.memory``.
        """
        values = _computed(self, "toarray()", dense=True)
        if sp.issparse(values):
            return np.asarray(values.toarray(order=order, out=out))
        if out is not None:
            out[...] = values
            return out
        return np.asarray(values, order=order)

    def todense(self, order: Any = None, out: NDArray[Any] | None = None) -> Any:
        """Compute all values, as ``numpy.matrix`` in memory; parameters as of `toarray`."""
        return self.toarray(order=order, out=out).view(np.matrix)

    @property
    def A(self) -> NDArray[Any]:  # scipy's name
        """All values, as a dense array in memory."""
        return self.toarray()

    def tocsr(self, copy: bool = False) -> sp.csr_matrix:
        """Compute the matrix, as ``scipy.sparse.csr_matrix`` in memory.

        Parameters
        ----------
        copy
            Accepted for compatibility: what is computed is new.

        Raises
        ------
        MemoryError
            If it would take more than ``lazyomics.memory``.
        """
        return sp.csr_matrix(_computed(self, "tocsr()"))

    def tocsc(self, copy: bool = False) -> sp.csc_matrix:
        """Compute the matrix, as ``scipy.sparse.csc_matrix`` in memory; as `tocsr`."""
        return sp.csc_matrix(_computed(self, "tocsc()"))

    def tocoo(self, copy: bool = False) -> sp.coo_matrix:
        """Compute the matrix, as ``scipy.sparse.coo_matrix`` in memory; as `tocsr`."""
        return sp.coo_matrix(_computed(self, "tocoo()"))

    @property
    def nnz(self) -> int:
        """Number of stored values."""
        _check_sparse(self, "nnz")
        recipe = recipe_of(self)
        stored = None if recipe is None or recipe.steps else recipe.source.stored_per_line()
        if recipe is not None and stored is not None and recipe.keeps_lines:
            lines = recipe.cols if recipe.source.format == "csc" else recipe.rows
            return int(stored[lines].sum())
        return int(self.getnnz())

    def getnnz(self, axis: int | None = None) -> Any:
        """Count the stored values, of each column (axis 0), each row (1), or all.

        Parameters
        ----------
        axis
            0, 1 (or -2, -1), or None.

        Notes
        -----
        Passes over the matrix: 1. Peak memory: the blocks in flight and the counts.
        """
        _check_sparse(self, "getnnz()")
        from lazyomics.lazy.execute import compute
        from lazyomics.lazy.reduction import as_lazy, fold_rows

        if axis in (1, -1):
            return as_lazy(self.T).getnnz(axis=0)
        (counts,) = compute(fold_rows(as_lazy(self), _stored_in_columns))
        return counts if axis in (0, -2) else int(counts.sum())

    @property
    def data(self) -> NDArray[Any]:
        """Stored values, read-only."""
        return _part(self, "data")

    @data.setter
    def data(self, values: Any) -> NoReturn:
        raise AttributeError(
            "data of a lazy matrix cannot be replaced: change a matrix in memory and assign it, "
            "x = adata.X.tocsr(); x.data = ...; adata.X = x"
        )

    @property
    def indices(self) -> NDArray[Any]:
        """Columns of the stored values (of a matrix that is stored by columns: rows), read-only."""
        return _part(self, "indices")

    @property
    def indptr(self) -> NDArray[Any]:
        """Where each row (or column) begins among the stored values, read-only."""
        return _part(self, "indptr")

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and hasattr(sp.csr_matrix, name):
            raise AttributeError(
                f"a lazy matrix has no {name!r}: compute it first, adata.X.tocsr().{name}"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _part(x: Any, name: str) -> NDArray[Any]:
    _check_sparse(x, name)
    values: NDArray[Any] = getattr(_computed(x, name), name)
    values.setflags(write=False)
    return values


def _check_sparse(x: Any, name: str) -> None:
    if not hasattr(x._meta, "indptr"):
        raise AttributeError(f"a dense lazy matrix has no {name!r}: all of its values are stored")


def _computed(x: Any, call: str, *, dense: bool = False) -> Any:
    """Return the matrix in memory, unless its size as it is asked for is beyond the limit."""
    from lazyomics.lazy.execute import materialize

    limit, size = config.memory(), _bytes_as_asked(x, dense)
    if size > limit:
        from lazyomics.lazy.explain import size_text

        shape = " × ".join(f"{n:,}" for n in x.shape)
        raise MemoryError(
            f"{call} of this lazy matrix of {shape} takes about {size_text(size)}, more than "
            f"lazyomics.memory allows ({size_text(limit)}). Ask for a part of it, adata[:, genes].X"
            f".{call}; or, if it shall be in memory, write adata.X = adata.X.compute(), or allow "
            "more: dask.config.set({'lazyomics.memory': '" + size_text(2 * size) + "'})"
        )
    return materialize(x)


def _bytes_as_asked(x: Any, dense: bool) -> int:
    full = int(np.prod([int(n) for n in x.shape], dtype=object)) * int(x.dtype.itemsize)
    if dense or not hasattr(x._meta, "indptr"):
        return full
    recipe = recipe_of(x)
    if recipe is not None:
        return recipe.bytes_in_memory()
    most = full + full // x.dtype.itemsize * BYTES_OF_A_POSITION
    if most <= config.memory():
        return most
    return int(x.nnz) * (int(x.dtype.itemsize) + BYTES_OF_A_POSITION)


def _stored_in_columns(block: Any) -> NDArray[np.int64]:
    """Count the stored values of each column of a block."""
    matrix = block.to_scipy()
    return np.bincount(matrix.tocsr().indices, minlength=block.shape[1]).astype(np.int64)
