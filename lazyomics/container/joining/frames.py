"""Tables of several objects as one: under each other, or merged on common row names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from lazyomics.container.joining.merging import MergeRule
from lazyomics.graph.selection import Positions
from lazyomics.kernels.natural_order import natural_key

__all__ = ["common_names", "merged_frame", "on_rows", "positions_in", "stacked_frame"]


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
    """Take rows by position, missing where that is −1; the result has the given row names."""
    if here is None:
        return frame
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
