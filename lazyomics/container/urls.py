"""Names of files that are URLs: which of them are local, and which can be written."""

from __future__ import annotations

import re
from pathlib import Path

from lazyomics.errors import UnsupportedError

__all__ = ["is_url", "local_name", "writable_path"]

# Two letters at least: "C:\\data" is a path of Windows.
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+(://|::.*://)")
_LOCAL = re.compile(r"^(file|local)://(localhost(?=/))?")


def is_url(path: object) -> bool:
    r"""Whether a name is a URL, or several in a chain as fsspec takes them.

    Examples
    --------
    >>> is_url("s3://bucket/a.h5ad"), is_url("C:\\a.h5ad"), is_url("data/a.h5ad")
    (True, False, False)
    >>> is_url("simplecache::s3://bucket/a.h5ad"), is_url("day::two.h5ad")
    (True, False)
    """
    return isinstance(path, str) and _URL.match(path) is not None


def local_name(path: object) -> str | None:
    """The path of a ``file://`` or ``local://`` URL; None for anything else.

    Examples
    --------
    >>> local_name("file:///data/a.h5ad"), local_name("https://host/a.h5ad")
    ('/data/a.h5ad', None)
    """
    found = _LOCAL.match(path) if isinstance(path, str) else None
    return None if found is None else str(path)[found.end() :]


def writable_path(path: str | Path) -> Path:
    """The path of a file to write.

    Raises
    ------
    UnsupportedError
        For a URL: files on servers are read, not written.
    """
    if is_url(path):
        local = local_name(path)
        if local is None:
            raise UnsupportedError(
                f"files on servers are read-only, cannot write {str(path).partition('?')[0]!r}: "
                "write to a local path and upload the file"
            )
        return Path(local)
    return Path(path)
