"""Write a new file in the place of one that may be there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import h5py

from lazyomics.errors import NameTakenError
from lazyomics.io.transaction.beside import beside, remove_left_over
from lazyomics.io.transaction.claim import held, seconds_to_wait
from lazyomics.io.transaction.names import Names
from lazyomics.io.transaction.obstacles import kind_of
from lazyomics.io.transaction.recovery import recover
from lazyomics.io.transaction.stamps import Stamp

__all__ = ["replacing"]


@contextmanager
def replacing(
    path: str | os.PathLike[str],
    *,
    user_block: bytes = b"",
    timeout: float | None = None,
    stamp: Stamp = None,
) -> Iterator[h5py.File]:
    """Open a file beside ``path`` to write; it takes its place when the block ends well.

    Parameters
    ----------
    path
        A file that need not exist; its folder must be writable.
    user_block
        Bytes in front of the HDF5 part: none, 512, 1024, 2048, ….
    timeout
        Seconds to wait for others that save or write the file; ``lazyomics.lock-timeout`` by
        default.
    stamp
        Time of the last change, in nanoseconds, that the file carries when it takes its place; a
        function is asked when all is written. By default the time at which it was written.

    Raises
    ------
    BlockingIOError
        If another process saves or writes it for the whole time; names it.
    PermissionError
        If there is a file that may not be written.
    FileExistsError
        If there is something that is no regular file.
    OSError
        If it cannot be written: says where, how much was, and how much room there is.
    """
    names = Names.of(path)
    _check_goal(names.file)
    with held(names, seconds_to_wait(timeout)):
        # Parts may come from the file itself: they should be those of a whole state.
        try:
            recover(names)
        except NameTakenError:
            raise
        except OSError:
            pass
        remove_left_over(names.file)
        with beside(names.file, replace=True, user_block=user_block, stamp=stamp) as file:
            yield file


def _check_goal(file: str) -> None:
    """Make sure that a new file may take a place, which is free or that of a file."""
    try:
        kind = kind_of(os.lstat(file))
    except FileNotFoundError:
        return
    if kind:  # behind all symbolic links: one that leads to itself is left
        raise FileExistsError(
            errno.EEXIST,
            f"{file} is {kind}, expected a file or a free name: nothing takes its place",
        )
    if not os.access(file, os.W_OK):
        raise PermissionError(
            errno.EACCES, f"{file} may not be written, so no new file takes its place"
        )
