"""Bring what users assign to one of the types that containers hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics.container.ragged import is_ragged
from lazyomics.graph.kinds import is_block, is_dask_array, to_memory_format

__all__ = ["normal_form"]


def normal_form(value: Any, where: str) -> Any:
    """Return a value as an array, matrix or table that containers hold.

    Parameters
    ----------
    value
        What a user assigns.
    where
        Place that it is assigned to, for messages.

    Raises
    ------
    TypeError
        If there is no such form of it.
    """
    if is_dask_array(value) or isinstance(value, pd.DataFrame) or is_ragged(value):
        return value
    if isinstance(value, np.ndarray):
        return np.asarray(value) if type(value) is np.matrix else value
    if is_block(value):
        return to_memory_format(value)
    if sp.issparse(value):
        return value if value.format in ("csr", "csc") else value.tocsr()
    if isinstance(value, list | tuple) or hasattr(value, "__array__"):
        return np.asarray(value)
    raise TypeError(f"{where}: cannot hold {type(value).__name__}")
