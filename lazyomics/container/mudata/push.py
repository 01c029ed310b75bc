"""Columns of the whole object copied into the tables of the modalities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics.container.mudata.axis import Axis, modality_slot
from lazyomics.container.mudata.joined_columns import update_column
from lazyomics.container.mudata.metadata_columns import asked_mods, split_prefix
from lazyomics.container.mudata.spread import without_nullable
from lazyomics.errors import warn_user

if TYPE_CHECKING:
    from lazyomics.container.mudata.object import MuData

__all__ = ["PushOptions", "push"]


@dataclass(frozen=True)
class PushOptions:
    """Arguments of ``push_obs`` and ``push_var``."""

    columns: Sequence[str] | None = None
    mods: Sequence[str] | str | None = None
    common: bool | None = None
    prefixed: bool | None = None
    drop: bool = False
    only_drop: bool = False


def push(mdata: MuData, axis: Axis, options: PushOptions) -> None:
    """Copy columns to modalities: with a prefix to that one, without to all of them."""
    axis.check_lengths(mdata.mod)
    mods = asked_mods(mdata, options.mods)
    chosen = _chosen(mdata, axis, options, mods)
    if not chosen:
        return
    frame = mdata._frame_of(axis.name)
    if not options.only_drop:
        _check_names(chosen, frame)
        for mod in mods:
            mine = {name: c for name, (prefix, c) in chosen.items() if prefix in (None, mod)}
            _push_to(mdata, axis, mod, frame, mine)
    if options.drop or options.only_drop:
        mdata._set_frame(axis.name, frame.drop(columns=list(chosen)))


def _chosen(
    mdata: MuData, axis: Axis, options: PushOptions, mods: Sequence[str]
) -> dict[str, tuple[str | None, str]]:
    """Columns to push: modality (None for all) and name there."""
    split = {
        str(name): split_prefix(str(name), mdata.mod) for name in mdata._frame_of(axis.name).columns
    }
    if options.columns is not None:
        for kind, asked in (("common", options.common), ("prefixed", options.prefixed)):
            if asked:
                warn_user(
                    f"both columns and {kind} are given: {kind} is ignored",
                    RuntimeWarning,
                )
        wanted = set(options.columns)
        return {
            name: (mod, column)
            for name, (mod, column) in split.items()
            if (name in wanted or column in wanted) and (mod is None or mod in mods)
        }
    common, prefixed = options.common is not False, options.prefixed is not False
    return {
        name: (mod, column)
        for name, (mod, column) in split.items()
        if (common if mod is None else prefixed)
    }


def _check_names(chosen: dict[str, tuple[str | None, str]], frame: pd.DataFrame) -> None:
    counts = Counter(column for _, column in chosen.values())
    both = [c for c, n in counts.items() if n > 1 and c in frame.columns and c in chosen]
    if both:
        raise ValueError(
            f"column {both[0]!r} is there with and without the prefix of a modality: name the "
            "columns to push, or remove one of them first"
        )


def _push_to(
    mdata: MuData, axis: Axis, mod: str, frame: pd.DataFrame, columns: dict[str, str]
) -> None:
    """Bring columns into the order of a modality and put them into its table."""
    if not columns:
        return
    positions = axis.maps.rows_in(mod)
    rows = np.flatnonzero(positions >= 0)
    rows = rows[np.argsort(positions[rows])]
    adata = mdata.mod[mod]
    held = modality_slot(adata, axis.name).frame
    made: dict[str, pd.Series[Any]] = {str(c): held[c] for c in held.columns}
    for name, column in sorted(columns.items(), key=lambda item: item[1]):
        part = pd.Series(frame[name].array.take(rows), index=held.index)
        old = made.get(column)
        made[column] = part if old is None else update_column(old, part)
    plain = {name: without_nullable(values) for name, values in made.items()}
    setattr(adata, axis.name, pd.DataFrame(plain, index=held.index))
