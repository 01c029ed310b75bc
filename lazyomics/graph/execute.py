"""Run graphs: all values of a step in one go, matrices in memory, or windows of blocks in order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import dask
import dask.array as da
import scipy.sparse as sp
from dask.delayed import Delayed
from dask.system import CPU_COUNT

from lazyomics import config
from lazyomics.graph.gather import Gathering, Together, gathering, runs_in_process
from lazyomics.kernels.block import CSCBlock, SparseBlock

__all__ = [
    "compute",
    "materialize",
    "materialize_all",
    "to_memory_format",
    "windows",
    "workers",
]


def compute(*values: Any) -> tuple[Any, ...]:
    """Compute lazy values together, so that blocks they share are read once.

    dask optimises arrays and delayed values apart from each other. Fusing tasks would rename the
    blocks on one side only, and they would be read once for each.
    """
    mixed = {isinstance(v, da.Array) for v in values} == {True, False}
    whole_tasks = {"optimization.fuse.active": False} if mixed else {}
    with _progress(), dask.config.set(whole_tasks):
        return tuple(dask.compute(*values))


def _progress() -> AbstractContextManager[Any]:
    if not config.progress():
        return nullcontext()
    from lazyomics.progress import ProgressBar

    return ProgressBar()


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
    in_process = runs_in_process(arrays)
    parts = [gathering(x, in_process=in_process) or x for x in arrays]
    graphs = [p.graph if isinstance(p, Gathering) else p.__dask_graph__() for p in parts]
    keys = [p.keys if isinstance(p, Gathering) else p.__dask_keys__() for p in parts]
    (waiting,) = compute(Together(graphs, keys))
    made = []
    for k, part in enumerate(parts):
        results, waiting[k] = waiting[k], None
        if isinstance(part, Gathering):
            made.append(part.finish(list(results)))
        else:
            finalize, extra = part.__dask_postcompute__()
            made.append(finalize(results, *extra))
    return made


def to_memory_format(value: Any) -> Any:
    """Blocks as scipy's matrices, which is what users and scanpy expect; the rest unchanged."""
    if isinstance(value, CSCBlock):
        return sp.csc_matrix((value.data, value.indices, value.indptr), shape=value.shape)
    if isinstance(value, SparseBlock):
        return sp.csr_matrix((value.data, value.indices, value.indptr), shape=value.shape)
    return value


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
    Lists of blocks. Memory: a window of blocks.
    """
    n = x.numblocks[axis]
    size = size or 2 * workers()
    graph = x.__dask_graph__()
    keys = [(x.name, k, 0) if axis == 0 else (x.name, 0, k) for k in range(n)]
    if x.numblocks[1 - axis] != 1:
        raise ValueError("windows need a single chunk along the other axis")
    for start in range(0, n, size):
        blocks = [Delayed(k, graph, layer=x.name) for k in keys[start : start + size]]
        yield list(compute(*blocks))


def workers() -> int:
    """Threads or workers that will run tasks."""
    configured = dask.config.get("num_workers", None)
    if configured:
        return int(configured)
    distributed = sys.modules.get("distributed")  # a client exists only where it was imported
    if distributed is not None:
        try:
            return max(1, sum(distributed.default_client().nthreads().values()))
        except ValueError:
            pass  # no client is active
    return int(CPU_COUNT)
