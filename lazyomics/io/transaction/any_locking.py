"""Open an HDF5 file that other code of this process has open with another locking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import h5py

__all__ = ["Locking", "is_mismatch", "open_with_any_locking"]

Locking = bool | Literal["best-effort"] | None


def is_mismatch(error: OSError) -> bool:
    """Whether HDF5 refuses a second handle, whose locking differs from that of the first one."""
    return "flag values don't match" in str(error)


def open_with_any_locking(
    attempt: Callable[..., h5py.File], lockings: tuple[Locking, ...]
) -> h5py.File:
    """Open with the first setting that HDF5 takes.

    Parameters
    ----------
    attempt
        Opens a file; takes ``locking`` by keyword, like ``h5py.File``.
    lockings
        Settings to try, in this order.

    Raises
    ------
    OSError
        Why it cannot be opened; a mismatch where none fits, which may be over in a moment: other
        threads open and close the file, each with a setting of its own.
    """
    *others, last = lockings
    for locking in others:
        try:
            return attempt(locking=locking)
        except OSError as error:
            if not is_mismatch(error):
                raise
    return attempt(locking=last)
