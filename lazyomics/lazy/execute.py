"""Run graphs: all values of a step in one go, matrices in memory, or windows of blocks in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import dask
import dask.array as da
from dask.delayed import Delayed
from dask.system import CPU_COUNT

from lazyomics import config
from lazyomics.lazy.cluster import client_for, compute_on, leave_slot, materialize_on, stream
from lazyomics.lazy.gather import ComputeTogether, Gathering, gathering
from lazyomics.lazy.kinds import to_memory_format
from lazyomics.lazy.scheduler import active_client, runs_in_process, scheduler, workers

__all__ = [
    "compute",
    "materialize",
    "materialize_all",
    "tracked",
    "windows",
]

Item = TypeVar("Item")


def compute(*values: Any) -> tuple[Any, ...]:
    """Compute lazy values together, so that blocks they share are read once.

    dask optimises arrays and delayed values apart from each other. Fusing tasks would rename the
    blocks on one side only, and they would be read once for each.
    """
    client = client_for(values)
    if client is not None:
        return compute_on(client, values)
    mixed = {isinstance(v, da.Array) for v in values} == {True, False}
    whole_tasks = {"optimization.fuse.active": False} if mixed else {}
    with _progress(), dask.config.set(whole_tasks):
        # with a client, what is not for the cluster is computed from this process's memory
        here = scheduler() if active_client() is None else "threads"
        return tuple(dask.compute(*values, scheduler=here))


def _progress() -> AbstractContextManager[Any]:
    after = config.progress_after()
    if after is None:
        return nullcontext()
    from lazyomics.progress import ProgressBar, is_shown

    return nullcontext() if is_shown() else ProgressBar(minimum=after)


def tracked(items: Iterable[Item], total: int) -> Iterator[Item]:
    """Hand on the steps of a computation without tasks, and show how many are done."""
    from lazyomics.progress import Progress

    with Progress(after=config.progress_after()) as progress:
        for done, item in enumerate(items):
            progress.show(done, total)
            yield item
        progress.show(total, total)


def materialize(matrix: Any) -> Any:
    """Return a matrix as scipy (csr_matrix, csc_matrix) or ndarray, computed if it is lazy."""
    if isinstance(matrix, da.Array):
        (matrix,) = materialize_all([matrix])
    return to_memory_format(matrix)


def materialize_all(arrays: Sequence[da.Array]) -> list[Any]:
    """Compute lazy arrays together, so that blocks they share are read once.

    Notes
    -----
    Peak memory: the results and the blocks in flight.
    """
    if not arrays:
        return []
    client = client_for(arrays)
    if client is not None:
        return materialize_on(client, arrays)
    in_process = active_client() is not None or runs_in_process()
    parts = [gathering(x, in_process=in_process) or x for x in arrays]
    graphs = [p.graph if isinstance(p, Gathering) else p.__dask_graph__() for p in parts]
    keys = [p.keys if isinstance(p, Gathering) else p.__dask_keys__() for p in parts]
    (waiting,) = compute(ComputeTogether(graphs, keys))
    made = []
    for k, part in enumerate(parts):
        results, waiting[k] = waiting[k], None
        if isinstance(part, Gathering):
            made.append(part.finish(list(results)))
        else:
            finalize, extra = part.__dask_postcompute__()
            made.append(finalize(results, *extra))
    return made


def windows(x: da.Array, *, axis: int = 0, size: int | None = None) -> Iterator[list[Any]]:
    """Compute the blocks of a matrix in order, a window of them at a time.

    Parameters
    ----------
    x
        Matrix with a single chunk along the other axis.
    axis
        Along which it is cut.
    size
        Blocks in a window; by default two for each worker.

    Yields
    ------
    Lists of blocks. Memory: a window of blocks; with a cluster, whose workers compute ahead, of no
    more blocks than this machine has processors.
    """
    if x.numblocks[1 - axis] != 1:
        raise ValueError("windows need a single chunk along the other axis")
    n, size = x.numblocks[axis], size or 2 * workers()
    graph = x.__dask_graph__()
    keys = [(x.name, k, 0) if axis == 0 else (x.name, 0, k) for k in range(n)]
    client = client_for([x])  # found now: the windows may be asked for by another thread
    if client is not None:
        leave_slot()
        return stream(client, graph, keys, most=min(size, int(CPU_COUNT)))
    parts = [keys[start : start + size] for start in range(0, n, size)]
    return _computed(parts, n, graph, x.name)


def _computed(parts: list[Any], n: int, graph: Any, layer: str) -> Iterator[list[Any]]:
    """Compute keys part after part, with one bar for all of them."""
    from lazyomics.progress import Progress

    done = 0
    with Progress(after=config.progress_after(), nested=True) as progress:
        for part in parts:
            blocks = list(compute(*(Delayed(key, graph, layer=layer) for key in part)))
            done += len(part)
            progress.show(done, n)
            yield blocks
            del blocks  # while the next ones are computed
