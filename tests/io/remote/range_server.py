"""A server of files on loopback that counts what it sends, and fails when told to."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Behaviour:
    """What the server does, and what it did."""

    folder: Path
    port: int = 0
    latency: float = 0.0
    with_etag: bool = True
    with_length: bool = True
    ignores_ranges: bool = False
    token: str | None = None  # what the header Authorization must be
    tls: ssl.SSLContext | None = None  # https://
    #: how many of the next answers fail in this way
    drop: int = 0
    busy: int = 0
    retry_after: int | None = None
    requests: int = 0
    sent: int = 0
    most_at_once: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    at_once: int = 0

    def url(self, name: str) -> str:
        protocol = "http" if self.tls is None else "https"
        return f"{protocol}://127.0.0.1:{self.port}/{name}"

    def forget(self) -> None:
        """Count from zero."""
        self.requests = self.sent = self.most_at_once = 0
        self.ranges.clear()

    def takes(self, kind: str) -> bool:
        """Whether this answer is one of those that fail in this way."""
        with self.lock:
            left = getattr(self, kind)
            setattr(self, kind, max(left - 1, 0))
            return left > 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def do_GET(self) -> None:
        told = self.behaviour
        with told.lock:
            told.requests += 1
            told.at_once += 1
            told.most_at_once = max(told.most_at_once, told.at_once)
        try:
            time.sleep(told.latency)
            self.answer(told)
        finally:
            with told.lock:
                told.at_once -= 1

    def answer(self, told: Behaviour) -> None:
        path = told.folder / unquote(urlsplit(self.path).path).lstrip("/")
        if told.token is not None and self.headers.get("Authorization") != told.token:
            return self.refuse(401)
        if not path.is_file():
            return self.refuse(404)
        if told.takes("busy"):
            extra = {} if told.retry_after is None else {"Retry-After": str(told.retry_after)}
            return self.refuse(503, **extra)
        status = path.stat()
        wanted = re.match(r"bytes=(\d+)-(\d+)$", self.headers.get("Range", ""))
        start, stop = 0, status.st_size
        if wanted is not None and not told.ignores_ranges:
            start, stop = int(wanted[1]), min(int(wanted[2]) + 1, status.st_size)
            if start >= status.st_size:
                return self.refuse(416, **{"Content-Range": f"bytes */{status.st_size}"})
            self.send_response(206)
            total = status.st_size if told.with_length else "*"
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{total}")
        else:
            self.send_response(200)
        if told.with_etag:
            self.send_header("ETag", f'"{status.st_mtime_ns:x}-{status.st_size:x}"')
            self.send_header("Last-Modified", formatdate(status.st_mtime, usegmt=True))
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        told.ranges.append((start, stop))
        self.send(path, start, stop, drop=told.takes("drop"))

    def send(self, path: Path, start: int, stop: int, *, drop: bool) -> None:
        if drop:
            stop = start + (stop - start) // 2
        with path.open("rb") as file:
            file.seek(start)
            left = stop - start
            while left:
                data = file.read(min(left, 1 << 16))
                try:
                    self.wfile.write(data)
                except OSError:  # the client does not want the rest
                    self.close_connection = True
                    return
                left -= len(data)
                with self.behaviour.lock:
                    self.behaviour.sent += len(data)
        if drop:  # a reset, not an orderly end
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True

    def refuse(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path, **behaviour: object) -> Iterator[Behaviour]:
    """Serve a folder while the block runs."""
    told = Behaviour(folder, **behaviour)  # type: ignore[arg-type]
    handler = type("Told", (Handler,), {"behaviour": told})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if told.tls is not None:
        server.socket = told.tls.wrap_socket(server.socket, server_side=True)
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
