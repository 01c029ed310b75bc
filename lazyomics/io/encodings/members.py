"""Open what a group holds, by name."""

from __future__ import annotations

from typing import Any

import h5py

from lazyomics import config
from lazyomics.errors import FileFormatError
from lazyomics.io.addresses import address_of
from lazyomics.io.encodings.damage import BROKEN_HEAP, HDF5_ERRORS, OUTSIDE, damaged, lost
from lazyomics.io.encodings.heaps import has_broken_attributes

__all__ = ["child", "has_member", "is_text", "member_names"]


def child(group: h5py.Group, key: str) -> Any:
    """Open a member of a group; never follows a link out of the file unless that is allowed.

    Parameters
    ----------
    group
        An open group.
    key
        Name of the member, possibly a path.

    Returns
    -------
    An open :class:`h5py.Group`, :class:`h5py.Dataset` or :class:`h5py.Datatype`.

    Raises
    ------
    FileFormatError
        If there is no such member, its link dangles, or it points out of the file.
    """
    if not isinstance(group, h5py.Group):
        raise damaged(group, expected=f"a group with a member {key!r}", found="a dataset")
    try:
        if not is_text(key):
            raise lost(group, key, found="a name that is no UTF-8")
        link = group.get(key, getlink=True)
        if link is None:
            raise lost(group, key, found=f"only the members {list(group)[:20]}")
        if isinstance(link, h5py.ExternalLink) and not config.get("external-files"):
            raise lost(group, key, found=f"a link to {link.filename!r}", hint=OUTSIDE)
        member = group[key]
        if not config.get("external-files") and _file_number(member) != _file_number(group):
            raise lost(group, key, found=f"a way into {member.file.filename!r}", hint=OUTSIDE)
        if has_broken_attributes(member):
            raise lost(group, key, found=BROKEN_HEAP)
        return member
    except FileFormatError:
        raise
    except HDF5_ERRORS as error:
        raise lost(group, key, found=f"no readable object ({error})") from error


def has_member(group: h5py.Group, key: str) -> bool:
    """Whether a group has a member of that name, wherever its link leads; follows none."""
    try:
        return group.get(key, getlink=True) is not None
    except HDF5_ERRORS as error:
        raise lost(group, key, found=f"no readable object ({error})") from error


def member_names(group: h5py.Group) -> list[str]:
    """Names in a group; bytes that are no UTF-8 are shown as lone surrogates.

    Members with such names cannot be opened, but others beside them can.
    """
    stored: list[Any] = list(group)
    return [n if isinstance(n, str) else n.decode("utf-8", "surrogateescape") for n in stored]


def is_text(name: str | bytes) -> bool:
    """Whether a name is made of characters; h5py gives bytes where it is not."""
    if isinstance(name, bytes):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _file_number(obj: Any) -> int:
    """Number that HDF5 gives to the file that holds an object."""
    return address_of(obj)[0]
