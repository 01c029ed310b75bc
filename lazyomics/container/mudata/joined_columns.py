"""Columns of the modalities on the rows of the whole object, and several of them as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics.container.mudata.axis import Axis, is_shared, modality_slot
from lazyomics.container.mudata.metadata_columns import split_prefix
from lazyomics.container.mudata.spread import spread_column, without_nullable

if TYPE_CHECKING:
    from lazyomics.container.mudata.object import MuData

__all__ = ["column_of", "joined_column", "update_column"]


def joined_column(mdata: MuData, axis: Axis, name: str) -> pd.Series[Any] | None:
    """Return a column of a modality on the rows of the whole object; None if there is none.

    ``"rna:leiden"`` is ``leiden`` of modality ``rna``. On the axis along which modalities are
    concatenated, a name that all of them have is joined without a prefix.
    """
    mods = mdata.mod
    mod, column = split_prefix(name, mods)
    if mod is not None:
        if column not in modality_slot(mods[mod], axis.name).columns:
            return None
        found = column_of(mdata, axis, mod, column)
        found.name = name
        return found
    everywhere = all(name in modality_slot(a, axis.name).columns for a in mods.values())
    if not mods or not everywhere or is_shared(axis.name, mdata.axis):
        return None
    joined = None
    for mod in mods:
        part = column_of(mdata, axis, mod, name)
        joined = part if joined is None else update_column(joined, part)
    return None if joined is None else without_nullable(joined).rename(name)


def column_of(mdata: MuData, axis: Axis, mod: str, column: str) -> pd.Series[Any]:
    """Return a column of one modality, missing on rows that it does not have."""
    axis.check_lengths(mdata.mod)
    frame = modality_slot(mdata.mod[mod], axis.name).frame
    values = spread_column(frame[column], axis.maps.rows_in(mod))
    return pd.Series(values, index=axis.table.index)


def update_column(old: pd.Series[Any], new: pd.Series[Any]) -> pd.Series[Any]:
    """Values of ``new`` where it has any, else those of ``old``; categories are united."""
    if isinstance(old.dtype, pd.CategoricalDtype) and isinstance(new.dtype, pd.CategoricalDtype):
        return _update_categories(old, new)
    if bool(new.notna().all()):
        return new
    if old.dtype != new.dtype:
        old, new = _same_type(old, new)
    return new.where(new.notna(), old)


def _same_type(old: pd.Series[Any], new: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[Any]]:
    old, new = old.convert_dtypes(), new.convert_dtypes()
    if old.dtype == new.dtype:
        return old, new
    numeric = all(pd.api.types.is_numeric_dtype(c.dtype) for c in (old, new))
    booleans = any(pd.api.types.is_bool_dtype(c.dtype) for c in (old, new))
    if numeric and not booleans:
        return old.astype("Float64"), new.astype("Float64")
    return old.astype(object), new.astype(object)


def _update_categories(old: pd.Series[Any], new: pd.Series[Any]) -> pd.Series[Any]:
    merged = old.cat.categories.append(
        new.cat.categories[~new.cat.categories.isin(old.cat.categories)]
    )
    ordered = bool(old.cat.ordered and new.cat.ordered)
    a = pd.Categorical(old.astype(object), categories=merged)
    b = pd.Categorical(new.astype(object), categories=merged)
    codes = np.where(b.codes >= 0, b.codes, a.codes)
    values = pd.Categorical.from_codes(codes, categories=merged, ordered=ordered)
    return pd.Series(values, index=old.index, name=old.name)
