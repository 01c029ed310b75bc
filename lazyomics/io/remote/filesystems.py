"""The file system of fsspec that a URL needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lazyomics.errors import MissingDependencyError, RemoteFileError, require
from lazyomics.io.remote.address import RemotePath
from lazyomics.io.remote.filesystem_ranges import FilesystemRanges

if TYPE_CHECKING:
    from lazyomics.io.remote.http_ranges import HttpRanges

__all__ = ["ranges_of"]

_PACKAGES = {
    "http": "aiohttp",
    "https": "aiohttp",
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "adl": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "hdfs": "pyarrow",
    "hf": "huggingface_hub",
}


def ranges_of(path: RemotePath) -> HttpRanges | FilesystemRanges:
    """What asks for ranges of a file; connects to nothing yet for most protocols.

    Raises
    ------
    MissingDependencyError
        If fsspec, or the package for the protocol, is not installed.
    ValueError
        If fsspec does not know the protocol, or the options are not those of its file system.
    """
    fsspec = require("fsspec", extra="remote", purpose=f"opening {path}")
    core = require("fsspec.core", extra="remote", purpose=f"opening {path}")
    protocol = re.split("://|::", path.url, maxsplit=1)[0]
    try:
        filesystem, name = core.url_to_fs(path.url, **path.options)
    except ImportError as error:
        package = _PACKAGES.get(protocol.lower())
        install = "lazyomics[remote]" if package == "aiohttp" else package
        raise MissingDependencyError(
            f"opening {path} needs the package {package or 'that fsspec names'!r}, which could "
            f"not be imported ({error}). "
            + (f"Install it with: pip install '{install}'" if install else "Install it.")
        ) from None
    except ValueError as error:
        known = protocol in fsspec.available_protocols()
        said = path.redacted(str(error))
        hint = "" if known else " Is it the name of a file? Then write it as ./NAME."
        raise ValueError(f"{path}: fsspec cannot open it: {said}.{hint}") from None
    except TypeError as error:
        raise TypeError(
            f"{path}: storage_options do not fit {protocol}://: {path.redacted(str(error))}"
        ) from None
    except OSError as error:
        raise RemoteFileError(f"{path}: {path.redacted(str(error))}") from None
    if protocol in ("http", "https") and hasattr(filesystem, "set_session"):
        from lazyomics.io.remote.http_ranges import HttpRanges  # brings asyncio

        return HttpRanges(filesystem, path)
    return FilesystemRanges(filesystem, name, path)
