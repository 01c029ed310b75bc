"""Which files below a folder this process has open.

Only these are counted: a cluster that another test started opens files of its own, whenever it
likes.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

OPEN = Path("/proc/self/fd")


def open_files(folder: Path) -> set[str]:
    """Numbers and names of what is open, with what was deleted meanwhile."""
    found, below = set(), f"{folder.resolve()}{os.sep}"
    for number in os.listdir(OPEN):
        with contextlib.suppress(FileNotFoundError):
            name = os.readlink(OPEN / number)
            if name.startswith(below):
                found.add(f"{number}: {name}")
    return found
