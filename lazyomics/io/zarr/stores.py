"""Zarr stores: folders, zip files, URLs, and stores that a program made itself."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lazyomics.container.annotated import is_url, local_name
from lazyomics.errors import (
    FileFormatError,
    LazyomicsError,
    RemoteFileError,
    StaleFileError,
    require,
)

__all__ = ["METADATA", "ZarrStore", "damaged", "member", "members", "readable"]

METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
REWRITE = "The store is damaged or breaks the format; write it again from its source."


def zarr_package(purpose: str = "read_zarr") -> Any:
    """Import zarr, or say what to install."""
    return require("zarr", extra="zarr", purpose=purpose)


@dataclass(frozen=True)
class ZarrStore:
    """Where a store is: a value that pickles and opens anew in each process.

    Attributes
    ----------
    place
        Absolute path of a folder or zip file, or a URL; of a store that a program made, what it
        calls itself.
    options
        What fsspec needs to open a URL.
    made
        A store or group that a program made, which is used as it is.
    state
        What tells a local store from another that took its place.
    """

    place: str
    options: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)
    made: Any = field(default=None, hash=False)
    state: tuple[int, int] | None = None

    @classmethod
    def of(cls, store: Any, storage_options: Mapping[str, Any] | None = None) -> ZarrStore:
        """Refer to what a user names.

        Raises
        ------
        FileNotFoundError
            If there is no such folder or file.
        FileFormatError
            If it is no zarr store.
        ValueError
            If ``storage_options`` are given for a local store.
        """
        if not isinstance(store, str | os.PathLike):
            return cls(_name_of(store), made=store)
        name = os.fspath(store)
        local = local_name(name)
        if local is None and is_url(name):
            require("fsspec", extra="remote", purpose="a zarr store on a server")
            return cls(name, dict(storage_options or {}))
        if storage_options:
            raise ValueError(f"{store} is local: storage_options are for stores on servers")
        path = Path(os.path.abspath(local or name))
        if not path.exists():
            raise FileNotFoundError(f"{store} does not exist")
        if path.is_dir() and not any((path / part).is_file() for part in METADATA):
            raise FileFormatError.at(
                path,
                "/",
                expected="a zarr store, with zarr.json or .zgroup",
                found=f"a folder with {sorted(p.name for p in path.iterdir())[:8] or 'nothing'}",
            )
        if path.is_file() and not zipfile.is_zipfile(path):
            raise FileFormatError.at(
                path,
                "/",
                expected="a zarr store: a folder or a zip file",
                found="another file",
                hint="lo.read(path) opens whatever it is.",
            )
        return cls(str(path), state=_state_of(path))

    @property
    def folder(self) -> Path | None:
        """The folder of a local store; None for others."""
        if self.made is not None or is_url(self.place) or not os.path.isdir(self.place):
            return None
        return Path(self.place)

    @property
    def is_zip(self) -> bool:
        """Whether it is a local zip file."""
        return self.made is None and not is_url(self.place) and os.path.isfile(self.place)

    def open(self) -> Any:
        """Return the root group; it is opened once for each process and state of a local store.

        Raises
        ------
        StaleFileError
            If another local store took its place.
        """
        if self.made is not None:
            return _opened_made(self)
        if self.state is not None and _state_of(Path(self.place)) != self.state:
            raise StaleFileError(
                f"{self}: the store was replaced or changed after it was opened; open it again"
            )
        return _opened(self, os.getpid(), tuple(sorted(map(str, self.options.items()))))

    def __str__(self) -> str:
        return self.place.partition("?")[0] if is_url(self.place) else self.place


def _state_of(path: Path) -> tuple[int, int] | None:
    """Identity and time of change of a zip file, or of the metadata of the root of a folder."""
    for place in (path / "zarr.json", path / ".zgroup", path / ".zattrs", path):
        try:
            found = os.stat(place)
        except OSError:
            continue
        if not os.path.isdir(place) or place == path:
            return found.st_ino, found.st_mtime_ns
    return None


def _name_of(store: Any) -> str:
    inner = getattr(store, "store", store)  # of a group
    path = getattr(store, "path", "")
    return f"{inner}/{path}".rstrip("/") if not isinstance(inner, Mapping) else "a store in memory"


@lru_cache(maxsize=16)
def _opened(store: ZarrStore, process: int, options: Any) -> Any:
    zarr = zarr_package()
    with readable(store, "/"):
        if store.is_zip:
            return zarr.open_group(zarr.storage.ZipStore(store.place, mode="r"), mode="r")
        if store.folder is not None:
            return zarr.open_group(store.place, mode="r")
        return zarr.open_group(store.place, mode="r", storage_options=dict(store.options) or None)


def _opened_made(store: ZarrStore) -> Any:
    zarr = zarr_package()
    if isinstance(store.made, zarr.Group):
        return store.made
    with readable(store, "/"):
        return zarr.open_group(store.made, mode="r")


@contextmanager
def readable(store: ZarrStore, element: str) -> Iterator[None]:
    """Turn what zarr raises on damaged content into an error that names store and element."""
    try:
        yield
    except LazyomicsError:
        raise
    except (FileNotFoundError, PermissionError) as error:
        if is_url(store.place):
            raise RemoteFileError(f"{store}: cannot read {element!r}: {error}") from error
        raise FileFormatError.at(
            store, element, expected="readable content", found=f"an error: {error}", hint=REWRITE
        ) from error
    except Exception as error:  # codecs and stores raise what they like
        if is_url(store.place) and isinstance(error, OSError):
            raise RemoteFileError(f"{store}: cannot read {element!r}: {error}") from error
        raise FileFormatError.at(
            store,
            element,
            expected="readable content",
            found=f"an error: {type(error).__name__}: {error}",
            hint=REWRITE,
        ) from error


def damaged(store: ZarrStore, element: str, *, expected: str, found: str) -> FileFormatError:
    """Build the error for content that is not what the format promises."""
    return FileFormatError.at(
        store, element.strip("/") or "/", expected=expected, found=found, hint=REWRITE
    )


def member(store: ZarrStore, group: Any, key: str) -> Any:
    """Return a group or array in a group.

    Raises
    ------
    FileFormatError
        If there is none, or it cannot be read.
    """
    place = f"{group.path}/{key}".strip("/")
    with readable(store, place):
        if key not in group:
            raise damaged(store, place, expected="a group or array", found="nothing")
        return group[key]


def members(store: ZarrStore, group: Any) -> dict[str, Any]:
    """Return all groups and arrays in a group, in the order of their names."""
    with readable(store, group.path or "/"):
        return dict(sorted(group.members()))
