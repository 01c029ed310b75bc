"""Let an object be the state of its file after a save, or after others saved."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import Any

import pandas as pd

from lazyomics.container.anndata import AnnData
from lazyomics.container.baseline import Baseline, content_of
from lazyomics.container.deferred import is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.slots import MatrixSlot
from lazyomics.container.stored_values import StoredValues
from lazyomics.graph.kinds import is_dask_array
from lazyomics.io.stored import StoredFrame

__all__ = ["rebind", "rebind_mapping", "rebind_table"]


def rebind(
    adata: AnnData,
    opened: AnnData,
    taken: set[str],
    *,
    keep_x: bool = False,
    keep_raw: bool = False,
) -> None:
    """Let an object hold what a freshly opened one does, but for what it has in memory.

    Parameters
    ----------
    adata, opened
        The object, and its file as it is now: of the same rows and columns.
    taken
        Elements that are read anew though they are in memory, as others changed them.
    keep_x, keep_raw
        Whether X and raw were changed and not written: they stay as they are.
    """
    rebind_table("obs", adata._obs, opened._obs, taken)
    rebind_table("var", adata._var, opened._var, taken)
    for mine, theirs in zip(adata._mappings(), opened._mappings(), strict=True):
        rebind_mapping(mine.name, mine, theirs, taken)
    rebind_mapping("uns", adata._uns, opened._uns, taken)
    if not keep_x and (not adata._x.is_in_memory or "X" in taken):
        adata._x = MatrixSlot(opened._x.held)
    if not keep_raw:
        _rebind_raw(adata, opened)
    adata._backing = opened._backing
    if opened._backing is not None:
        opened._backing.remember(adata)


def _rebind_raw(adata: AnnData, opened: AnnData) -> None:
    """Take over raw of the file; a matrix in memory that was written stays there."""
    before = adata._raw
    adata._raw = None if opened._raw is None else opened._raw.copy()
    if before is not None and adata._raw is not None and before.x.is_in_memory:
        adata._raw.x = before.x


def rebind_table(name: str, mine: FrameSlot, theirs: FrameSlot, taken: set[str]) -> None:
    """Let a table be the stored one; one in memory takes over the columns that others changed."""
    stored = theirs.stored
    if stored is None:
        if mine.is_loaded:
            _take_columns(name, mine.frame, theirs, taken)
            mine.hold(mine.frame, _baseline(theirs.baseline, mine.frame))
        else:
            mine.hold(theirs.frame, theirs.baseline)
        return
    stored = _with_chosen_columns(stored, mine)
    if not mine.is_loaded:
        mine.hold(stored)
        return
    frame = mine.frame
    _take_columns(name, frame, theirs, taken)
    mine.hold(frame, Baseline(stored, content_of(frame)))


def _with_chosen_columns(stored: Any, mine: FrameSlot) -> Any:
    """Leave out the columns that were left out when the object was opened."""
    before = mine.stored if mine.baseline is None else mine.baseline.origin
    before = getattr(before, "base", before)
    if not isinstance(stored, StoredFrame) or not isinstance(before, StoredFrame):
        return stored
    if before.only is None:
        return stored
    hidden = set(before.all_columns) - set(before.only)
    return replace(stored, only=tuple(c for c in stored.all_columns if c not in hidden))


def _baseline(theirs: Baseline | None, value: Any) -> Baseline | None:
    return None if theirs is None else Baseline(theirs.origin, content_of(value))


def _take_columns(name: str, frame: pd.DataFrame, theirs: FrameSlot, taken: set[str]) -> None:
    """Put the columns of the file that others changed into a table in memory, in place."""
    start = f"{name}/"
    for element in sorted(taken):
        column = element.removeprefix(start)
        if column == element:
            continue
        if column in theirs.columns:
            stored = theirs.stored
            values = theirs.frame[column] if stored is None else stored.column(column)
            frame[column] = values.array
        elif column in frame.columns:
            del frame[column]


def rebind_mapping(name: str, mine: StoredValues, theirs: StoredValues, taken: set[str]) -> None:
    """Let entries be those of the file; what is in memory stays, unless others changed it."""
    held, there = mine.held(), theirs.held()
    for key in [key for key in held if key not in there]:
        mine.forget(key)
    for key, stored in there.items():
        element = f"{name}/{key}"
        value = held.get(key)
        lazy = key not in held or is_deferred(value) or is_dask_array(value)
        if lazy or element in taken:
            mine.hold(key, stored, theirs.baseline(key))
            continue
        if isinstance(value, MutableMapping):
            _take_entries(element, value, theirs, key, taken)
        origin = stored if is_deferred(stored) else _origin(theirs, key)
        mine.hold(key, value, None if origin is None else Baseline(origin, content_of(value)))


def _origin(theirs: StoredValues, key: str) -> Any:
    baseline = theirs.baseline(key)
    return None if baseline is None else baseline.origin


def _take_entries(
    element: str,
    value: MutableMapping[str, Any],
    theirs: StoredValues,
    key: str,
    taken: set[str],
) -> None:
    """Put entries of a dictionary that others changed into the one in memory, at any depth."""
    inside = [e for e in taken if e.startswith(f"{element}/")]
    if not inside:
        return
    stored = theirs[key]
    for path in inside:
        parts = path.removeprefix(f"{element}/").split("/")
        source: Any = stored
        target: Any = value
        for part in parts[:-1]:
            source = source.get(part) if isinstance(source, Mapping) else None
            target = target.get(part) if isinstance(target, Mapping) else None
        if not isinstance(target, MutableMapping):
            continue
        if isinstance(source, Mapping) and parts[-1] in source:
            target[parts[-1]] = source[parts[-1]]
        else:
            target.pop(parts[-1], None)
