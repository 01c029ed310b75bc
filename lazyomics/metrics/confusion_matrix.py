"""``metrics.confusion_matrix``: how the cells of each group are spread over other groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lazyomics.container.categories import natural_key
from lazyomics.errors import ShapeError
from lazyomics.names import choices

__all__ = ["confusion_matrix"]


def confusion_matrix(
    orig: pd.Series | np.ndarray[Any, Any] | Sequence[Any] | str,
    new: pd.Series | np.ndarray[Any, Any] | Sequence[Any] | str,
    data: pd.DataFrame | None = None,
    *,
    normalize: bool = True,
) -> pd.DataFrame:
    """Count the cells of each pair of an original and a new label, eagerly.

    Parameters
    ----------
    orig, new
        Labels of the same cells, shape (n_obs,); or columns of ``data``.
    data
        Table that has them, ``adata.obs`` for example.
    normalize
        Divide each row by its sum.

    Returns
    -------
    DataFrame, original × new labels
        float64, or int64 if not normalized. Labels are in the order of the categories, others in
        natural order. Rows of labels that no cell has are 0.

    Raises
    ------
    KeyError
        If ``data`` has no such column.
    ShapeError
        If the labels are not of the same number of cells.
    ValueError
        If labels are missing.

    Notes
    -----
    Passes over X: 0. Peak memory: a few values a cell.

    Categories that no cell has, of either kind, are a row or column of zeros; scanpy fails then.

    Examples
    --------
    >>> import lazyomics as lo
    >>> lo.metrics.confusion_matrix(["a", "a", "b", "b"], ["a", "a", "a", "b"])
    New Labels         a    b
    Original labels
    a                1.0  0.0
    b                0.5  0.5
    """
    of_orig, of_new = _labels(orig, data, "orig"), _labels(new, data, "new")
    if len(of_orig) != len(of_new):
        raise ShapeError(f"orig has {len(of_orig)} labels, new has {len(of_new)}")
    rows, columns = _in_order(of_orig), _in_order(of_new)
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    of_rows, of_columns = (
        pd.Categorical(labels, categories=order).codes
        for labels, order in ((of_orig, rows), (of_new, columns))
    )
    np.add.at(counts, (of_rows, of_columns), 1)
    values: np.ndarray[Any, Any] = counts
    if normalize:
        values = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return pd.DataFrame(
        values,
        index=rows.rename("Original labels" if of_orig.name is None else of_orig.name),
        columns=columns.rename("New Labels" if of_new.name is None else of_new.name),
    )


def _labels(given: Any, data: pd.DataFrame | None, name: str) -> pd.Series:
    if data is not None and isinstance(given, str):
        if given not in data:
            raise KeyError(f"data has no column {given!r}; {choices(given, data)}")
        given = data[given]
    labels = pd.Series(given)
    if labels.isna().any():
        raise ValueError(f"{name} has {labels.isna().sum()} missing labels: leave these cells out")
    return labels


def _in_order(labels: pd.Series) -> pd.Index:
    """Distinct labels in the order of categories, or natural order."""
    if isinstance(labels.dtype, pd.CategoricalDtype):
        return labels.cat.categories
    found = labels.unique().tolist()
    if all(isinstance(label, str) for label in found):
        found.sort(key=natural_key)
    else:
        found.sort()
    return pd.Index(found)
