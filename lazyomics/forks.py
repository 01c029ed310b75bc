"""Threads and locks of other libraries when ``os.fork`` is called beside working threads.

The child has no such thread, and would wait for it for ever. Locks that guard what is complete at
any time are made anew in the child; a fork waits for what is not: loops that are being compiled,
and modules that are being imported.
"""

from __future__ import annotations

import _imp
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import dask.config
import dask.threaded
import dask.tokenize

__all__: list[str] = []

# Whose cached properties are computed on the way to a value. Until Python 3.12 each of them has a
# lock for all objects.
_PACKAGES = frozenset({"dask", "distributed", "fsspec", "h5py", "lazyomics", "numba", "sparse"})
_SECONDS_TO_WAIT = 60.0
_SECONDS_TO_LOOK_AGAIN = 0.001

_releases: list[Callable[[], None]] = []  # of locks that are held while the process forks


def _before_fork() -> None:
    """Wait for others that compile and import: what they left half done would stay so.

    Both locks are had at once or none, as who imports may have to compile. While the import lock is
    held nobody begins to import.
    """
    until = time.monotonic() + _SECONDS_TO_WAIT
    while True:
        _take_lock_of_compiler(until)
        _imp.acquire_lock()
        _releases.append(_imp.release_lock)
        if not _others_import() or time.monotonic() > until:
            return
        _after_fork()
        time.sleep(_SECONDS_TO_LOOK_AGAIN)


def _take_lock_of_compiler(until: float) -> None:
    module = sys.modules.get("numba.core.compiler_lock")
    lock = getattr(getattr(module, "global_compiler_lock", None), "_lock", None)
    if lock is not None and lock.acquire(timeout=max(0.0, until - time.monotonic())):
        _releases.append(lock.release)


def _others_import() -> bool:
    """Whether another thread is importing a module, for which it holds the module's own lock."""
    locks: dict[str, Any] = getattr(importlib._bootstrap, "_module_locks", {})
    owners = {getattr(reference(), "owner", None) for reference in list(locks.values())}
    return bool(owners - {None, threading.get_ident()})


def _after_fork() -> None:
    while _releases:
        _releases.pop()()


def _after_fork_in_child() -> None:
    _after_fork()
    for lock in (dask.config.config_lock, dask.tokenize.tokenize_lock, *_locks_of_properties()):
        lock._at_fork_reinit()
    dask.tokenize._SEEN = {}  # what the other thread was just looking at
    # It would wait for the threads of the parent for ever.
    dask.threaded.default_pool = None
    dask.threaded.pools.clear()
    dask.threaded.pools_lock = threading.Lock()


def _locks_of_properties() -> Iterator[Any]:
    if sys.version_info >= (3, 12):
        return
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in _PACKAGES:
            continue
        for kind in list(vars(module).values()):
            if isinstance(kind, type):
                for value in list(vars(kind).values()):
                    if isinstance(value, cached_property):
                        yield getattr(value, "lock")  # noqa: B009 (unknown to newer Pythons)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork,
        after_in_child=_after_fork_in_child,
    )
