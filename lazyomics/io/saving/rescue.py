"""Read what a save is about to replace for other objects of this process that still need it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from lazyomics.container.deferred import Cut, CutFrame, cut_value, is_deferred
from lazyomics.container.stored_values import StoredValues
from lazyomics.errors import LazyomicsError
from lazyomics.io.backing import objects_of
from lazyomics.io.save_records import INDEX, SaveRecord
from lazyomics.io.stored import StoredElement, StoredFrame

__all__ = ["read_before_replaced"]

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
