"""Which scheduler dask would use, asked for without importing more than the user has."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import dask.base
import dask.config
import dask.local
import dask.threaded

__all__ = ["runs_in_process", "scheduler"]


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
