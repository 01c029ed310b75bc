"""Records of saves inside a file: which elements each changed, for objects that were opened before.

Each save in place leaves a record in an attribute of the file's root, and gives the file a time
stamp that the record names. From the records an object that was opened earlier can tell which of
its elements are still those of its state: the stamps must lead, save by save, from the one that it
saw to the one that the file has now. Where they do not, another program changed the file.
"""

from __future__ import annotations

import json
import os
import socket
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

__all__ = [
    "ATTRIBUTE",
    "EVERYTHING",
    "INDEX",
    "SaveRecord",
    "add_record",
    "read_records",
    "records_between",
]

ATTRIBUTE = "lazyomics-saves"
INDEX = "_index"
"""Name under which records speak of the row names of a table; no column can have it."""

EVERYTHING = ""
"""Stands for the whole file."""

BYTES = 4 << 10  # always the same, so that the attribute is overwritten in its place
MOST_ELEMENTS = 300
_MOST_TEXT = 1 << 20


@dataclass(frozen=True)
class SaveRecord:
    """One save.

    Attributes
    ----------
    stamp, before
        Time stamp of the file after the save and before it, in nanoseconds.
    by
        Who saved, in words.
    elements
        What was changed, written or removed, as paths without a leading slash; ``""`` stands for
        the whole file.
    """

    stamp: int
    before: int
    by: str
    elements: tuple[str, ...]

    @classmethod
    def now(cls, stamp: int, before: int, elements: Iterable[str]) -> SaveRecord:
        """Make the record of a save by this process."""
        names = tuple(sorted({name.strip("/") for name in elements}))
        if len(names) > MOST_ELEMENTS:
            names = tuple(sorted({_group_of(name) for name in names}))
        when = datetime.now().astimezone().isoformat(timespec="seconds")
        return cls(stamp, before, f"process {os.getpid()} on {socket.gethostname()}, {when}", names)

    def touches(self, element: str) -> bool:
        """Tell whether the save changed an element, what is in it, or what it is in."""
        return any(
            name in (EVERYTHING, element)
            or name.startswith(f"{element}/")
            or element.startswith(f"{name}/")
            for name in self.elements
        )


def _group_of(name: str) -> str:
    """Return the table or mapping that an element is in, of a modality or of the whole."""
    parts = name.split("/")
    depth = 3 if parts[0] == "mod" else 1
    return "/".join(parts[:depth])


def read_records(file: Any) -> tuple[SaveRecord, ...]:
    """Read the records of a file, oldest first; none where there are none, or they are damaged."""
    try:
        stored = np.asarray(file["/"].attrs.get(ATTRIBUTE, ()), dtype=np.uint8)
        text = zlib.decompressobj().decompress(stored.tobytes(), _MOST_TEXT)
        return tuple(
            SaveRecord(int(at), int(before), str(by), tuple(map(str, names)))
            for at, before, by, names in json.loads(text)
        )
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, zlib.error):
        return ()


def add_record(file: Any, record: SaveRecord, earlier: Sequence[SaveRecord]) -> None:
    """Write a record behind earlier ones into an open file; the oldest make room for it."""
    kept = [*earlier, record]
    while len(packed := _packed(kept)) > BYTES and len(kept) > 1:
        kept = kept[1 + len(kept) // 8 :]
    if len(packed) > BYTES:
        groups = tuple(sorted({_group_of(name) for name in record.elements}))
        packed = _packed([replace(record, elements=groups)])
    if len(packed) > BYTES:
        packed = _packed([replace(record, elements=(EVERYTHING,))])
    value = np.frombuffer(packed.ljust(BYTES, b"\0"), dtype=np.uint8)
    attributes = file["/"].attrs
    if ATTRIBUTE in attributes and attributes.get_id(ATTRIBUTE).shape == value.shape:
        attributes.modify(ATTRIBUTE, value)
    else:
        attributes.create(ATTRIBUTE, value)


def _packed(records: Sequence[SaveRecord]) -> bytes:
    rows = [(r.stamp, r.before, r.by, r.elements) for r in records]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode())


def records_between(
    records: Sequence[SaveRecord], before: int, now: int
) -> tuple[SaveRecord, ...] | None:
    """Return the saves that lead from one time stamp of a file to another.

    Returns
    -------
    Their records, or None if something else changed the file meanwhile.
    """
    if before == now:
        return ()
    found: list[SaveRecord] = []
    for record in records:
        if record.before == (found[-1].stamp if found else before):
            found.append(record)
    if found and found[-1].stamp == now:
        return tuple(found)
    return None
