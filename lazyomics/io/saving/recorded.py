"""Saves that leave a record of themselves in the file, and objects that follow them in any case."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from lazyomics.errors import StaleFileError
from lazyomics.io.files import open_for_saving
from lazyomics.io.save_records import SaveRecord, add_record, read_records
from lazyomics.io.snapshot import state_of
from lazyomics.io.transaction.interrupts import interrupts
from lazyomics.io.writing import new_file

__all__ = ["Recorded", "complete", "record_replacement", "recorded_file"]


@dataclass
class Recorded:
    """A file that is being saved, and the record that the save leaves in it.

    Attributes
    ----------
    file
        The open file.
    before
        Its time stamp before the save.
    earlier
        Records of saves before.
    stamp
        The time stamp that it gets, once the record is written.
    """

    file: h5py.File
    before: int
    earlier: tuple[SaveRecord, ...]
    stamp: int | None = None

    def record(self, elements: Any) -> SaveRecord:
        """Write the record of what the save changes."""
        self.stamp = max(time.time_ns(), self.before + 1)
        made = SaveRecord.now(self.stamp, self.before, elements)
        add_record(self.file, made, self.earlier)
        return made


@contextmanager
def recorded_file(path: str, backing: Any) -> Iterator[Recorded]:
    """Open a file to save into it; this thread holds its lock.

    Parameters
    ----------
    path
        The file.
    backing
        That of the object that was opened from the file when the changes were decided.

    Raises
    ------
    StaleFileError
        If it has another one by now.
    """
    expected = backing.snapshot.state
    opened: list[Recorded] = []
    with open_for_saving(path, stamp=lambda: opened[0].stamp if opened else None) as file:
        if state_of(path) != expected:
            raise StaleFileError(
                f"{path} was changed by another program while it was saved; nothing was saved. "
                "Try again"
            )
        opened.append(Recorded(file, expected.mtime_ns, read_records(file)))
        yield opened[0]


@contextmanager
def record_replacement(
    path: Path,
    elements: Sequence[str],
    earlier: tuple[SaveRecord, ...],
    *,
    user_block: bytes = b"",
) -> Iterator[h5py.File]:
    """Write a new file in the place of one; it carries the records of the old one on.

    Parameters
    ----------
    path
        The file; this thread holds its lock.
    elements
        What differs in the new one.
    earlier
        Records in the old one.
    user_block
        Bytes in front of the HDF5 part.

    Raises
    ------
    StaleFileError
        If another program changed the file meanwhile.
    """
    state = state_of(os.fspath(path))
    assert state is not None
    opened: list[Recorded] = []
    stamp = lambda: opened[0].stamp if opened else None  # noqa: E731
    with new_file(path, user_block=user_block, stamp=stamp) as file:
        opened.append(Recorded(file, state.mtime_ns, earlier))
        yield file
        if state_of(os.fspath(path)) != state:
            raise StaleFileError(
                f"{path} was changed by another program while it was written anew; nothing was "
                "saved. Try again"
            )
        opened[0].record(elements)


def complete(path: str, write: Callable[[], None], follow: Callable[[], None]) -> None:
    """Save, and let the object follow its file, also if Ctrl-C came when the save counted already.

    Parameters
    ----------
    path
        The file; this thread holds its lock.
    write
        Saves.
    follow
        Lets the object be the new state of the file.
    """
    before = state_of(path)
    with interrupts(held=True):
        try:
            write()
        except KeyboardInterrupt:
            if state_of(path) != before:
                follow()
            raise
        follow()
