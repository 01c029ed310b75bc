"""Compare values of elements: values, dtypes, categories and their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics.container.nested import is_nested, parts_of
from lazyomics.container.ragged import is_ragged

__all__ = ["same_value"]


def same_value(a: Any, b: Any) -> bool:
    """Compare two element values deeply; NaN equals NaN."""
    if is_nested(a) and is_nested(b):
        return same_value(parts_of(a), parts_of(b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return set(a) == set(b) and all(same_value(a[k], b[k]) for k in a)
    if isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame):
        same = list(a.columns) == list(b.columns) and same_value(a.index, b.index)
        return same and all(same_value(a[c].array, b[c].array) for c in a.columns)
    if isinstance(a, pd.Index) and isinstance(b, pd.Index):
        return a.name == b.name and a.equals(b)
    if isinstance(a, pd.Categorical) and isinstance(b, pd.Categorical):
        same = a.ordered == b.ordered and a.categories.equals(b.categories)
        return same and np.array_equal(a.codes, b.codes)
    if isinstance(a, pd.api.extensions.ExtensionArray):
        return _same_extension(a, b)
    if is_ragged(a) and is_ragged(b):
        return str(a.type) == str(b.type) and bool(a.to_list() == b.to_list())
    if sp.issparse(a) and sp.issparse(b):
        return _same_sparse(a, b)
    if isinstance(a, np.ndarray | list | tuple) or isinstance(b, np.ndarray | list | tuple):
        return _same_array(np.asarray(a), np.asarray(b))
    return _same_scalar(a, b)


def _same_extension(a: Any, b: Any) -> bool:
    if isinstance(a, pd.arrays.NumpyExtensionArray):
        a = a.to_numpy()
    if isinstance(b, pd.arrays.NumpyExtensionArray):
        b = b.to_numpy()
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return _same_array(np.asarray(a), np.asarray(b))
    return type(a) is type(b) and a.dtype == b.dtype and bool(pd.Series(a).equals(pd.Series(b)))


def _same_sparse(a: Any, b: Any) -> bool:
    if a.format != b.format or a.shape != b.shape or a.dtype != b.dtype or a.nnz != b.nnz:
        return False
    parts = ("indptr", "indices", "data")
    return all(np.array_equal(getattr(a, p), getattr(b, p)) for p in parts)


def _same_array(a: Any, b: Any) -> bool:
    a, b = _text_as_objects(a), _text_as_objects(b)
    if a.shape != b.shape or a.dtype.kind != b.dtype.kind or a.dtype.itemsize != b.dtype.itemsize:
        return False
    if a.dtype.names is not None:
        return a.dtype.names == b.dtype.names and all(
            _same_array(a[n], b[n]) for n in a.dtype.names
        )
    if a.dtype.kind in "fc":
        return bool(np.array_equal(a, b, equal_nan=True))
    if a.dtype.kind == "O":
        return bool(pd.Series(a.ravel()).equals(pd.Series(b.ravel())))
    return bool(np.array_equal(a, b))


def _text_as_objects(values: Any) -> Any:
    """Text is stored alike, whether it was numpy text, objects or pandas strings."""
    return values.astype(object) if values.dtype.kind in "UT" else values


def _same_scalar(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    if isinstance(a, float | np.floating) and isinstance(b, float | np.floating):
        return bool(a == b or (np.isnan(a) and np.isnan(b)))
    kinds = (bool | np.bool_, int | np.integer, float | np.floating, str)
    if not any(isinstance(a, k) and isinstance(b, k) for k in kinds):
        return type(a) is type(b) and bool(a == b)
    return bool(a == b)
