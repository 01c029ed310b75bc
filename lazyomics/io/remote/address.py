"""What names a file on a server: its URL, how to get in, and the state that was opened."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["Identity", "RemotePath"]

_USER = re.compile(r"(?<=://)[^/@?#]*@")
_QUERY = re.compile(r"[?#].*$", re.DOTALL)
_SHORTEST_SECRET = 4


class Identity(NamedTuple):
    """What tells that a file on a server has changed."""

    size: int
    tag: str = ""
    modified: str = ""


class RemotePath(str):
    """A URL that travels with its ``storage_options``; shown without anything secret.

    As a text it is the URL without user, password and query, which is what messages and
    representations show. It pickles with the options, so that workers can open the file.

    Parameters
    ----------
    url
        The whole URL.
    options
        ``storage_options`` of fsspec.
    identity
        The state of the file that was opened; None before.

    Examples
    --------
    >>> path = RemotePath("https://me:word@host/a.h5ad?key=1234", {"headers": {"Token": "abcd"}})
    >>> path
    'https://host/a.h5ad'
    >>> path.redacted("cannot get https://me:word@host/a.h5ad?key=1234 with abcd")
    'cannot get https://host/a.h5ad with …'
    """

    url: str
    options: dict[str, Any]
    identity: Identity | None

    def __new__(
        cls, url: str, options: Mapping[str, Any] | None = None, identity: Identity | None = None
    ) -> RemotePath:
        """Take what is shown of the URL as the text."""
        made = super().__new__(cls, _shown(url))
        made.url, made.options, made.identity = url, dict(options or {}), identity
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        if any(type(value).__name__ == "SSLContext" for value in _values(self.options)):
            raise TypeError(
                f"{self}: the SSLContext in storage_options cannot be sent to other processes. "
                "Name the file of certificates in the environment variable SSL_CERT_FILE, or give "
                'a function that makes the session as "get_client"'
            )
        return RemotePath, (self.url, self.options, self.identity)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemotePath):
            return str.__eq__(self, other) is True  # so that users can compare it with a URL
        mine, others = (self.url, self.identity), (other.url, other.identity)
        return mine == others and self.options == other.options

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return str.__hash__(self)

    def opened_as(self, identity: Identity | None) -> RemotePath:
        """The same file in the state that was found; None forgets the state."""
        return RemotePath(self.url, self.options, identity)

    @property
    def number(self) -> int:
        """A number of this file in this state, the same in every process."""
        text = repr((self.url, self.identity)).encode("utf-8", "surrogateescape")
        return int.from_bytes(hashlib.sha256(text).digest()[:7], "big")

    def redacted(self, text: str) -> str:
        """A message of another library without what is secret in the URL and the options."""
        text = text.replace(self.url, self)
        secrets = {*_texts(self.options), *_USER.findall(self.url)}
        secrets.update(re.split(r"[&=?#]", "".join(_QUERY.findall(self.url))))
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "…")
        return text


def _shown(url: str) -> str:
    return _USER.sub("", _QUERY.sub("", url))


def _values(options: Mapping[str, Any]) -> Iterator[Any]:
    for value in options.values():
        if isinstance(value, Mapping):
            yield from _values(value)
        else:
            yield value


def _texts(options: Any) -> Iterator[str]:
    """Every text in nested options."""
    if isinstance(options, str):
        yield options
    elif isinstance(options, bytes):
        yield options.decode("utf-8", "replace")
    elif isinstance(options, Mapping):
        for value in options.values():
            yield from _texts(value)
    elif isinstance(options, list | tuple | set | frozenset):
        for value in options:
            yield from _texts(value)
    elif hasattr(options, "__dict__"):  # such as an object for authentication
        yield from _texts(vars(options))
