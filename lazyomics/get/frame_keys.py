"""Sort the keys of ``obs_df`` and ``var_df`` into columns of the frame and names of the matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import graph

__all__ = ["add_embedding_columns", "read_dense", "split_keys"]


def split_keys(
    frame: pd.DataFrame, names: pd.Index, keys: Sequence[str], *, frame_is: str, names_are: str
) -> tuple[list[str], list[str]]:
    """Return the keys that are columns and those that are names, each once, in the given order.

    Parameters
    ----------
    frame
        ``obs`` or ``var``.
    names
        Names along the other axis.
    keys
        What was asked for.
    frame_is, names_are
        How messages call them, e.g. ``"adata.obs"`` and ``"adata.var_names"``.
    """
    if not frame.columns.is_unique:
        repeated = frame.columns[frame.columns.duplicated()].tolist()
        raise ValueError(f"{frame_is} has repeated columns {repeated}: rename or remove them")
    wanted = list(dict.fromkeys(keys))
    columns = [key for key in wanted if key in frame.columns]
    known = set(names[names.isin(wanted)])
    both = [key for key in columns if key in known]
    if both:
        raise KeyError(f"{both} are found in both {frame_is} and {names_are}")
    unknown = [key for key in wanted if key not in known and key not in frame.columns]
    if unknown:
        raise KeyError(f"{unknown} are found neither in {frame_is} nor in {names_are}")
    return columns, [key for key in wanted if key in known]


def add_embedding_columns(
    frame: pd.DataFrame, mapping: Any, keys: Iterable[tuple[str, int]], *, mapping_is: str
) -> None:
    """Append column ``index`` of ``mapping[key]`` as ``"key-index"`` for each pair."""
    for key, index in keys:
        if key not in mapping:
            raise KeyError(f"{mapping_is} has no {key!r}, only {sorted(mapping)}")
        value = mapping[key]
        if isinstance(value, pd.DataFrame):
            frame[f"{key}-{index}"] = value.loc[:, index].to_numpy()
            continue
        frame[f"{key}-{index}"] = np.ravel(read_dense(value[:, [index]]))


def read_dense(matrix: Any) -> NDArray[Any]:
    """Return a few columns or rows of any matrix, lazy or not, as an ndarray."""
    read = graph.materialize(matrix)
    return np.asarray(read.toarray() if hasattr(read, "toarray") else read)
