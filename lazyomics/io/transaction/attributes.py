"""Owner, group, permissions and extended attributes, handed on to a new file."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from lazyomics.errors import AttributesLostWarning, warn_user
from lazyomics.io.transaction import disk
from lazyomics.io.transaction.names import temporary_name

__all__ = [
    "Attributes",
    "attributes_of",
    "give",
    "give_mode",
    "give_permissions",
    "inherit",
    "take_place",
]


_ACL = "system.posix_acl_access"
_OF_THE_CONTENT = {"security.ima", "security.evm"}  # signatures, which the system makes anew
_ACL_ENTRY = struct.Struct("<HHI")
_ACL_HEADER = 4
_GROUP, _OTHERS = 0x04, 0x20  # entries of the file's own group, and of everyone else


class Attributes(NamedTuple):
    """Attributes of a file.

    Parameters
    ----------
    status
        With owner, group and permissions.
    extended
        Extended attributes, with the list of access (ACL); None for those that cannot be read.
    """

    status: os.stat_result
    extended: Mapping[str, bytes | None]


def attributes_of(file: str | int) -> Attributes | None:
    """Attributes of a file, by its path or descriptor; None if there is none."""
    try:
        return Attributes(os.stat(file), _extended(file))
    except FileNotFoundError:
        return None


def _extended(file: str | int) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    if hasattr(os, "listxattr"):
        with suppress(OSError):  # a file system without them
            for name in os.listxattr(file):
                found[name] = None
                with suppress(OSError):
                    found[name] = os.getxattr(file, name)
    return found


def give(old: Attributes, descriptor: int, path: str) -> list[str]:
    """Give a new file the attributes of an old one, as far as the system lets us.

    Nobody gets more access than before: where the group cannot be kept, the new one may do what
    everyone may.

    Parameters
    ----------
    old
        What it shall have.
    descriptor, path
        The new file, of this user; nothing must be written to it afterwards, which would take
        some of them away.

    Returns
    -------
    What it could not be given, in words.
    """
    mode = stat.S_IMODE(old.status.st_mode)
    if not hasattr(os, "fchmod"):  # Windows
        os.chmod(path, mode)
        return []
    lost, has_owner, has_group = _give_owner(old.status, descriptor)
    # Before permissions, which may forbid it; after the owner, whose change takes some away.
    lost += _give_extended(old.extended, descriptor)
    lost += _give_access(old, descriptor, mode, has_owner=has_owner, has_group=has_group)
    return lost + _lost_of(mode, descriptor)


def give_mode(descriptor: int, mode: int) -> list[str]:
    """Give a file permissions; returns what it could not be given, in words."""
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        with suppress(OSError):  # a file system without permissions
            os.fchmod(descriptor, mode)
    return _lost_of(mode, descriptor)


def _lost_of(mode: int, descriptor: int) -> list[str]:
    now = stat.S_IMODE(os.fstat(descriptor).st_mode)
    return [] if now == mode else [f"permissions {mode:04o} (it has {now:04o})"]


def give_permissions(old: Attributes | None, descriptor: int) -> None:
    """Let those who may read or write a file do the same with one that belongs to its save."""
    if old is None or not hasattr(os, "fchmod"):
        return
    _, has_owner, has_group = _give_owner(old.status, descriptor)
    mode = old.status.st_mode & 0o666
    _give_access(old, descriptor, mode, has_owner=has_owner, has_group=has_group)


def _give_owner(old: os.stat_result, descriptor: int) -> tuple[list[str], bool, bool]:
    """Returns what is lost, and whether the owner and the group are those of the old file."""
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) != (old.st_uid, old.st_gid):
        for owner in (old.st_uid, -1):  # the group may be given to one of the user's own
            with suppress(OSError):
                os.fchown(descriptor, owner, old.st_gid)
                break
        now = os.fstat(descriptor)
    has_owner, has_group = now.st_uid == old.st_uid, now.st_gid == old.st_gid
    lost = [] if has_owner else [f"owner {old.st_uid} (it belongs to user {now.st_uid})"]
    if not has_group:
        lost.append(f"group {old.st_gid} (it belongs to group {now.st_gid})")
    return lost, has_owner, has_group


def _give_extended(old: Mapping[str, bytes | None], descriptor: int) -> list[str]:
    lost, now = [], _extended(descriptor)
    for name, value in old.items():
        if (
            name == _ACL
            or name in _OF_THE_CONTENT
            or (value is not None and now.get(name) == value)
        ):
            continue
        try:
            if value is None:
                raise PermissionError
            os.setxattr(descriptor, name, value)
        except OSError:
            lost.append(f"the extended attribute {name}")
    return lost


def _give_access(
    old: Attributes, descriptor: int, mode: int, *, has_owner: bool, has_group: bool
) -> list[str]:
    """Give a file its list of access and its permissions."""
    lost = []
    if not has_owner:
        mode &= ~stat.S_ISUID
    if not has_group:
        mode &= ~stat.S_ISGID
    has_list = _give_list(old.extended, descriptor, has_group=has_group)
    if _ACL in old.extended and not has_list:
        lost.append("the list of access (ACL)")
    if not has_list and (_ACL in old.extended or not has_group):
        mode = _narrowed(mode)
    give_mode(descriptor, mode)
    return lost


def _give_list(old: Mapping[str, bytes | None], descriptor: int, *, has_group: bool) -> bool:
    """Give a file the list of access of the old one, which may have none; whether it has one."""
    if not hasattr(os, "setxattr"):
        return False
    if _ACL not in old:
        with suppress(OSError):  # that of the folder, which new files get
            os.removexattr(descriptor, _ACL)
        return False
    value = old[_ACL]
    with suppress(OSError, struct.error):
        if value is not None:
            os.setxattr(descriptor, _ACL, value if has_group else _narrowed_list(value))
            return True
    with suppress(OSError):
        os.removexattr(descriptor, _ACL)
    return False


def _narrowed(mode: int) -> int:
    """Permissions by which the group may do no more than everyone else."""
    return mode & ~0o070 | mode & 0o070 & (mode & 0o007) << 3


def _narrowed_list(value: bytes) -> bytes:
    entries = list(_ACL_ENTRY.iter_unpack(value[_ACL_HEADER:]))
    everyone = next((allowed for kind, allowed, _ in entries if kind == _OTHERS), 0)
    return value[:_ACL_HEADER] + b"".join(
        _ACL_ENTRY.pack(kind, allowed & everyone if kind == _GROUP else allowed, who)
        for kind, allowed, who in entries
    )


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
