"""How a new file takes the place of an old one, and what it inherits from it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from lazyomics.errors import AttributesLostWarning, warn_user
from lazyomics.io.transaction import disk
from lazyomics.io.transaction.attributes import attributes_of, give, give_mode
from lazyomics.io.transaction.names import temporary_name

__all__ = ["inherit", "take_place"]


def inherit(descriptor: int, temporary: str, path: str) -> list[str]:
    """Give a complete new file, so far nobody else's, the attributes of the one at its place.

    Parameters
    ----------
    descriptor, temporary
        The new file, and its path for now.
    path
        Where it will be, behind all symbolic links; if nothing is there, it gets the permissions
        that new files have.

    Returns
    -------
    What it could not be given, in words.
    """
    old = attributes_of(path)
    if old is not None:
        return give(old, descriptor, temporary)
    return give_mode(descriptor, _usual_mode(path)) if hasattr(os, "fchmod") else []


def take_place(temporary: str, path: str, lost: list[str]) -> None:
    """Rename a new file to the old one's name, and warn of what it did not inherit."""
    disk.rename(temporary, path)
    with suppress(OSError):  # done, if maybe not for a power failure: both states are whole
        disk.sync_folder(path)
    if lost:
        warn_user(
            f"{path} is now a new file, which is complete but could not be given all that it "
            f"should have: {', '.join(lost)}. Its owner or the administrator can set that",
            AttributesLostWarning,
        )


def _usual_mode(path: str) -> int:
    """Permissions of new files in a folder: what the umask, or the folder's list of access, says.

    The umask cannot be read without changing it for all threads; an empty file tells.
    """
    probe = temporary_name(path)
    descriptor = disk.create_new(probe, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        disk.remove(probe)
