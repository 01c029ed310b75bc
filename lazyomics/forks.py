"""Threads and locks of other libraries when ``os.fork`` is called beside working threads.

The child has no such thread, and would wait for it for ever. Locks that guard what is complete at
any time are made anew in the child; a fork waits for what is not: loops that are being compiled.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import dask.config
import dask.threaded
import dask.tokenize

__all__: list[str] = []

# Whose cached properties are computed on the way to a value. Until Python 3.12 each of them has a
# lock for all objects.
_PACKAGES = frozenset({"dask", "distributed", "fsspec", "h5py", "lazyomics", "numba", "sparse"})
_SECONDS_TO_COMPILE = 60.0

_compiling: list[Any] = []


def _before_fork() -> None:
    """Wait for numba: what its compiler left half done would not be of use in the child."""
    module = sys.modules.get("numba.core.compiler_lock")
    lock = getattr(getattr(module, "global_compiler_lock", None), "_lock", None)
    if lock is not None and lock.acquire(timeout=_SECONDS_TO_COMPILE):
        _compiling.append(lock)


def _after_fork() -> None:
    if _compiling:
        _compiling.pop().release()


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
