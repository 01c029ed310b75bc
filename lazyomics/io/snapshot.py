"""One state of a file: what an opened object, its copies and selections read, or nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import h5py

from lazyomics.errors import StaleFileError
from lazyomics.io.files import open_for_reading
from lazyomics.io.remote.address import RemotePath
from lazyomics.io.save_records import SaveRecord, read_records, records_between
from lazyomics.io.transaction.locks import is_saved_by_another

__all__ = ["Snapshot", "State", "state_of"]

_SECONDS_TO_SETTLE, _SECONDS_OF_REST, _PAUSE = 2.0, 0.25, 0.002
_MOST_KNOWN = 64


class State(NamedTuple):
    """What tells one state of a file from another: not its size, as saves append to it first."""

    inode: int
    mtime_ns: int


_known: dict[tuple[str, State, State], tuple[SaveRecord, ...]] = {}


class _Sessions(threading.local):
    """Files of the sessions of this thread, by their paths.

    Not a context variable: event loops copy those, and would keep a file and close it in a thread
    of theirs, for which this thread may be waiting with h5py's lock in its hands.
    """

    def __init__(self) -> None:
        self.opened: dict[str, h5py.File] = {}


_sessions = _Sessions()


def state_of(path: str) -> State | None:
    """Return what tells that a file may have changed; None for one on a server, which says so."""
    if isinstance(path, RemotePath):
        return None
    status = os.stat(path)
    return State(status.st_ino, status.st_mtime_ns)


@dataclass(frozen=True)
class Snapshot:
    """A file in the state in which it was opened.

    What is read through it is of that state: an element is handed out if the file did not change,
    or if the records of the saves since then say that the element did not.

    Attributes
    ----------
    path
        Absolute path, or URL, of the file.
    state
        Its identity and time stamp when it was opened.
    """

    path: str
    state: State | None

    @classmethod
    def of(cls, path: str | os.PathLike[str], file: h5py.File | None = None) -> Snapshot:
        """Return the present state of a file that is open for reading, or locked by this thread."""
        absolute = path if isinstance(path, RemotePath) else os.path.abspath(os.fspath(path))
        return cls(absolute, state_of(absolute) if file is None else _settled_state(absolute, file))

    @contextmanager
    def session(self) -> Iterator[None]:
        """Open the file once for all that this thread reads in the block through `open`.

        Saves in place wait for it, so that it should not last longer than reading some elements.
        """
        opened = _sessions.opened
        if self.path in opened:
            yield
            return
        with open_for_reading(self.path) as file:
            opened[self.path] = file
            try:
                yield
            finally:
                del opened[self.path]

    @contextmanager
    def open(self, *elements: str) -> Iterator[h5py.File]:
        """Open the file to read some elements; in a session of this thread it is open already.

        Raises
        ------
        StaleFileError
            If one of them is not what it was.
        FileNotFoundError
            If the file is gone.
        """
        held = _sessions.opened.get(self.path)
        with open_for_reading(self.path) if held is None else nullcontext(held) as file:
            seen = self.check(file, *elements)
            yield file
            if _state_of_open(self.path, file) != seen:  # by a program that ignores the lock
                self.check(file, *elements)

    def check(self, file: h5py.File, *elements: str) -> State | None:
        """Make sure that elements of the open file are those of this state; return its present one.

        Raises
        ------
        StaleFileError
            If one of them is not.
        """
        now = _settled_state(self.path, file, self.state)
        if now == self.state:
            return now
        saves = self._saves_until(now, file)
        if saves is None:
            raise StaleFileError(
                f"{self.path}: another program changed or replaced the file after it was opened, "
                f"so that {_listed(elements)} cannot be trusted to be what it was; open it again"
            )
        for element in elements:
            for save in saves:
                if save.touches(element.strip("/")):
                    raise StaleFileError(
                        f"{self.path}: element {element.strip('/')!r} changed after it was opened: "
                        f"it was saved by {save.by}; open it again"
                    )
        return now

    def holds(self, file: h5py.File, element: str) -> bool:
        """Tell whether an element of the open file is wholly that of this state."""
        try:
            self.check(file, element)
        except StaleFileError:
            return False
        return True

    def saves_since(self, file: h5py.File) -> tuple[SaveRecord, ...] | None:
        """Return the saves since this state; None if another program changed the file, too."""
        return self._saves_until(_settled_state(self.path, file, self.state), file)

    def _saves_until(self, now: State | None, file: h5py.File) -> tuple[SaveRecord, ...] | None:
        before = self.state
        if before is None or now is None or now == before:
            return ()
        found = _known.get((self.path, before, now))
        if found is None:
            found = records_between(read_records(file), before.mtime_ns, now.mtime_ns)
            if found is not None:
                if len(_known) >= _MOST_KNOWN:
                    _known.clear()
                _known[self.path, before, now] = found
        return found


def _state_of_open(path: str, file: h5py.File) -> State | None:
    """Return the state of an open file, of which the path may name a successor by now."""
    if isinstance(path, RemotePath):
        return None
    try:
        status = os.fstat(file.id.get_vfd_handle())
    except (OSError, RuntimeError, TypeError, ValueError, NotImplementedError):
        return state_of(path)  # of a driver that is no file of the system
    return State(status.st_ino, status.st_mtime_ns)


def _settled_state(path: str, file: h5py.File, expected: State | None = None) -> State | None:
    """Return the state of an open file that it keeps while others prepare a save.

    Whenever a save has appended something, the file has another time stamp for a moment, until
    the save sets it back. The right one is ``expected``, or what the last record says. Where there
    is none, it is the one that stays. Nobody else saves while this thread has the right to.
    """
    since = time.monotonic()
    deadline = since + _SECONDS_TO_SETTLE
    last: State | None = None
    while True:
        saving = is_saved_by_another(path)
        now = _state_of_open(path, file)
        if now is None or now == expected or not (saving or is_saved_by_another(path)):
            return now
        if any(record.stamp == now.mtime_ns for record in read_records(file)[-1:]):
            return now
        moment = time.monotonic()
        if now != last:
            since, last = moment, now
        if moment - since > _SECONDS_OF_REST or moment > deadline:
            return now
        time.sleep(_PAUSE)


def _listed(elements: tuple[str, ...]) -> str:
    names = [repr(e.strip("/")) for e in elements[:3]]
    return ", ".join(names) + (" …" if len(elements) > 3 else "") or "what it holds"
