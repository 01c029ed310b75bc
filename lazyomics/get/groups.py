"""Groups of cells from one or several obs columns, as codes and labels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["as_names", "cell_groups"]


def as_names(names: str | Sequence[str]) -> list[str]:
    """Return one name or several as a list."""
    return [names] if isinstance(names, str) else list(names)


def cell_groups(
    obs: pd.DataFrame, groupby: str | Sequence[str], *, num_categories: int = 7
) -> pd.Categorical[Any]:
    """Return the group of each cell, in the order of the categories.

    Several columns are joined by ``"_"``, keeping the order of their categories; one numeric
    column is cut into ``num_categories`` intervals. Combinations that no cell has are left out.

    Parameters
    ----------
    obs
        Annotation of the cells.
    groupby
        One column or several; the name of the index also counts.
    num_categories
        Number of intervals of a numeric column.
    """
    columns = [_column(obs, name) for name in as_names(groupby)]
    if not columns:
        raise ValueError("groupby names no column of adata.obs")
    if len(columns) == 1:
        only = columns[0]
        if pd.api.types.is_numeric_dtype(only) and not pd.api.types.is_bool_dtype(only):
            return pd.Categorical(pd.cut(only, num_categories))
        return pd.Categorical(only.astype("category"))
    return _joined([pd.Categorical(column.astype("category")) for column in columns])


def _column(obs: pd.DataFrame, name: str) -> pd.Series:
    if name in obs.columns:
        return obs[name]
    if name == obs.index.name:
        return obs.index.to_series()
    raise ValueError(
        f"groupby={name!r} is not a column of adata.obs, which has {obs.columns.tolist()}"
    )


def _joined(parts: list[pd.Categorical[Any]]) -> pd.Categorical[Any]:
    sizes = [len(part.categories) for part in parts]
    labels = ["_".join(map(str, names)) for names in product(*(p.categories for p in parts))]
    codes: NDArray[np.int64] = np.zeros(len(parts[0]), dtype=np.int64)
    missing = np.zeros(len(parts[0]), dtype=bool)
    for part, size in zip(parts, sizes, strict=True):
        codes = codes * size + part.codes
        missing |= part.codes < 0
    # Two pairs of labels may join to the same text ("a_b" + "c", "a" + "b_c"): one group then.
    order = {label: rank for rank, label in enumerate(dict.fromkeys(labels))}
    ranks = np.array([order[label] for label in labels], dtype=np.int64)
    codes = np.where(missing, -1, ranks[np.where(missing, 0, codes)])
    used = np.unique(codes[codes >= 0])
    names = np.array(list(order), dtype=object)[used]
    return pd.Categorical.from_codes(
        np.where(codes < 0, -1, np.searchsorted(used, codes)), categories=pd.Index(names)
    )
