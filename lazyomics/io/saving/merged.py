"""The object that a save writes in the place of its file: theirs, with the changes of mine."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lazyomics.container.anndata import AnnData
from lazyomics.container.frames import FrameSlot
from lazyomics.io.encodings import strings_to_categoricals
from lazyomics.io.saving.changes import Changes
from lazyomics.io.saving.frames import FrameChange

__all__ = ["merged"]


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
