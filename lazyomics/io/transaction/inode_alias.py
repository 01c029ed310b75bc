"""Files that this process put in the place of others: arrays opened from those go on."""

from __future__ import annotations

import os

__all__ = [
    "forget",
    "is_copy_of",
    "original_inode",
]


_originals: dict[tuple[str, int], int] = {}


def is_copy_of(path: str, copy: os.stat_result, original: os.stat_result) -> None:
    """Remember that a file continues the one that had its path, with a save put into it.

    ``path`` is without symbolic links.
    """
    inode = original_inode(path, original)
    forget(path)  # numbers of files that are gone are given to others
    _originals[path, copy.st_ino] = inode


def forget(path: str) -> None:
    """The file at this path is replaced by an unrelated one."""
    for known in [key for key in _originals if key[0] == path]:
        _originals.pop(known, None)


def original_inode(path: str, status: os.stat_result) -> int:
    """The inode of a file, or of the one that it continues."""
    if not _originals:
        return status.st_ino
    return _originals.get((os.path.realpath(path), status.st_ino), status.st_ino)
