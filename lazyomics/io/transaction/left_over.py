"""What an interrupted save left beside a file: told, and finished."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lazyomics.io.transaction import disk
from lazyomics.io.transaction.file_object import close_locked
from lazyomics.io.transaction.journal import DamagedJournalError, Journal, NewerJournalError
from lazyomics.io.transaction.locks import lock_exclusive
from lazyomics.io.transaction.names import Names, open_beside, temporary_names
from lazyomics.io.transaction.recovery import JournalState, fit
from lazyomics.io.transaction.session import exclusively

__all__ = ["LeftOver", "files_with_left_over", "finish_save", "left_over"]

_MADE_BESIDE = re.compile(
    r"\.(.+)\.(?:lazyomics-journal(?:\.part|\.unused)?|\d+-[0-9a-f]{8}\.part)"
)

_WORDS = {
    JournalState.BEFORE: "a complete save is not in the file yet",
    JournalState.PARTLY: "a complete save is in the file in part",
    JournalState.AFTER: "a complete save is in the file, its journal was not removed",
    JournalState.CHANGED: "the journal belongs to an earlier state of the file",
    JournalState.MIXED: "the file was changed while a save was in it in part",
}


@dataclass(frozen=True)
class LeftOver:
    """What lies beside a file.

    Attributes
    ----------
    journal
        What the journal of a complete save means, in words; else empty.
    unfinished
        Files of saves that were not complete: nothing of them is in the file.
    set_aside
        A journal that could not be used, kept for whoever looks into it; else empty.
    """

    journal: str = ""
    unfinished: tuple[str, ...] = ()
    set_aside: str = ""

    def __bool__(self) -> bool:
        return bool(self.journal or self.unfinished or self.set_aside)


def left_over(path: str | os.PathLike[str]) -> LeftOver:
    """Look at what an interrupted save left, and change nothing.

    Parameters
    ----------
    path
        The file, which need not exist.

    Returns
    -------
    What is there. What a running process is writing is not counted.

    Examples
    --------
    >>> bool(left_over("nothing.h5ad"))
    False
    """
    names = Names.of(path)
    unfinished = [names.part] if os.path.lexists(names.part) else []
    folder, pattern = os.path.dirname(names.file), temporary_names(names.file)
    if os.path.isdir(folder):
        beside = (os.path.join(folder, n) for n in os.listdir(folder) if pattern.fullmatch(n))
        unfinished += [name for name in sorted(beside) if not _is_in_use(name)]
    return LeftOver(
        _state(names),
        tuple(unfinished),
        names.set_aside if os.path.lexists(names.set_aside) else "",
    )


def _is_in_use(path: str) -> bool:
    """Whether a process keeps a file locked, as all do that write one beside its target."""
    try:
        descriptor = open_beside(path, path)
    except OSError:
        return True  # gone by now, or nothing of ours
    try:
        return not lock_exclusive(descriptor)
    finally:
        close_locked(descriptor)


def _state(names: Names) -> str:
    if not os.path.lexists(names.journal):
        return ""
    try:
        journal = Journal.read(names.journal, names.file)
    except FileNotFoundError:
        return ""
    except DamagedJournalError:
        return "the journal is damaged"
    except NewerJournalError as error:
        return f"the journal is of {error}, of a newer lazyomics"
    try:
        descriptor = disk.open_file(names.file)
        try:
            return _WORDS[fit(journal, descriptor)]
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return "the file is gone"
    finally:
        journal.close()


def finish_save(path: str | os.PathLike[str], *, timeout: float | None = None) -> LeftOver:
    """Finish an interrupted save of a file: all of it is in the file then, or nothing.

    Parameters
    ----------
    path
        An existing file.
    timeout
        Seconds to wait for others; ``lazyomics.lock-timeout`` by default.

    Returns
    -------
    What could not be finished.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BlockingIOError
        If another process saves it, or keeps it open.
    PermissionError
        If the file or its folder cannot be written.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"{os.fspath(path)} does not exist")
    with exclusively(path, timeout=timeout):
        pass
    return left_over(path)


def files_with_left_over(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files of a folder, and of those in it, beside which something was left."""
    found = set()
    for place, _, names in os.walk(folder):
        for name in names:
            matched = _MADE_BESIDE.fullmatch(name)
            if matched and left_over(path := Path(place) / matched[1]):
                found.add(path)
    return sorted(found)
