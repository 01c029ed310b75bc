"""New files of formats other than HDF5, which appear when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from lazyomics.io.transaction import disk
from lazyomics.io.transaction.atomic_replace import remove_left_over
from lazyomics.io.transaction.attributes import inherit, take_place
from lazyomics.io.transaction.defer_sigint import defer_sigint
from lazyomics.io.transaction.names import temporary_name

__all__ = ["replaced_file"]


@contextmanager
def replaced_file(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give the name of a new file beside ``path``, which takes its place when the block ends well.

    Parameters
    ----------
    path
        A file that need not exist; its folder must.

    Yields
    ------
    Name of an empty file for the block to write. It is gone at the end, whatever happens.

    Raises
    ------
    OSError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replaced_file(f"{folder}/a.csv") as temporary, open(temporary, "w") as file:
    ...         _ = file.write("a,b")
    ...     os.listdir(folder)
    ['a.csv']
    """
    place = os.path.realpath(os.fspath(path))
    remove_left_over(place)
    temporary = temporary_name(place)
    try:
        os.close(disk.create_new(temporary))
        yield temporary
        with defer_sigint():
            descriptor = disk.open_file(temporary, writable=True)
            try:
                lost = inherit(descriptor, temporary, place)
                disk.sync(descriptor)
            finally:
                os.close(descriptor)
            take_place(temporary, place, lost)
    finally:
        disk.remove(temporary)
