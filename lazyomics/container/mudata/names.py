"""Rename the observations or variables of a MuData, in the whole and in its modalities."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics.container.annotated_object import AxisName
from lazyomics.container.frames import string_index
from lazyomics.container.mudata.axis import modality_slot
from lazyomics.errors import ShapeError, warn_user

if TYPE_CHECKING:
    from lazyomics.container.mudata.object import MuData

__all__ = ["make_names_unique", "set_names"]


def set_names(mdata: MuData, name: AxisName, names: Any) -> None:
    """Give new names to the entries of an axis, and to the same entries of each modality."""
    axis = mdata._axes[name]
    index = string_index(names if isinstance(names, pd.Index) else pd.Index(names))
    if len(index) != len(axis.table):
        raise ShapeError(f"{len(index)} names for {len(axis.table)} {name}")
    axis.check_lengths(mdata.mod)
    for mod, adata in mdata.mod.items():
        rows = axis.maps.rows_in(mod)
        present = rows >= 0
        given = np.empty(axis.maps.counts[mod], dtype=object)
        given[rows[present]] = np.asarray(index, dtype=object)[present]
        modality_slot(adata, name).index = list(given)
    axis.table.index = index


def make_names_unique(mdata: MuData, name: AxisName) -> None:
    """Append numbers to names repeated in a modality; where modalities have names in common, all
    get the name of their modality in front.
    """  # noqa: D205
    if mdata.axis != (1 if name == "obs" else 0):
        raise TypeError(
            f"{name}_names_make_unique() is for modalities that do not share their {name}; "
            f"this MuData has axis={mdata.axis}"
        )
    for adata in mdata.mod.values():
        getattr(adata, f"{name}_names_make_unique")()
    slots = {mod: modality_slot(adata, name) for mod, adata in mdata.mod.items()}
    pairs = combinations([slot.index for slot in slots.values()], 2)
    if any(bool(a.isin(b).any()) for a, b in pairs):
        warn_user(
            f"modalities have {name}_names in common: all {name}_names get the name of their "
            "modality in front",
        )
        for mod, slot in slots.items():
            slot.index = f"{mod}:" + slot.index.astype(str)
    axis = mdata._axes[name]
    if axis.counts(mdata.mod) != axis.maps.counts:
        mdata._update_axis(name)
        return
    named = np.empty(len(axis.table), dtype=object)
    for mod, slot in slots.items():
        rows = axis.maps.rows_in(mod)
        present = rows >= 0
        named[present] = np.asarray(slot.index, dtype=object)[rows[present]]
    axis.table.index = list(named)
