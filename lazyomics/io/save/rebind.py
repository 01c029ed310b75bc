"""Bind objects to their file as it is after a save."""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pandas as pd

from lazyomics.container.anndata import AnnData
from lazyomics.container.baseline import Baseline, content_of
from lazyomics.container.deferred import Cut, CutFrame, cut_value, is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.mappings import StoredValues
from lazyomics.container.slots import MatrixSlot
from lazyomics.errors import LazyomicsError
from lazyomics.io.backing import objects_of
from lazyomics.io.encodings import strings_to_categoricals
from lazyomics.io.save.frames import FrameChange
from lazyomics.io.save.merge import Changes
from lazyomics.io.save_records import INDEX, SaveRecord
from lazyomics.io.stored import StoredElement, StoredFrame
from lazyomics.lazy.kinds import is_dask_array

__all__ = [
    "merged",
    "read_before_replaced",
    "rebind",
    "rebind_mapping",
    "rebind_table",
]


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


def merged(adata: AnnData, theirs: AnnData, changes: Changes, replaced: Collection[str]) -> AnnData:
    """Return the file's object with the changes of another one.

    Parameters
    ----------
    adata
        The object that is saved: mine.
    theirs
        The file as it is now, cut to the same rows and columns.
    changes
        What of the annotation is written and removed.
    replaced
        Which of ``"X"`` and ``"raw"`` are those of ``adata``.
    """
    made = theirs.copy()
    if "X" in replaced:
        made._x = adata._x.copy()
    if "raw" in replaced:
        made._raw = None if adata._raw is None else adata._raw.copy()
    for name, change in changes.frames.items():
        _put_table(_slot(made, name), change)
    for element in changes.removed:
        _remove(made, element.split("/"))
    for element, value in changes.written.items():
        if element != "X":
            _put(made, element.split("/"), value)
    return made


def _slot(made: AnnData, name: str) -> FrameSlot:
    if name.startswith("raw"):
        assert made._raw is not None
        return made._raw.var
    return made._obs if name == "obs" else made._var


def _put_table(slot: FrameSlot, change: FrameChange) -> None:
    frame = slot.frame.copy()
    frame = frame.drop(columns=[c for c in change.removed if c in frame.columns])
    written = strings_to_categoricals(change.frame[list(change.columns)])
    for column in change.columns:
        frame[column] = written[column].array
    if change.index:
        frame.index = change.frame.index
    slot.hold(frame[list(change.order)])


def _mapping(made: AnnData, name: str) -> Any:
    return made._uns if name == "uns" else getattr(made, f"_{name}")


def _inside(made: AnnData, parts: list[str]) -> tuple[Any, list[str]]:
    """Return the mapping that an element is in, and the names below it."""
    if parts[0] == "raw":
        assert made._raw is not None
        return made._raw.varm, parts[2:]
    return _mapping(made, parts[0]), parts[1:]


def _remove(made: AnnData, parts: list[str]) -> None:
    target, names = _inside(made, parts)
    for name in names[:-1]:
        target = target[name]
    if names and names[-1] in target:
        del target[names[-1]]


def _put(made: AnnData, parts: list[str], value: Any) -> None:
    target, names = _inside(made, parts)
    for name in names[:-1]:
        target = target[name]
    target[names[-1]] = value


MOST_BYTES = 64 << 20


def read_before_replaced(path: str, record: SaveRecord, saver: list[Any]) -> None:
    """Let copies and selections keep the elements that a save changes.

    Tables, and entries of obsm, varm, uns and raw.varm up to 64 MiB are read into the objects that
    have not read them yet. Matrices are not: reading them afterwards is a ``StaleFileError``.

    Parameters
    ----------
    path
        The file; this thread holds its lock.
    record
        What the save changes.
    saver
        Objects that take part in the save themselves.
    """
    loaded: dict[Any, Any] = {}
    for opened in objects_of(path):
        if not any(opened is own for own in saver):
            for part in _parts(opened):
                _read_part(part, record, loaded)


def _parts(opened: Any) -> list[Any]:
    """Return the tables and mappings of an AnnData or a MuData."""
    parts = [opened._obs, opened._var, opened._uns, *opened._mappings()]
    if hasattr(opened, "_axes"):
        return [*parts, *(axis.maps for axis in opened._axes.values())]
    raw = opened._raw
    return parts if raw is None else [*parts, raw.var, raw.varm]


def _read_part(part: Any, record: SaveRecord, loaded: dict[Any, Any]) -> None:
    if not isinstance(part, StoredValues):
        stored = part.stored
        if stored is not None and _is_needed(stored, record):
            with suppress(LazyomicsError, OSError, KeyError):
                part.load_with(_load(stored, loaded))
        return
    for key, value in part.held().items():
        if is_deferred(value) and _is_needed(value, record):
            with suppress(LazyomicsError, OSError, KeyError):
                part.load_with(key, _load(value, loaded))


def _bases(value: Any) -> list[Any]:
    """Return the stored elements that a deferred value is read from."""
    if isinstance(value, Cut | CutFrame):
        return _bases(value.base)
    sources = getattr(value, "sources", None)
    return [value] if sources is None else [base for s in sources for base in _bases(s)]


def _is_needed(value: Any, record: SaveRecord) -> bool:
    """Tell whether a deferred value is read from small elements, of which the save changes one."""
    bases = _bases(value)
    if not all(isinstance(base, StoredFrame | StoredElement) for base in bases):
        return False
    if not any(record.touches(name.strip("/")) for base in bases for name in _names(base)):
        return False
    try:
        return sum(int(base.nbytes) for base in bases) <= MOST_BYTES
    except (LazyomicsError, OSError, KeyError):
        return False


def _names(base: StoredFrame | StoredElement) -> list[str]:
    if isinstance(base, StoredElement):
        return [base.name]
    return [base.element(column) for column in (INDEX, *base.columns)]


def _load(value: Any, loaded: dict[Any, Any]) -> Any:
    """Read a value, the stored element below its cuts once for all of them."""
    if not isinstance(value, Cut | CutFrame) or not isinstance(
        value.base, StoredFrame | StoredElement
    ):
        return value.load()
    if value.base not in loaded:
        loaded[value.base] = value.base.load()
    if isinstance(value, CutFrame):
        return value.of(loaded[value.base])
    return cut_value(loaded[value.base], value.selectors)
