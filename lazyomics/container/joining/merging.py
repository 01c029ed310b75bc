"""Merge mappings of several objects: which entries are kept when they agree or differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch
from typing import Any, Literal, TypeAlias

import dask.array as da
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics.container.ragged import is_ragged
from lazyomics.errors import require
from lazyomics.graph import materialize

__all__ = ["Merge", "MergeRule", "merge_rule", "same_value", "shared_keys"]

MergeName: TypeAlias = Literal["same", "unique", "first", "only"]
MergeRule: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]
Merge: TypeAlias = "MergeName | MergeRule | None"

_NOTHING = object()


def merge_rule(merge: Merge) -> MergeRule | None:
    """Return the function that merges mappings; None drops all their entries.

    Parameters
    ----------
    merge
        ``"same"`` keeps entries that all mappings have with one value; ``"unique"`` entries that
        have one value wherever they occur; ``"first"`` the first value; ``"only"`` entries that a
        single mapping has. Mappings inside are merged the same way. A function gets the list of
        mappings and returns one.

    Raises
    ------
    ValueError
        For another name.
    """
    if merge is None or callable(merge):
        return merge
    rules = {"same": _if_equal, "unique": _if_equal, "first": _first, "only": _if_single}
    if merge not in rules:
        raise ValueError(f"merge is one of {sorted(rules)}, a function or None, found {merge!r}")
    choose, everywhere = rules[merge], merge == "same"
    return lambda mappings: _merged(mappings, choose, everywhere)


def shared_keys(mappings: Sequence[Mapping[str, Any]], *, everywhere: bool) -> list[Any]:
    """Keys in order of appearance: of any mapping, or those that all mappings have."""
    keys = dict.fromkeys(key for mapping in mappings for key in mapping)
    return [k for k in keys if not everywhere or all(k in m for m in mappings)]


def _merged(
    mappings: Sequence[Mapping[str, Any]], choose: Callable[[list[Any]], Any], everywhere: bool
) -> dict[str, Any]:
    merged = {}
    for key in shared_keys(mappings, everywhere=everywhere):
        values = [m[key] for m in mappings if key in m]
        if all(isinstance(v, Mapping) for v in values):
            value: Any = _merged(values, choose, everywhere) or _NOTHING
        else:
            value = choose(values)
        if value is not _NOTHING:
            merged[key] = value
    return merged


def _if_equal(values: list[Any]) -> Any:
    return values[0] if all(same_value(v, values[0]) for v in values[1:]) else _NOTHING


def _first(values: list[Any]) -> Any:
    return values[0]


def _if_single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else _NOTHING


@singledispatch
def same_value(a: Any, b: Any) -> bool:
    """Whether two values are equal; missing values equal each other. Loads lazy ones.

    Arrays of numpy differ if their types do, as in anndata: but text of different lengths does not.
    """
    if is_ragged(a) or is_ragged(b):
        return _same_ragged(a, b)
    b = materialize(b) if isinstance(b, da.Array) else b
    if sp.issparse(b):
        if np.shape(a) != b.shape:
            return False
        b = b.toarray()
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and not _same_type(a, b):
        return False
    return _same_array(_as_array(a), _as_array(b))


def _same_ragged(a: Any, b: Any) -> bool:
    ak = require("awkward", extra="awkward", purpose="concat of awkward arrays")
    return is_ragged(a) and is_ragged(b) and bool(ak.almost_equal(a, b))


def _same_type(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if a.dtype.names is not None or b.dtype.names is not None:
        return a.dtype.names == b.dtype.names  # fields are compared one by one
    objects = "OUST"  # as which pandas holds text
    return a.dtype == b.dtype or (a.dtype.kind in objects and b.dtype.kind in objects)


def _as_array(value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError:  # lists of different lengths
        return np.asarray(value, dtype=object)


def _same_array(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if a.shape != b.shape:
        return False
    if a.dtype.names is not None or b.dtype.names is not None:
        names = a.dtype.names
        return names == b.dtype.names and all(same_value(a[n], b[n]) for n in names or ())
    gaps, other_gaps = np.asarray(pd.isna(a)), np.asarray(pd.isna(b))
    if not np.array_equal(gaps, other_gaps):
        return False
    left, right = a[~gaps], b[~gaps]
    try:
        return bool(np.array_equal(left, right))
    except ValueError:  # arrays inside of arrays of objects
        return all(map(same_value, left, right))


@same_value.register(pd.DataFrame)
@same_value.register(pd.Series)
def _same_table(a: Any, b: Any) -> bool:
    return bool(a.equals(b))


@same_value.register(da.Array)
def _same_lazy(a: da.Array, b: Any) -> bool:
    return a is b or (a.shape == np.shape(b) and same_value(materialize(a), b))


@same_value.register(sp.spmatrix)
@same_value.register(sp.sparray)
def _same_sparse(a: Any, b: Any) -> bool:
    other = materialize(b) if isinstance(b, da.Array) else b
    if not sp.issparse(other) or a.shape != other.shape:
        return False
    differs = (a != other).tocoo()
    if differs.nnz == 0:
        return True
    at = differs.row, differs.col
    left, right = a.tocsr()[at], other.tocsr()[at]
    return bool(np.isnan(np.asarray(left)).all() and np.isnan(np.asarray(right)).all())
