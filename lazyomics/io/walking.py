"""All elements of an open file, one after the other, whatever is damaged in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py

from lazyomics.errors import FileFormatError, LazyomicsError
from lazyomics.io.encodings import element_kind, frame_columns, open_member
from lazyomics.io.encodings.checks import is_text, member_names
from lazyomics.io.encodings.damage import HDF5_ERRORS
from lazyomics.io.encodings.mappings import walking

__all__ = ["Element", "elements_of", "reason_of"]

#: Encodings whose members are elements of their own.
GROUPS = frozenset({"anndata", "mudata", "dict", "raw", "dataframe", "unknown"})


@dataclass(frozen=True)
class Element:
    """An element of a file.

    Attributes
    ----------
    name
        Its path, without a leading slash; ``""`` for the root.
    kind
        Its encoding, ``"index"`` for the row names of a table.
    obj
        The open group or dataset; None if it cannot be opened.
    damage
        Why not, or why its members cannot be listed; else empty.
    """

    name: str
    kind: str
    obj: Any
    damage: str = ""


def reason_of(error: BaseException) -> str:
    """Return what an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def elements_of(group: h5py.Group) -> list[Element]:
    """List what is in an open group, down to single columns of tables.

    Parameters
    ----------
    group
        An open file, or a group of one.

    Returns
    -------
    All elements, in the order of the file. A sparse matrix is one element, as is a column of
    categories. Reads names and attributes, no values.
    """
    found: list[Element] = []
    _add(group, str(group.name).strip("/"), found)
    return found


def _add(obj: Any, name: str, found: list[Element], kind: str = "") -> None:
    try:
        kind = kind or element_kind(obj)
        found.append(Element(name, kind, obj))
        if isinstance(obj, h5py.Group) and kind in GROUPS:
            with walking(obj):
                _add_members(obj, name, kind, found)
    except (LazyomicsError, *HDF5_ERRORS) as error:
        found.append(Element(name, kind or "damaged", None, reason_of(error)))


def _add_members(group: h5py.Group, name: str, kind: str, found: list[Element]) -> None:
    columns = frame_columns(group) if kind == "dataframe" else None
    names = member_names(group)
    stored = set(names)
    if columns is not None:
        index = group.attrs.get("_index", "_index")
        names = [n for n in names if n in {*columns, index}]
        names += [column for column in columns if column not in stored]  # missing: damage
    for key in names:
        place = f"{name}/{key}".lstrip("/")
        try:
            if not is_text(key):
                raise FileFormatError.at(
                    group.file.filename, place, expected="a name in UTF-8", found="other bytes"
                )
            member = open_member(group, key)
        except (LazyomicsError, *HDF5_ERRORS) as error:
            found.append(Element(place, "damaged", None, reason_of(error)))
            continue
        is_index = columns is not None and key not in columns
        _add(member, place, found, "index" if is_index else "")
