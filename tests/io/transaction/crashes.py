"""What a disk may hold after the power went off in the middle of a save.

The calls of a save to the operating system are recorded. A crash after any of them leaves, of what
was written since the last sync of a file, any 512-byte sectors in any mixture, any of the lengths
that the file had, and any part of the changes to the folder.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np

from lazyomics.io.transaction import disk

SECTOR = 512
CHANGING = ("create_new", "write", "truncate", "sync", "rename", "remove", "sync_folder")


@dataclass
class Trace:
    """Calls in order, and the folder as it was before the first."""

    start: dict[str, tuple[int, bytes]]
    calls: list[tuple[Any, ...]] = field(default_factory=list)


@contextmanager
def recorded(folder: Path) -> Iterator[Trace]:
    """Record every change to files in a folder."""
    start = {p.name: (p.stat().st_ino, p.read_bytes()) for p in folder.iterdir() if p.is_file()}
    trace = Trace(start)
    real: dict[str, Callable[..., Any]] = {name: getattr(disk, name) for name in CHANGING}

    def record(name: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            result = real[name](*args)
            if is_lock(*args):
                return result
            kept = [
                os.path.basename(a) if isinstance(a, str) else bytes(a) if _is_data(a) else a
                for a in args
            ]
            if name == "create_new":
                kept = [kept[0], _inode(result)]
            elif isinstance(args[0], int):
                kept[0] = _inode(args[0])
            trace.calls.append((name, *kept))
            return result

        return call

    with ExitStack() as stack:
        for name in CHANGING:
            stack.enter_context(mock.patch.object(disk, name, record(name)))
        yield trace


def is_lock(*args: Any) -> bool:
    """Whether a call is about the lock, which says nothing about the file's state."""
    return str(args[0]).endswith("lazyomics-lock")


def _is_data(value: Any) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)


def _inode(descriptor: int) -> int:
    return os.fstat(descriptor).st_ino


class _File:
    """States of a file since its last sync, the oldest first."""

    def __init__(self, content: bytes) -> None:
        self.states = [content]

    def write(self, data: bytes, position: int) -> None:
        now = bytearray(self.states[-1])
        now.extend(bytes(max(0, position + len(data) - len(now))))
        now[position : position + len(data)] = data
        self.states.append(bytes(now))

    def truncate(self, size: int) -> None:
        now = self.states[-1]
        self.states.append(now[:size].ljust(size, b"\0"))

    def sync(self) -> None:
        del self.states[:-1]

    def torn(self, chance: random.Random, mode: str) -> bytes:
        if mode == "nothing" or len(self.states) == 1:
            return self.states[0]
        if mode == "everything":
            return self.states[-1]
        size = len(chance.choice(self.states))
        content = bytearray(size)
        for start in range(0, size, SECTOR):
            stop = min(start + SECTOR, size)
            version = chance.choice(self.states)[start:stop]
            content[start:stop] = version.ljust(stop - start, b"\0")
        return bytes(content)


def after_crash(trace: Trace, count: int, chance: random.Random, mode: str) -> dict[str, bytes]:
    """Files after a crash that follows the first ``count`` calls.

    ``mode`` is what happened to unsynced writes: "nothing" or "everything" reached the disk, or
    "torn", a random mixture.
    """
    files: dict[int, _File] = {}
    names: dict[str, int] = {}
    for name, (inode, content) in trace.start.items():
        files[inode] = _File(content)
        names[name] = inode
    pending: list[tuple[Any, ...]] = []
    for call in trace.calls[:count]:
        kind, *args = call
        if kind == "write":
            files[args[0]].write(args[1], args[2])
        elif kind == "truncate":
            files[args[0]].truncate(args[1])
        elif kind == "sync":
            files[args[0]].sync()
        elif kind == "sync_folder":
            for change in pending:
                _rename(names, change)
            pending.clear()
        else:
            if kind == "create_new":
                files[args[1]] = _File(b"")
            pending.append((kind, *args))
    for change in pending:
        if mode == "everything" or (mode == "torn" and chance.random() < 0.5):
            _rename(names, change)
    return {name: files[key].torn(chance, mode) for name, key in names.items()}


def _rename(names: dict[str, int], change: tuple[Any, ...]) -> None:
    kind, *args = change
    if kind == "create_new":
        names[args[0]] = args[1]
    elif kind == "remove":
        names.pop(args[0], None)
    elif args[0] in names:
        names[args[1]] = names.pop(args[0])


def restore(files: dict[str, bytes], folder: Path) -> None:
    """Write the files of a crash into an empty folder."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def elements(path: Path) -> dict[str, tuple[Any, ...]]:
    """Every element and attribute of a file, to be compared."""
    found: dict[str, tuple[Any, ...]] = {}

    def visit(name: str, obj: Any) -> None:
        attributes = tuple(sorted((k, _plain(v)) for k, v in obj.attrs.items()))
        if isinstance(obj, h5py.Dataset):
            found[name] = (obj.dtype.str, obj.shape, _plain(obj[()]), attributes)
        else:
            found[name] = (tuple(obj), attributes)

    with h5py.File(path, "r") as file:
        visit("/", file)
        file.visititems(visit)
    return found


def _plain(value: Any) -> Any:
    array = np.asarray(value)
    return array.tobytes() if array.dtype.kind not in "OV" else repr(array.tolist())
