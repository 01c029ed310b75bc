"""Space that replaced elements left in a file: noticed, and said once."""

from __future__ import annotations

import os

import h5py
from dask.utils import format_bytes

from lazyomics.errors import warn_user

__all__ = ["LEAST_GROWTH", "unused_bytes", "warn_if_mostly_unused"]

LEAST_GROWTH = 16 << 20  # a save that adds less does not look
LEAST_UNUSED = 64 << 20
_warned: set[str] = set()


def unused_bytes(file: h5py.File) -> int:
    """Bytes of an open file that no dataset uses, without reading values.

    Texts and the names of elements count as unused: they are small beside what is looked for.
    """
    used = 0

    def visit(_: str, member: object) -> None:
        nonlocal used
        if isinstance(member, h5py.Dataset):
            used += int(member.id.get_storage_size())

    file.visititems(visit)
    return max(0, int(file.id.get_filesize()) - used)


def warn_if_mostly_unused(path: str, file: h5py.File) -> None:
    """Say once for each file that most of it is unused, and what helps."""
    unused, size = unused_bytes(file), int(file.id.get_filesize())
    if path in _warned or unused < max(LEAST_UNUSED, size / 2):
        return
    _warned.add(path)
    warn_user(
        f"{format_bytes(unused)} of the {format_bytes(size)} of {path} are unused: they were left "
        f"by matrices that were replaced. lo.repack({os.fspath(path)!r}) gives them back."
    )
