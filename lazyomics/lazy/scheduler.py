"""Which scheduler dask would use, and how many workers it has, without importing more for it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import dask.base
import dask.config
import dask.local
import dask.threaded
from dask.system import CPU_COUNT

__all__ = [
    "active_client",
    "runs_here",
    "runs_in_process",
    "scheduler",
    "slots",
    "threads",
    "workers",
]


def scheduler() -> Callable[..., Any]:
    """Return the function that runs graphs: dask's choice, threads where it makes none.

    To look for a client, dask imports ``distributed`` where it is installed, which takes longer
    than many a computation. A client exists only in a process that has imported it already.
    """
    chosen = dask.config.get("scheduler", None) is not None
    if chosen or "distributed" in sys.modules:
        found = dask.base.get_scheduler()
        if found is not None:
            return found
    return dask.threaded.get


def runs_in_process() -> bool:
    """Whether dask will run tasks in threads of this process."""
    return scheduler() in (dask.threaded.get, dask.local.get_sync)


def active_client() -> Any | None:
    """Return the client of dask.distributed that dask would use now, or None."""
    client = getattr(scheduler(), "__self__", None)
    distributed = sys.modules.get("distributed")  # a client exists only where it was imported
    return client if distributed is not None and isinstance(client, distributed.Client) else None


def slots(client: Any) -> int:
    """Tasks that the workers run at the same time; at least one, as workers may be yet to come."""
    return max(1, sum(client.nthreads().values()))


def workers() -> int:
    """Tasks that will run at the same time, here or on the cluster."""
    client = active_client()
    return threads() if client is None else slots(client)


def threads() -> int:
    """Threads of this process that will run tasks, or may do other work."""
    configured = None if active_client() is not None else dask.config.get("num_workers", None)
    return int(configured or CPU_COUNT)


def runs_here() -> bool:
    """Whether tasks run in this process, so that what they return is in its memory already."""
    return active_client() is None


def _after_fork() -> None:
    """Let dask make new pools: this process has none of their threads, and would wait for them."""
    dask.threaded.default_pool = None
    dask.threaded.pools.clear()
    dask.threaded.pools_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
