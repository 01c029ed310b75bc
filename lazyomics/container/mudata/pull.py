"""Columns of the modalities in the table of the whole object: joined on demand, or copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics.container.mudata.axis import Axis, is_shared, modality_slot
from lazyomics.container.mudata.metadata_columns import (
    ModalityColumn,
    modality_columns,
    split_prefix,
)
from lazyomics.container.mudata.spread import spread_column, without_nullable
from lazyomics.errors import warn_user

if TYPE_CHECKING:
    from lazyomics.container.mudata.object import MuData

__all__ = ["PullOptions", "joined_column", "pull", "update_column"]


@dataclass(frozen=True)
class PullOptions:
    """Arguments of ``pull_obs`` and ``pull_var``."""

    columns: Sequence[str] | None = None
    mods: Sequence[str] | str | None = None
    common: bool | None = None
    join_common: bool | None = None
    nonunique: bool | None = None
    join_nonunique: bool | None = None
    unique: bool | None = None
    prefix_unique: bool = True
    drop: bool = False
    only_drop: bool = False


def joined_column(mdata: MuData, axis: Axis, name: str) -> pd.Series[Any] | None:
    """Return a column of a modality on the rows of the whole object; None if there is none.

    ``"rna:leiden"`` is ``leiden`` of modality ``rna``. On the axis along which modalities are
    concatenated, a name that all of them have is joined without a prefix.
    """
    mods = mdata.mod
    mod, column = split_prefix(name, mods)
    index = axis.table.index
    if mod is not None:
        if column not in modality_slot(mods[mod], axis.name).columns:
            return None
        return pd.Series(_spread(mdata, axis, mod, column), index=index, name=name)
    everywhere = all(name in modality_slot(a, axis.name).columns for a in mods.values())
    if not mods or not everywhere or is_shared(axis.name, mdata.axis):
        return None
    joined = None
    for mod in mods:
        part = pd.Series(_spread(mdata, axis, mod, name), index=index)
        joined = part if joined is None else update_column(joined, part)
    return None if joined is None else without_nullable(joined).rename(name)


def _spread(mdata: MuData, axis: Axis, mod: str, column: str) -> Any:
    axis.check_lengths(mdata.mod)
    frame = modality_slot(mdata.mod[mod], axis.name).frame
    return spread_column(frame[column], axis.maps.rows_in(mod))


def pull(mdata: MuData, axis: Axis, options: PullOptions) -> None:
    """Copy columns of the modalities into the table of the whole object, or drop them there."""
    _check_joins(mdata, axis, options)
    axis.check_lengths(mdata.mod)
    chosen = _chosen(mdata, axis, options)
    if not options.only_drop:
        frame = mdata._frame_of(axis.name)
        columns: dict[str, pd.Series[Any]] = {str(c): frame[c] for c in frame.columns}
        for mod, found in _names(mdata, axis, chosen, options).items():
            for target, column in sorted(found.items()):
                part = pd.Series(_spread(mdata, axis, mod, column.name), index=frame.index)
                old = columns.get(target)
                columns[target] = part if old is None else update_column(old, part)
        plain = {name: without_nullable(values) for name, values in columns.items()}
        mdata._set_frame(axis.name, pd.DataFrame(plain, index=frame.index))
    if options.drop or options.only_drop:
        for mod, held in chosen.items():
            adata = mdata.mod[mod]
            left = modality_slot(adata, axis.name).frame.drop(columns=[c.name for c in held])
            setattr(adata, axis.name, left)


def _check_joins(mdata: MuData, axis: Axis, options: PullOptions) -> None:
    joins = options.join_common or options.join_nonunique
    if joins and is_shared(axis.name, mdata.axis):
        raise ValueError(f"columns of the same name cannot be joined over shared {axis.name}_names")


def asked_mods(mdata: MuData, mods: Sequence[str] | str | None) -> list[str]:
    """Names of the modalities that an argument asks for."""
    if mods is None:
        return list(mdata.mod)
    wanted = [mods] if isinstance(mods, str) else list(mods)
    for mod in wanted:
        mdata.mod[mod]  # for its message
    return wanted


def _chosen(mdata: MuData, axis: Axis, options: PullOptions) -> dict[str, list[ModalityColumn]]:
    """Columns to pull, by modality."""
    every = modality_columns(
        {mod: modality_slot(a, axis.name).columns for mod, a in mdata.mod.items()}
    )
    kinds = {
        "common": options.common,
        "nonunique": options.nonunique,
        "unique": options.unique,
    }
    if options.columns is not None:
        for kind, asked in kinds.items():
            if asked is not None:
                warn_user(
                    f"both columns and {kind} are given: {kind} is ignored",
                    RuntimeWarning,
                )
        wanted = set(options.columns)
        held = {
            mod: [c for c in found if c.name in wanted or c.prefixed in wanted]
            for mod, found in every.items()
        }
    else:
        held = {
            mod: [c for c in found if kinds[c.kind] in (None, True)] for mod, found in every.items()
        }
    return {mod: held[mod] for mod in asked_mods(mdata, options.mods)}


def _names(
    mdata: MuData,
    axis: Axis,
    chosen: dict[str, list[ModalityColumn]],
    options: PullOptions,
) -> dict[str, dict[str, ModalityColumn]]:
    """Name in the whole object of each column to pull."""
    counts = Counter(c.name for held in chosen.values() for c in held)
    join_common = options.join_common
    if join_common is None:
        join_common = not is_shared(axis.name, mdata.axis)
    without_prefix = {
        "common": bool(join_common),
        "nonunique": bool(options.join_nonunique),
        "unique": not options.prefix_unique,
    }
    # a column that only some modalities are asked for keeps its prefix, or a later pull or push
    # could not tell where it came from
    return {
        mod: {
            c.name if without_prefix[c.kind] and counts[c.name] == c.count else c.prefixed: c
            for c in held
        }
        for mod, held in chosen.items()
    }


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
