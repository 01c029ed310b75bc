"""One row or column of a matrix, or a column of the table beside it, as a vector."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import graph
from lazyomics.container.deferred import cut_value
from lazyomics.graph.selection import Selector

__all__ = ["is_column", "vector_of"]


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
        raise KeyError(f"{key!r} is no column of {table} and not in {others}")
    return False


def vector_of(x: Any, rows: Selector, cols: Selector) -> NDArray[Any]:
    """Values of one row or one column of a matrix, read now."""
    values = graph.materialize(cut_value(x, (rows, cols)))
    return np.ravel(values.toarray() if hasattr(values, "toarray") else np.asarray(values))
