"""List how two values differ: types, dtypes, values, categories, names, order of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

__all__ = ["differences"]

SHOWN = 80


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """Say in words where ``a`` differs from ``b``; an empty list if nowhere."""
    return list(_walk(a, b, where))


def _walk(a: Any, b: Any, where: str) -> Iterator[str]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        yield from _mappings(a, b, where)
    elif type(a) is not type(b) and not _both(a, b, sp.issparse):
        yield f"{where}: {_shown(a)} instead of {_shown(b)}"
    elif isinstance(b, pd.DataFrame):
        yield from _frames(a, b, where)
    elif isinstance(b, pd.Index):
        yield from _vectors(a.array, b.array, where)
        if a.name != b.name:
            yield f"{where}: name {a.name!r} instead of {b.name!r}"
    elif isinstance(b, pd.api.extensions.ExtensionArray):
        yield from _vectors(a, b, where)
    elif sp.issparse(b):
        yield from _sparse(a, b, where)
    elif isinstance(b, np.ndarray):
        yield from _arrays(a, b, where)
    elif hasattr(b, "layout"):  # an awkward array
        if str(a.type) != str(b.type) or a.to_list() != b.to_list():
            yield f"{where}: {a.type} instead of {b.type}, or other values"
    elif not _equal(a, b):
        yield f"{where}: {_shown(a)} instead of {_shown(b)}"


def _both(a: Any, b: Any, test: Any) -> bool:
    return bool(test(a) and test(b))


def _shown(value: Any) -> str:
    detail = getattr(value, "dtype", None)
    text = repr(value) if np.ndim(value) == 0 else f"shape {np.shape(value)}"
    return f"{type(value).__name__} {'' if detail is None else detail} {text}"[:SHOWN]


def _mappings(a: Mapping[str, Any], b: Mapping[str, Any], where: str) -> Iterator[str]:
    for key in sorted(set(a) ^ set(b), key=str):
        yield f"{where}/{key}: {'added' if key in a else 'missing'}"
    for key in b:
        if key in a:
            yield from _walk(a[key], b[key], f"{where}/{key}")


def _frames(a: pd.DataFrame, b: pd.DataFrame, where: str) -> Iterator[str]:
    yield from _walk(a.index, b.index, f"{where} index")
    if list(a.columns) != list(b.columns):
        yield f"{where}: columns {list(a.columns)} instead of {list(b.columns)}"[:300]
        return
    for k, name in enumerate(b.columns):
        yield from _walk(a.iloc[:, k].array, b.iloc[:, k].array, f"{where}[{name!r}]")


def _vectors(a: Any, b: Any, where: str) -> Iterator[str]:
    if a.dtype != b.dtype and not _both(a, b, lambda v: isinstance(v, pd.Categorical)):
        yield f"{where}: {a.dtype} instead of {b.dtype}"
    elif isinstance(b, pd.Categorical):
        if a.ordered != b.ordered:
            yield f"{where}: ordered {a.ordered} instead of {b.ordered}"
        yield from _walk(a.categories, b.categories, f"{where} categories")
        if not np.array_equal(a.codes, b.codes):
            yield f"{where}: other codes"
    elif len(a) != len(b) or not pd.Series(a).equals(pd.Series(b)):
        yield f"{where}: other values"


def _sparse(a: Any, b: Any, where: str) -> Iterator[str]:
    for what in ("format", "shape", "dtype"):
        if getattr(a, what) != getattr(b, what):
            yield f"{where}: {what} {getattr(a, what)} instead of {getattr(b, what)}"
            return
    if not _same_arrays(a, b):
        a, b = a.copy(), b.copy()
        a.sum_duplicates(), b.sum_duplicates()
        yield f"{where}: {'order of what is stored' if _same_arrays(a, b) else 'other values'}"


def _same_arrays(a: Any, b: Any) -> bool:
    return all(
        np.array_equal(getattr(a, part), getattr(b, part), equal_nan=part == "data")
        for part in ("data", "indices", "indptr")
    )


def _arrays(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], where: str) -> Iterator[str]:
    if a.shape != b.shape:
        yield f"{where}: shape {a.shape} instead of {b.shape}"
    elif a.dtype.names or b.dtype.names:
        if a.dtype.names != b.dtype.names:
            yield f"{where}: fields {a.dtype.names} instead of {b.dtype.names}"
            return
        for name in b.dtype.names or ():
            yield from _arrays(np.asarray(a[name]), np.asarray(b[name]), f"{where}/{name}")
    elif a.dtype != b.dtype:
        yield f"{where}: {a.dtype} instead of {b.dtype}"
    elif a.dtype.kind == "O":
        if not pd.Series(a.ravel()).equals(pd.Series(b.ravel())):
            yield f"{where}: other values"
    elif not np.array_equal(a, b, equal_nan=b.dtype.kind in "fc"):
        yield f"{where}: other values"


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) or (isinstance(a, float | np.floating) and bool(a != a and b != b))
