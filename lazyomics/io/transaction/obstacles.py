"""Names beside a file that its save needs: what else has one is never followed, nor waited for."""

from __future__ import annotations

import errno
import os
import stat

from lazyomics.errors import NameTakenError
from lazyomics.io.transaction import disk

__all__ = [
    "check_writer",
    "create_beside",
    "kind_of",
    "open_beside",
    "refuse_others",
    "remove_beside",
]

_NOT_OPENED = {errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP}
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_beside(path: str, file: str, *, writable: bool = False) -> int:
    """Descriptor of a regular file that a save of ``file`` made, and that has no other name.

    Raises
    ------
    FileNotFoundError, PermissionError
        If it is not there, or may not be opened.
    NameTakenError
        If it is something else: nothing happens to it, or to what it leads to.
    """
    _check(os.lstat(path), path, file)  # opening a device may do something already
    try:
        descriptor = disk.open_unfollowed(path, writable=writable)
    except OSError as error:
        if error.errno in _NOT_OPENED:
            raise _taken(path, file, "no regular file any more") from error
        raise
    try:
        _check(os.fstat(descriptor), path, file)  # the name may lead elsewhere by now
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def create_beside(path: str, file: str) -> int:
    """Descriptor of a new file, which nobody else may read.

    Raises
    ------
    NameTakenError
        If there is something already.
    """
    try:
        return disk.create_new(path)
    except FileExistsError as error:
        _check(os.lstat(path), path, file)
        raise _taken(path, file, "there already, although nobody else should be saving") from error


def refuse_others(path: str, file: str) -> None:
    """Make sure that a name is free, or that of a regular file, before it is removed or replaced.

    Raises
    ------
    NameTakenError
        If something else has it.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    _check(status, path, file)


def remove_beside(path: str, file: str) -> None:
    """Remove a file that an interrupted save of ``file`` left.

    Raises
    ------
    NameTakenError
        If it is something else.
    PermissionError
        If it is another user's, in a folder where everyone may only remove his own files.
    """
    refuse_others(path, file)
    try:
        disk.remove(path)
    except PermissionError as error:
        raise PermissionError(
            error.errno,
            f"{path} was left by an interrupted save of {file}, and may not be removed by this "
            f"user ({error.strerror}): its owner has to open the file, or to remove it",
        ) from error


def check_writer(descriptor: int, path: str, file: str) -> None:
    """Make sure that an opened journal is by someone who could have changed the file anyway.

    In a folder without the sticky bit everyone who can make a file can also replace the others.

    Raises
    ------
    NameTakenError
        If it belongs to a user who may not write the file.
    """
    owner = os.fstat(descriptor).st_uid
    if not hasattr(os, "geteuid") or owner in (os.geteuid(), 0):
        return
    folder = os.stat(os.path.dirname(path) or ".")
    if not folder.st_mode & stat.S_ISVTX or owner == folder.st_uid or _may_write(owner, file):
        return
    raise _taken(
        path,
        file,
        f"a file of user {owner}, who may not write {file}",
        "It was not used: let that user open the file, or remove it",
    )


def _may_write(user: int, file: str) -> bool:
    """Whether the permissions of a file allow a user to write it; lists of access are not read."""
    try:
        status = os.stat(file)
    except FileNotFoundError:
        return False
    if user == status.st_uid:
        return True
    if status.st_mode & stat.S_IWGRP and status.st_gid in _groups(user):
        return True
    return bool(status.st_mode & stat.S_IWOTH)


def _groups(user: int) -> list[int]:
    import pwd

    try:
        known = pwd.getpwuid(user)
    except KeyError:
        return []
    return os.getgrouplist(known.pw_name, known.pw_gid)


def kind_of(status: os.stat_result) -> str:
    """What something that is no regular file is, in words; "" for a regular file."""
    if stat.S_ISREG(status.st_mode):
        return ""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")


def _check(status: os.stat_result, path: str, file: str) -> None:
    kind = kind_of(status)
    if kind:
        raise _taken(path, file, kind + _goal(path))
    if status.st_nlink > 1:
        raise _taken(path, file, f"a file with {status.st_nlink} names (hard links)")


def _goal(path: str) -> str:
    try:
        return f" to {os.readlink(path)}"
    except (OSError, ValueError):
        return ""


def _taken(path: str, file: str, found: str, hint: str = "") -> NameTakenError:
    hint = hint or "Nothing was done to it: look where it comes from, remove it, and try again"
    return NameTakenError(
        f"{path} is {found}, expected nothing or a file that lazyomics made there to save {file}. "
        f"{hint}"
    )
