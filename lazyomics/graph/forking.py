"""Computing after ``os.fork``: the threads of the parent do not exist in the child."""

from __future__ import annotations

import os
import threading

import dask.threaded

__all__: list[str] = []


def _forget_threads() -> None:
    """Let dask make threads anew: it would wait for those of the parent for ever."""
    dask.threaded.default_pool = None
    dask.threaded.pools.clear()
    dask.threaded.pools_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
