"""Columns of text turned into categories, as anndata does before it writes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from lazyomics.container.byte_order import native_columns
from lazyomics.kernels.natural_order import natural_key

__all__ = ["strings_to_categoricals"]


def strings_to_categoricals(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn columns of repeated text into categoricals (eagerly).

    Parameters
    ----------
    frame
        Any data frame; it is not changed.

    Returns
    -------
    A new frame (columns that stay are shared). A column of text, with or without missing values,
    becomes categorical if it has fewer distinct texts than rows; its categories are in natural
    order (``"x2"`` before ``"x10"``). Numbers of the other byte order get that of this machine.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"batch": ["b10", "b2", "b2"], "barcode": ["x", "y", "z"]})
    >>> list(strings_to_categoricals(frame)["batch"].cat.categories)
    ['b2', 'b10']
    """
    frame = native_columns(frame)
    result = frame.copy(deep=False)
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        if infer_dtype(column, skipna=True) != "string":
            continue
        categorical = pd.Categorical(column)
        if len(categorical.categories) >= len(categorical):
            continue
        ordered = sorted(categorical.categories, key=natural_key)
        if not np.array_equal(categorical.categories, ordered):
            categorical = categorical.reorder_categories(ordered)
        if not frame.columns.is_unique:
            raise ValueError(f"names of columns must differ, found {name!r} and others repeatedly")
        result[name] = pd.Series(categorical, index=frame.index)
    return result
