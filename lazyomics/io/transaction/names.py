"""Names beside a file that a save needs, never followed nor waited for."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import NamedTuple
from uuid import uuid4

from lazyomics.errors import NameTakenError
from lazyomics.io.transaction import disk

__all__ = [
    "Names",
    "check_writer",
    "create_beside",
    "kind_of",
    "open_beside",
    "refuse_others",
    "remove_beside",
    "temporary_name",
    "temporary_names",
]


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
