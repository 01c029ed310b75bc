"""Byte ranges over HTTP: every answer says of which file it is, and that is looked at."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from lazyomics.errors import StaleFileError, UnsupportedError
from lazyomics.io.remote.address import Identity, RemotePath
from lazyomics.io.remote.ranges import Answer, BusyError, Range

__all__ = ["HttpRanges"]

_AT_ONCE = 32  # of one file, by all threads
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_SECONDS_TO_CONNECT, _SECONDS_OF_SILENCE = 30.0, 60.0


class HttpRanges:
    """Asks an HTTP server for ranges, on the session of fsspec's file system.

    fsspec's own call reads whatever the server answers, also the whole file where ranges are
    ignored, and does not show the answer's headers.
    """

    #: each answer was compared with the identity, nothing is left to confirm
    confirms_itself = True

    def __init__(self, filesystem: Any, path: RemotePath) -> None:
        self._filesystem, self._path = filesystem, path
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def look(self, size: int) -> tuple[Identity, bytes]:
        """Identity of the file, and its first bytes."""
        return self._run(self._first, size)

    def ask(self, ranges: Sequence[Range], identity: Identity) -> list[Answer]:
        """What comes of each range."""
        return self._run(self._all, ranges, identity)

    def _run(self, function: Any, *args: Any) -> Any:
        from fsspec.asyn import sync

        return sync(self._filesystem.loop, function, *args)

    async def _first(self, size: int) -> tuple[Identity, bytes]:
        async with await self._get(0, size) as response:
            if response.status == 416:  # there is no first byte
                return Identity(0), b""
            identity = self._identity(response)
            return identity, bytes(await _body(response, min(size, identity.size)))

    async def _all(self, ranges: Sequence[Range], identity: Identity) -> list[Answer]:
        async def one(start: int, stop: int) -> Answer:
            async with self._turn:
                return await self._range(start, stop, identity)

        return await asyncio.gather(*(one(a, b) for a, b in ranges), return_exceptions=True)

    async def _range(self, start: int, stop: int, identity: Identity) -> bytearray:
        async with await self._get(start, stop) as response:
            if response.status == 416 or self._identity(response) != identity:
                raise StaleFileError(f"{self._path} changed after it was opened; open it again")
            said = _CONTENT_RANGE.match(response.headers["Content-Range"])
            if said is None or said[1] is None or int(said[1]) != start:
                raise UnsupportedError(
                    f"{self._path}: the server answers with other bytes than it was asked for "
                    f"({response.headers['Content-Range']!r} for {start}-{stop - 1})"
                )
            return await _body(response, stop - start)

    async def _get(self, start: int, stop: int) -> Any:
        """Answer to one request, without its body; errors of the server raised."""
        filesystem = self._filesystem
        options = dict(filesystem.kwargs)
        options["headers"] = {
            **options.get("headers", {}),
            "Range": f"bytes={start}-{stop - 1}",
            "Accept-Encoding": "identity",  # ranges are counted in the file's own bytes
        }
        if "timeout" not in options and "timeout" not in filesystem.client_kwargs:
            options["timeout"] = _patience()
        session = await filesystem.set_session()
        response = await session.get(filesystem.encode_url(self._path.url), **options)
        try:
            self._check_status(response)
        except BaseException:
            response.close()
            raise
        return response

    def _check_status(self, response: Any) -> None:
        status = response.status
        if status in (206, 416):
            return
        if status == 200:
            raise UnsupportedError(
                f"{self._path}: the server answers with the whole file where a part is asked for "
                "(it ignores Range headers), so that reading would download everything each "
                "time. Download the file once and open it from there, or use another server."
            )
        if status in (404, 410):
            raise FileNotFoundError(f"HTTP status {status}")
        if status in (401, 403, 407):
            raise PermissionError(f"HTTP status {status}")
        if status in _BUSY:
            raise BusyError(f"HTTP status {status}", _seconds(response))
        raise ValueError(f"HTTP status {status} {response.reason}")

    def _identity(self, response: Any) -> Identity:
        headers = response.headers
        said = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
        if said is None or said[3] == "*":
            raise UnsupportedError(
                f"{self._path}: the server does not say how long the file is (Content-Range: "
                f"{headers.get('Content-Range')!r}). Download the file and open it from there."
            )
        if headers.get("Content-Encoding", "identity") not in ("identity", ""):
            raise UnsupportedError(
                f"{self._path}: the server compresses what it sends "
                f"({headers['Content-Encoding']}), so that parts of the file cannot be asked "
                "for. Download the file and open it from there."
            )
        return Identity(int(said[3]), headers.get("ETag", ""), headers.get("Last-Modified", ""))


async def _body(response: Any, size: int) -> bytearray:
    """The body, never more of it than was asked for; fewer bytes where it ends early."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > size:
            response.close()
            break
    return body


def _seconds(response: Any) -> float:
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdigit() else 0.0


def _patience() -> Any:
    from aiohttp import ClientTimeout

    return ClientTimeout(
        total=None, sock_connect=_SECONDS_TO_CONNECT, sock_read=_SECONDS_OF_SILENCE
    )
