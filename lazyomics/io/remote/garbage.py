"""No collection of cyclic garbage while h5py waits for the network."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_collection"]

_lock = threading.Lock()
_waiting = 0
_was_enabled = False


def _after_fork() -> None:
    global _lock, _waiting
    if _waiting and _was_enabled:
        gc.enable()
    _lock, _waiting = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause the collector.

    h5py holds its lock while it reads from a file object. If the collector ran in the thread that
    receives the data and found an object of h5py there, it would wait for that lock, and h5py for
    the data.
    """
    global _waiting, _was_enabled
    with _lock:
        if _waiting == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _waiting += 1
    try:
        yield
    finally:
        with _lock:
            _waiting -= 1
            if _waiting == 0 and _was_enabled:
                gc.enable()
