"""Concatenate tables, and merge what is not along the joined axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce, singledispatch
from numbers import Real
from typing import Any, Literal, TypeAlias

import dask.array as da
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from lazyomics.container.categories import natural_key
from lazyomics.container.values import is_ragged
from lazyomics.errors import require
from lazyomics.lazy import materialize
from lazyomics.lazy.indexer import Positions

__all__ = [
    "Merge",
    "MergeRule",
    "common_names",
    "merge_rule",
    "merged_frame",
    "on_rows",
    "positions_in",
    "same_value",
    "shared_keys",
    "stacked_frame",
]


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


def stacked_frame(frames: Sequence[pd.DataFrame], join: Any, index: pd.Index) -> pd.DataFrame:
    """Put tables under each other; categories are united, booleans with gaps become nullable.

    Raises
    ------
    ValueError
        If a column that the result would have occurs twice in a table.
    """
    _refuse_repeated_columns(frames, join)
    stacked = pd.concat(_with_common_types(frames), join=join, ignore_index=True)
    stacked.index = index
    return stacked


def _refuse_repeated_columns(frames: Sequence[pd.DataFrame], join: str) -> None:
    repeated = {c for f in frames for c in f.columns[f.columns.duplicated()]}
    if join == "inner":
        repeated = {c for c in repeated if all(c in f.columns for f in frames)}
    if repeated:
        raise ValueError(
            f"columns {sorted(map(str, repeated))} occur twice in a table; rename them"
        )


def _with_common_types(frames: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Cast columns where pandas would fall back to objects."""
    names = dict.fromkeys(name for frame in frames for name in frame.columns)
    targets = {name: _common_type(frames, name) for name in names}
    made = []
    for frame in frames:
        cast = frame.copy(deep=False)
        for name, target in targets.items():
            if target is not None and name in cast:
                cast[name] = cast[name].astype(target)
        made.append(cast)
    return made


def _common_type(frames: Sequence[pd.DataFrame], name: Any) -> Any:
    columns = [f.dtypes[name] for f in frames if name in f.columns]
    if any(isinstance(dtype, pd.Series) for dtype in columns):
        return None  # a repeated column, which the join leaves out
    categorical = [isinstance(dtype, pd.CategoricalDtype) for dtype in columns]
    if any(categorical):
        return _common_categories(columns) if all(categorical) else None
    has_gaps = len(columns) < len(frames)
    if has_gaps and all(pd.api.types.is_bool_dtype(d) for d in columns):
        return pd.BooleanDtype()
    return None


def _common_categories(dtypes: Sequence[Any]) -> Any:
    """Unordered: all categories in natural order. Ordered: as they are if all agree."""
    every = reduce(lambda a, b: a.union(b), (dtype.categories for dtype in dtypes))
    if not any(dtype.ordered for dtype in dtypes):
        return pd.CategoricalDtype(_naturally_sorted(every), ordered=False)
    filled = [dtype for dtype in dtypes if len(dtype.categories)]
    agree = all(
        dtype.ordered
        and len(dtype.categories) == len(every)
        and bool(np.all(every == dtype.categories))
        for dtype in filled
    )
    return filled[0] if filled and agree else object


def _naturally_sorted(categories: pd.Index) -> Any:
    """Text in natural order; numbers among texts are where the same digits would be."""
    if not all(isinstance(c, str | Real) for c in categories) or is_numeric_dtype(categories):
        return categories
    keys = {c: natural_key(c) if isinstance(c, str) else ("", c) for c in categories}
    return pd.Index(sorted(categories, key=keys.__getitem__), dtype=categories.dtype)


def merged_frame(
    frames: Sequence[pd.DataFrame],
    places: Sequence[Positions | None],
    index: pd.Index,
    rule: MergeRule,
) -> pd.DataFrame:
    """Return a table with the given row names and the columns that a rule keeps.

    ``places`` holds the row of each name in each table, −1 for none; None if they are the same.
    """
    aligned = [on_rows(frame, here, index) for frame, here in zip(frames, places, strict=True)]
    return pd.DataFrame(rule(aligned), index=index)  # type: ignore[arg-type]


def on_rows(frame: pd.DataFrame, here: Positions | None, index: pd.Index) -> pd.DataFrame:
    """Take rows by position, missing where that is −1; the result has the given row names.

    Booleans become nullable for that, as in anndata 0.13: no file can hold what pandas makes of
    them, objects.
    """
    if here is None:
        return frame
    if bool((here < 0).any()):
        booleans = frame.columns[frame.dtypes == np.dtype(bool)]
        frame = frame.astype(dict.fromkeys(booleans, "boolean"))
    return frame.set_axis(pd.RangeIndex(len(frame))).reindex(here).set_axis(index)


def common_names(indexes: Sequence[pd.Index], join: str) -> pd.Index:
    """Row names that all objects have (``"inner"``), or any (``"outer"``)."""
    if join not in ("inner", "outer"):
        raise ValueError(f"join is 'inner' or 'outer', found {join!r}")
    first = indexes[0]
    if not first.is_unique and all(first.equals(other) for other in indexes[1:]):
        return first
    if join == "inner":
        return reduce(lambda a, b: a.intersection(b), indexes)
    return reduce(lambda a, b: a.union(b), indexes)


def positions_in(names: pd.Index, wanted: pd.Index, axis: str) -> Positions | None:
    """Position of each wanted name, −1 where it is missing; None if they are the same.

    Raises
    ------
    ValueError
        If names repeat, so that it is not clear which one is meant.
    """
    if names.equals(wanted):
        return None
    if not names.is_unique:
        raise ValueError(
            f"{axis}_names repeat ({names[names.duplicated()][0]!r}) and differ between the "
            f"objects; call {axis}_names_make_unique() first"
        )
    found: Positions = names.get_indexer(wanted).astype(np.int64)
    return found
