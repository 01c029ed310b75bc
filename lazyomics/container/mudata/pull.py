"""Columns of the modalities copied into the table of the whole object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from lazyomics.container.mudata.axis import Axis, is_shared, modality_slot
from lazyomics.container.mudata.joined_columns import column_of, update_column
from lazyomics.container.mudata.metadata_columns import (
    ModalityColumn,
    asked_mods,
    modality_columns,
)
from lazyomics.container.mudata.spread import without_nullable
from lazyomics.errors import warn_user

if TYPE_CHECKING:
    from lazyomics.container.mudata.object import MuData

__all__ = ["PullOptions", "pull"]


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
                part = column_of(mdata, axis, mod, column.name)
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
