"""The ``raw`` of an AnnData, and vectors of one gene or cell."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container.deferred import cut_value
from lazyomics.container.frames import FrameSlot
from lazyomics.container.index import axis_selector
from lazyomics.container.mappings import AlignedMapping, align_tables
from lazyomics.container.slots import MatrixSlot
from lazyomics.lazy.indexer import Selector, length
from lazyomics.names import choices

if TYPE_CHECKING:
    from lazyomics.container.anndata_parts import AlignedParts

__all__ = [
    "RawParts",
    "gene_values",
    "is_column",
    "vector_of",
]


def is_column(
    key: str, columns: Collection[str], names: pd.Index, *, table: str, others: str
) -> bool:
    """Whether a key is a column of a table; if not, it is a name of the other axis.

    Raises
    ------
    KeyError
        If it is neither.
    ValueError
        If it is both.
    """
    named = key in names
    if key in columns:
        if named:
            raise ValueError(f"{key!r} is a column of {table} and one of {others}; rename one")
        return True
    if not named:
        said = choices(key, [*columns, *names])
        raise KeyError(f"{key!r} is no column of {table} and not in {others}; {said}")
    return False


def vector_of(x: Any, rows: Selector, cols: Selector) -> NDArray[Any]:
    """Values of one row or one column of a matrix, read now."""
    values = lazy.materialize(cut_value(x, (rows, cols)))
    return np.ravel(values.toarray() if hasattr(values, "toarray") else np.asarray(values))


@dataclass
class RawParts:
    """What an object keeps of its raw matrix."""

    x: MatrixSlot
    var: FrameSlot
    varm: AlignedMapping

    @classmethod
    def of(cls, adata: AlignedParts) -> RawParts:
        """Freeze the present matrix and genes of an object.

        Raises
        ------
        ShapeError
            If a table of varm cannot have the present names of genes.
        """
        align_tables([(adata._varm, adata._var)])
        return cls(adata._x.copy(), adata._var.copy(), adata._varm.copy())

    def take(self, rows: Selector, cols: Selector, n_obs: int) -> RawParts:
        """Return the parts of a selection, of an object of ``n_obs`` cells."""
        var = self.var.take(cols, keep_categories=True)
        shape = (length(rows), len(var))
        varm = self.varm.take((rows, cols), shape)
        return RawParts(self.x.take(rows, cols, (n_obs, len(self.var))), var, varm)

    def copy(self) -> RawParts:
        """Return independent parts."""
        return RawParts(self.x.copy(), self.var.copy(), self.varm.copy())


def gene_values(x: Any, names: pd.Index, k: str) -> np.ndarray[Any, Any]:
    """Values of one column of a matrix as a vector, read now."""
    col = axis_selector(k, len(names), lambda: names, "var")
    return vector_of(x, slice(0, x.shape[0], 1), col)
