"""Defaults, registered in ``dask.config`` under ``lazyomics``.

Set them as any dask option: ``dask.config.set({"lazyomics.chunk-bytes": "64 MiB"})``, in a YAML
file, or by an environment variable such as ``DASK_LAZYOMICS__MEMORY=2GiB``. They are registered
when the first name of lazyomics is asked for that needs dask, such as ``lazyomics.config``.

=============================  =======  ===========================================================
option                         default  meaning
=============================  =======  ===========================================================
``lazyomics.chunk-bytes``      32 MiB   decoded size of a block of X that the chunk planner aims at
``lazyomics.memory``           25 %     what PCA and the writers may hold besides the blocks in
                                        flight: bytes, a text such as ``"2 GiB"``, or a share of
                                        the memory that is available such as ``"25 %"``
``lazyomics.progress``         false    show a progress bar for what takes longer than 3 s; a
                                        number for so many seconds instead
``lazyomics.external-files``   false    follow links and data that lead out of the opened file
``lazyomics.lock-timeout``     30       seconds to wait for another process that saves the same
                                        file; 0 for an error at once
``lazyomics.remote-gap``       64 KiB   parts of a remote file this close are fetched in one
                                        request
``lazyomics.remote-request``   4 MiB    longer parts are fetched in several requests at once
``lazyomics.remote-attempts``  6        how often a part is asked for before reading fails
``lazyomics.remote-wait``      0.2      seconds to wait after the first failure, doubled each time
=============================  =======  ===========================================================
"""

from __future__ import annotations

import os
from typing import Any

import dask.config
from dask.utils import parse_bytes

from lazyomics.errors import UnsupportedError

__all__ = ["check_array_engine", "chunk_bytes", "lock_timeout", "memory", "progress_after"]

SECONDS_BEFORE_PROGRESS = 3.0

DEFAULTS: dict[str, Any] = {
    "chunk-bytes": "32 MiB",
    "external-files": False,
    "lock-timeout": 30.0,
    "memory": "25 %",
    "progress": False,
    "remote-attempts": 6,
    "remote-gap": "64 KiB",
    "remote-request": "4 MiB",
    "remote-wait": 0.2,
}

dask.config.update_defaults({"lazyomics": DEFAULTS})


def check_array_engine(chosen: bool | None) -> None:
    """Refuse dask's array expressions.

    Parameters
    ----------
    chosen
        What ``array.query-planning`` says, or True if this engine was found at work.

    Raises
    ------
    UnsupportedError
        If it is true. This engine is experimental in dask, takes no types of blocks but its own
        (``register_chunk_type``), and knows no graphs that others build.
    """
    if chosen:
        raise UnsupportedError(
            "lazyomics works with dask's arrays, but dask is set to use array expressions, an "
            "experiment of dask's that takes no other types of blocks. Set "
            "dask.config.set({'array.query-planning': False}), or DASK_ARRAY__QUERY_PLANNING=False "
            "in the environment, before dask.array is imported."
        )


check_array_engine(dask.config.get("array.query-planning", None))


def get(key: str) -> Any:
    """Value of ``lazyomics.<key>``, sizes in bytes."""
    if key == "memory":
        return memory()
    if key == "chunk-bytes":
        return chunk_bytes()
    if key in ("remote-gap", "remote-request"):
        return int(parse_bytes(dask.config.get(f"lazyomics.{key}", DEFAULTS[key])))
    return dask.config.get(f"lazyomics.{key}", DEFAULTS.get(key))


def lock_timeout() -> float:
    """Seconds to wait for another process that saves the same file."""
    value = dask.config.get("lazyomics.lock-timeout", DEFAULTS["lock-timeout"])
    seconds = float(value)
    if not seconds >= 0:
        raise ValueError(f"lazyomics.lock-timeout must be 0 or more, found {value!r}")
    return seconds


def chunk_bytes() -> int:
    """Decoded bytes of a block that the chunk planner aims at."""
    size = int(parse_bytes(dask.config.get("lazyomics.chunk-bytes", DEFAULTS["chunk-bytes"])))
    if size <= 0:
        raise ValueError(f"lazyomics.chunk-bytes must be positive, found {size}")
    return size


def memory() -> int:
    """Bytes that PCA and the writers may hold besides the blocks in flight."""
    value = dask.config.get("lazyomics.memory", DEFAULTS["memory"])
    text = str(value).strip()
    if text.endswith("%"):
        return int(float(text[:-1]) / 100 * available_memory())
    return int(parse_bytes(value))


def progress_after() -> float | None:
    """Seconds after which a computation shows a progress bar; None for never."""
    value = dask.config.get("lazyomics.progress", DEFAULTS["progress"])
    known = {"true": True, "false": False, "": False, "on": True, "off": False}
    value = known.get(value.strip().lower(), value) if isinstance(value, str) else value
    if value is None or value is False:
        return None
    if value is True or value == 1:  # 1 stands for true in the environment
        return SECONDS_BEFORE_PROGRESS
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not seconds >= 0:
        raise ValueError(f"lazyomics.progress is true, false or seconds, found {value!r}")
    return seconds or None


def available_memory() -> int:
    """Bytes of memory this process may still use: the machine's, or its cgroup's if less."""
    candidates = [_machine_available(), _cgroup_available()]
    return min(c for c in candidates if c is not None)


def _machine_available() -> int:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux: half of what is installed
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _cgroup_available() -> int | None:
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as limit_file:
            limit = limit_file.read().strip()
        with open("/sys/fs/cgroup/memory.current", encoding="ascii") as used_file:
            used = int(used_file.read())
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(int(limit) - used, 0)
