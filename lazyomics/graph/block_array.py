"""Dask arrays that containers hold: their blocks are known, and values can be assigned to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

__all__ = ["BlockArray"]


class BlockArray(da.Array):
    """A dask array whose blocks are sparse blocks or plain arrays, each being what it declares.

    Everything a dask array can do works, and gives an ordinary one. In addition, values can be
    assigned to items of sparse ones, and ``copy()`` is independent of that.
    """

    @classmethod
    def of(cls, x: da.Array) -> BlockArray:
        """Take over a dask array, whose blocks are known."""
        return BlockArray(x.dask, x.name, x.chunks, meta=x._meta)

    def copy(self) -> Any:
        """Return an array that does not change if values are assigned to this one."""
        return BlockArray.of(self)

    def toarray(self) -> NDArray[Any]:
        """Compute all values, as a dense array in memory."""
        from lazyomics.graph.execute import materialize

        values = materialize(self)
        return np.asarray(values.toarray() if hasattr(values, "toarray") else values)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self.ndim != 2:
            super().__setitem__(key, value)
            return
        from lazyomics.graph.assigning import assigned

        self._turn_into(assigned(self, key, value))

    def _turn_into(self, other: da.Array) -> None:
        """Be another array from now on, of the same shape."""
        self._meta, self.dask = other._meta, other.dask
        self._name, self._chunks = other.name, other.chunks

    def __reduce__(self) -> Any:
        return BlockArray, (self.dask, self.name, self.chunks, self.dtype, self._meta)

    def __dask_postpersist__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _persisted, (self.name, self.chunks, self._meta)


def _persisted(
    graph: Any, name: str, chunks: Any, meta: Any, *, rename: dict[str, str] | None = None
) -> BlockArray:
    return BlockArray(graph, (rename or {}).get(name, name), chunks, meta=meta)
