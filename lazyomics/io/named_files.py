"""What names a file that is to be opened: paths, URLs, and files of fsspec that nobody opened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lazyomics.container.annotated import is_url, local_name
from lazyomics.errors import UnsupportedError, require

__all__ = ["fetched", "named_file"]

Options = Mapping[str, Any] | None


def named_file(filename: Any, storage_options: Options) -> tuple[Any, Options]:
    """Return the path or URL of a file, and what fsspec needs to open it.

    Parameters
    ----------
    filename
        Path or URL; or what ``fsspec.open`` returns, or an open file of fsspec, which say where
        they are: these are not read through.
    storage_options
        Taken before those of the filesystem.

    Raises
    ------
    UnsupportedError
        If a file of fsspec is decompressed while it is read.
    """
    filesystem, inner = getattr(filename, "fs", None), getattr(filename, "path", None)
    if filesystem is None or not isinstance(inner, str):
        return filename, storage_options
    compression = getattr(filename, "compression", None)
    if compression is not None:
        raise UnsupportedError(
            f"{inner} is compressed as a whole ({compression}), which allows no reading of parts: "
            "decompress it first"
        )
    url = filesystem.unstrip_protocol(inner)
    if local_name(url) is not None:
        return inner, storage_options
    return url, {**filesystem.storage_options, **(storage_options or {})}


def fetched(filename: Any, backup_url: str | None) -> None:
    """Download a file that is not there.

    Parameters
    ----------
    filename
        Local path, or a URL, which is left alone.
    backup_url
        Where it is; None for nowhere.

    Raises
    ------
    MissingDependencyError
        If it has to be downloaded and pooch is not installed.
    FileNotFoundError
        If it cannot be downloaded.
    """
    local = local_name(filename)
    if backup_url is None or (local is None and is_url(filename)):
        return
    target = Path(os.path.abspath(os.fspath(filename if local is None else local)))
    if target.exists():
        return
    pooch = require("pooch", extra="datasets", purpose="backup_url")
    try:
        pooch.retrieve(backup_url, known_hash=None, fname=target.name, path=target.parent)
    except OSError as error:
        raise FileNotFoundError(
            f"{filename} does not exist and could not be downloaded from {backup_url} ({error})"
        ) from error
