"""Names of the files that a save may leave beside its target when it is interrupted."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from uuid import uuid4

__all__ = ["Names", "temporary_name", "temporary_names"]


class Names(NamedTuple):
    """Paths that belong to the save of one file.

    Parameters
    ----------
    file
        The file itself, behind all symbolic links.
    journal
        Changes of a save that is complete, but maybe not yet in the file.
    part
        A journal that is being written.
    lock
        Held by the process that saves; says who it is.
    set_aside
        A journal that cannot be used.
    """

    file: str
    journal: str
    part: str
    lock: str
    set_aside: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Names:
        """Names for the file that a path leads to."""
        file = os.path.realpath(os.fspath(path))
        folder, name = os.path.split(file)
        stem = os.path.join(folder, f".{name}.lazyomics-")
        journal = f"{stem}journal"
        return cls(file, journal, f"{journal}.part", f"{stem}lock", f"{journal}.unused")

    def left_over(self) -> bool:
        """Whether a save is being put in place, or was interrupted."""
        return os.path.lexists(self.journal) or os.path.lexists(self.part)


def temporary_name(path: str) -> str:
    """A name for a file beside ``path`` that nobody else uses."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{os.getpid()}-{uuid4().hex[:8]}.part")


def temporary_names(path: str) -> re.Pattern[str]:
    """All such names in the folder of ``path``; the first group is the process."""
    name = os.path.basename(path)
    return re.compile(re.escape(f".{name}.") + r"(\d+)-[0-9a-f]{8}\.part")
