"""Graphs on a cluster of ``dask.distributed``: its workers compute, results come a few at a time.

As for every dask collection, the client that dask would use is used without being told. Matrices
in the memory of this process are not sent to it: what is computed from them is computed here.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import dask
import dask.array as da
from dask.core import flatten
from dask.optimization import cull
from dask.system import CPU_COUNT
from dask.utils import ensure_dict

from lazyomics import config
from lazyomics.lazy.gather import Gathering, gathering
from lazyomics.lazy.recipe import holds_values
from lazyomics.lazy.scheduler import active_client, slots

if TYPE_CHECKING:
    from lazyomics.progress import Progress

__all__ = [
    "client_for",
    "compute_on",
    "leave_slot",
    "materialize_on",
    "stream",
]


def client_for(values: Sequence[Any]) -> Any | None:
    """Return the client that shall compute these lazy values; None if this process shall.

    Values that come from a matrix in memory are computed here, unless others of their inputs are
    on the cluster already.
    """
    client = active_client()
    if client is None or not values:
        return None
    graphs = [v.__dask_graph__() for v in values]
    in_memory = any(_is_in_memory(graph) for graph in graphs)
    return None if in_memory and not any(_has_futures(graph) for graph in graphs) else client


def _is_in_memory(graph: Any) -> bool:
    """Whether a graph holds the recipe of a matrix in memory."""
    for name, layer in getattr(graph, "layers", {}).items():
        if isinstance(name, str) and name.startswith("matrix-"):
            shared = layer.get(f"recipe-{name}")
            if holds_values(getattr(shared, "source", None)):
                return True
    return False


def _has_futures(graph: Any) -> bool:
    future = sys.modules["distributed"].Future
    return any(
        isinstance(task, future) or isinstance(getattr(task, "value", None), future)
        for task in ensure_dict(graph).values()
    )


def compute_on(client: Any, values: Sequence[Any]) -> tuple[Any, ...]:
    """Compute arrays and delayed values in one run; they are put together in this process.

    dask itself would put each together on one worker, in whose memory it may not fit.
    """
    graph: dict[Any, Any] = {}
    for value in values:
        graph.update(ensure_dict(value.__dask_graph__()))
    keys = [value.__dask_keys__() for value in values]
    leave_slot()
    futures = _submitted(client, _optimized(graph, keys), keys)
    with _progress() as progress:
        try:
            progress.follow(client, list(flatten(futures)))
            results = client.gather(futures)
            progress.before_release()
        finally:
            for future in flatten(futures):
                future.release()
    made = []
    for k, value in enumerate(values):
        finish, extra = value.__dask_postcompute__()
        mine, results[k] = results[k], None
        made.append(finish(mine, *extra))
    return tuple(made)


def _submitted(client: Any, tasks: dict[Any, Any], keys: list[Any]) -> list[Any]:
    """Have keys computed; return their futures, nested as they are.

    What was asked for first is computed first. Values for each gene or row that kernels need are
    in the graph: that is no reason to warn.
    """
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"}):
        return list(client.get(tasks, keys, sync=False, fifo_timeout="0s"))


def _optimized(graph: dict[Any, Any], keys: list[Any]) -> dict[Any, Any]:
    """As single tasks: as layers, dask would take a result that another needs for an inner one."""
    return dict(ensure_dict(da.Array.__dask_optimize__(graph, keys)))


def stream(client: Any, graph: Any, keys: list[Any], *, most: int) -> Iterator[list[Any]]:
    """Compute keys of a graph in order; this process holds a few of their values.

    Parameters
    ----------
    client
        Of dask.distributed.
    graph, keys
        What to compute.
    most
        Values to fetch at once.

    Yields
    ------
    Lists of up to ``most`` values. The workers compute ahead, and keep up to two values for each
    of their threads until they are fetched; then they forget them.
    """
    tasks = _optimized(ensure_dict(graph), keys)
    waiting: deque[Any] = deque()
    start = done = 0
    with _progress() as progress:
        try:
            while start < len(keys) or waiting:
                step = max(most, slots(client))  # workers come and go
                while start < len(keys) and len(waiting) <= step:
                    part = keys[start : start + step]
                    # Keys without a task are results that the cluster has already (persist).
                    needed, _ = cull(tasks, [key for key in part if key in tasks])
                    waiting.extend(_submitted(client, needed, part))
                    start += step
                now = [waiting.popleft() for _ in range(min(most, len(waiting)))]
                fetched = _fetched(client, now)
                done += len(now)
                progress.show(done, len(keys))
                yield fetched
                del fetched  # while the next ones come
        finally:
            for future in waiting:
                future.release()


def _progress() -> Progress:
    from lazyomics.progress import Progress

    return Progress(after=config.progress_after())


def _fetched(client: Any, futures: list[Any]) -> list[Any]:
    try:
        return list(client.gather(futures))
    finally:
        for future in futures:
            future.release()


def leave_slot() -> None:
    """Within a task of the cluster: let another take its place, as this one will wait for it."""
    with suppress(ValueError, KeyError):  # this is not a task, or it left already
        sys.modules["distributed"].secede()


def materialize_on(client: Any, arrays: Sequence[da.Array]) -> list[Any]:
    """Compute lazy arrays in one run, each filled in this process as its blocks arrive.

    Notes
    -----
    Peak memory: the results and a block for each processor.
    """
    leave_slot()
    plans = [gathering(x, in_process=False) for x in arrays]
    parts = [None if plan is None else plan.filled_here() for plan in plans]
    small = [x for x, part in zip(arrays, parts, strict=True) if part is None]
    whole = iter(compute_on(client, small) if small else ())
    filled = iter(_filled(client, [part for part in parts if part is not None]))
    return [next(whole) if part is None else next(filled) for part in parts]


def _filled(client: Any, parts: list[Gathering]) -> list[Any]:
    """Fetch the blocks of all matrices side by side, so that those they share are read once."""
    graph: dict[Any, Any] = {}
    for part in parts:
        graph.update(ensure_dict(part.graph))
    results: list[list[Any]] = [[None] * len(part.keys) for part in parts]
    order = sorted(
        ((k + 1) / len(part.keys), p, k)
        for p, part in enumerate(parts)
        for k in range(len(part.keys))
    )
    places, targets = iter(order), [cast("Any", part.target) for part in parts]
    keys = [parts[p].keys[k] for _, p, k in order]
    for batch in stream(client, graph, keys, most=int(CPU_COUNT)):
        while batch:
            _, p, k = next(places)
            results[p][k] = targets[p].fill(batch.pop(0), k)
    return [part.finish(mine) for part, mine in zip(parts, results, strict=True)]
