"""Merge mappings of several objects: which entries are kept when they agree or differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch
from typing import Any, Literal, TypeAlias

import dask.array as da
import numpy as np
import pandas as pd
import scipy.sparse as sp

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
    """Whether two values are equal; missing values equal each other. Loads lazy ones."""
    first, second = np.asarray(a), np.asarray(materialize(b) if isinstance(b, da.Array) else b)
    if first.shape != second.shape:
        return False
    if first.dtype.names is not None or second.dtype.names is not None:
        return bool(np.array_equal(first, second))
    gaps, other_gaps = np.asarray(pd.isna(first)), np.asarray(pd.isna(second))
    same_gaps = bool(np.array_equal(gaps, other_gaps))
    return same_gaps and bool(np.array_equal(first[~gaps], second[~gaps]))


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
