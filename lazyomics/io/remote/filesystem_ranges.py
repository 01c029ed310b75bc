"""Byte ranges of any file system of fsspec: S3, Google Cloud Storage, SFTP, memory, ...."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lazyomics.errors import UnsupportedError
from lazyomics.io.remote.address import Identity, RemotePath
from lazyomics.io.remote.ranges import Range
from lazyomics.io.remote.retrying import Answer

__all__ = ["FilesystemRanges"]

# Names that file systems give to what changes with the content, and to the time of the change.
_TAGS = ("ETag", "etag", "VersionId", "version_id", "generation", "md5Hash", "md5", "content_md5")
_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")


class FilesystemRanges:
    """Asks a file system of fsspec for ranges.

    Its answers do not say of which state of the file they are; the state is looked up after
    reading.
    """

    confirms_itself = False

    def __init__(self, filesystem: Any, name: str, path: RemotePath) -> None:
        self._filesystem, self._name, self._path = filesystem, name, path

    def look(self, size: int) -> tuple[Identity, bytes]:
        """Identity of the file, and its first bytes."""
        identity = self.identity()
        wanted = min(size, identity.size)
        if wanted == 0:
            return identity, b""
        return identity, bytes(self._filesystem.cat_file(self._name, start=0, end=wanted))

    def identity(self) -> Identity:
        """Identity of the file as it is now."""
        self._filesystem.invalidate_cache(self._name)
        info = self._filesystem.info(self._name)
        if info.get("type") == "directory":
            raise IsADirectoryError(f"{self._path} is a folder, expected a file")
        if not isinstance(info.get("size"), int):
            raise UnsupportedError(
                f"{self._path}: the file system does not say how long the file is. Download the "
                "file and open it from there."
            )
        return Identity(info["size"], _joined(info, _TAGS), _joined(info, _TIMES))

    def ask(self, ranges: Sequence[Range], identity: Identity) -> list[Answer]:
        """What comes of each range; all are in flight at once where the file system can."""
        names = [self._name] * len(ranges)
        starts, stops = [a for a, _ in ranges], [b for _, b in ranges]
        try:
            return list(self._filesystem.cat_ranges(names, starts, stops, on_error="return"))
        except Exception as error:
            return [error] * len(ranges)


def _joined(info: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return " ".join(str(info[key]) for key in keys if info.get(key) is not None)
