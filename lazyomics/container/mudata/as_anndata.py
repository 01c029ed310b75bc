"""A MuData as one AnnData: its modalities side by side, with the annotation of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics.container.annotated import AxisName
from lazyomics.container.concat.anndata import JoinOptions, join_annotated
from lazyomics.container.frames import FrameSlot
from lazyomics.container.mudata.axis import Axis, is_shared
from lazyomics.lazy.indexer import Positions

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData
    from lazyomics.container.mudata.joined import GlobalTables

__all__ = ["as_anndata"]


def as_anndata(mdata: GlobalTables, **options: Any) -> AnnData:
    """Join the modalities along the axis that they do not share; see ``MuData.to_anndata``."""
    if mdata.axis == -1:
        raise ValueError(
            "to_anndata joins modalities along the axis that they do not share; with axis=-1 they "
            "share both: take one of them, or make a MuData with axis=0 or 1"
        )
    mdata._align_tables()
    if not mdata.mod:
        raise ValueError("to_anndata needs at least one modality, found none")
    options_of_all = JoinOptions.of(mdata.axis ^ 1, list(mdata.mod), **options)
    joined = join_annotated(list(mdata.mod.values()), options_of_all)
    for name, axis in mdata._axes.items():
        axis.check_lengths(mdata.mod)
        shared = is_shared(name, mdata.axis)
        rows = _rows_of_names(axis, joined, name) if shared else _rows_side_by_side(axis)
        _annotate(joined, axis, rows)
    joined.uns.update(mdata.uns)
    return joined


def _rows_of_names(axis: Axis, joined: AnnData, name: AxisName) -> Positions:
    """Where the whole object has the names that are left of a shared axis."""
    names = joined.obs_names if name == "obs" else joined.var_names
    if names.equals(axis.table.index):
        return np.arange(len(names))
    rows: Positions = axis.table.index.get_indexer(names).astype(np.int64)
    return rows


def _rows_side_by_side(axis: Axis) -> Positions:
    """Where the whole object has the entries of one modality after the other."""
    parts = []
    for mod in axis.maps:
        inside = axis.maps.rows_in(mod)
        here = np.flatnonzero(inside >= 0)
        parts.append(here[np.argsort(inside[here], kind="stable")])
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _annotate(joined: AnnData, axis: Axis, rows: Positions) -> None:
    """Add columns and arrays of the whole object; columns of the modalities come first."""
    own = axis.table.take(rows).frame
    names = joined.obs_names if axis.name == "obs" else joined.var_names
    frame = joined.obs if axis.name == "obs" else joined.var
    table = FrameSlot(frame.combine_first(pd.DataFrame(own).set_axis(names)))
    if axis.name == "obs":
        joined._obs = table
    else:
        joined._var = table
    for mapping in (axis.arrays, axis.pairs):
        target = getattr(joined, mapping.name)
        for key, value in mapping.take((rows, rows), joined.shape).stored().items():
            target[key] = value
