"""Columns of the other byte order, which pandas holds but can neither select nor sort."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["native_columns"]


def native_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose numbers are in the byte order of this machine.

    Parameters
    ----------
    frame
        Any table; it is not changed.

    Returns
    -------
    ``frame`` itself if all of them are.
    """
    foreign = [
        k
        for k, dtype in enumerate(frame.dtypes)
        if isinstance(dtype, np.dtype) and not dtype.isnative
    ]
    if not foreign:
        return frame
    made = frame.copy(deep=False)
    for k in foreign:
        values = frame.iloc[:, k].to_numpy()
        made.isetitem(k, values.astype(values.dtype.newbyteorder("=")))
    return made
