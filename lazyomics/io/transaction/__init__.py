"""Saving in place as a transaction: all of a save is in the file, or nothing of it.

What HDF5 writes during a save is caught: new bytes go behind the end of the old file, where nobody
looks; changed bytes of the old file are kept back. When all is there, the changes are put in a
journal beside the file, then in the file, then the journal is removed. Whatever is interrupted
before the journal is complete leaves the old file; whatever is interrupted after is finished by
the next one who opens the file.
"""

from __future__ import annotations

from lazyomics.io.transaction.atomic_replace import atomic_replace, temporary_sibling
from lazyomics.io.transaction.disk import Stamp
from lazyomics.io.transaction.file_object import raise_failures
from lazyomics.io.transaction.session import Shared, claimed, exclusively, saving, share

__all__ = [
    "Shared",
    "Stamp",
    "atomic_replace",
    "claimed",
    "exclusively",
    "raise_failures",
    "saving",
    "share",
    "temporary_sibling",
]
