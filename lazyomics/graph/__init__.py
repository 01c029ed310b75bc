"""Lazy matrices and the few shapes of work on them; the only package that calls dask.array.

What a name stands for is imported when it is asked for: opening a file, or reading some of it as it
is stored, needs no dask.array, which takes longer to import than such work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazyomics.importing import import_whole

if TYPE_CHECKING:
    from lazyomics.graph.execute import (
        compute,
        materialize,
        materialize_all,
        windows,
    )
    from lazyomics.graph.folding import fold_rows, fold_runs
    from lazyomics.graph.join import join_matrices
    from lazyomics.graph.joined import JoinedPart, JoinedSource
    from lazyomics.graph.kinds import is_in_memory, to_memory_format
    from lazyomics.graph.matrix import LazyMatrix, before_last_step, from_source, recipe_of
    from lazyomics.graph.memory_source import MemorySource
    from lazyomics.graph.row_totals import collect_row_totals
    from lazyomics.graph.rows import collect_rows, lazy, map_rows, row_bounds
    from lazyomics.graph.scheduler import runs_here, threads, workers
    from lazyomics.graph.source import Source
    from lazyomics.graph.taking import take
    from lazyomics.graph.transposing import transpose

__all__ = [
    "JoinedPart",
    "JoinedSource",
    "LazyMatrix",
    "MemorySource",
    "Source",
    "before_last_step",
    "collect_row_totals",
    "collect_rows",
    "compute",
    "fold_rows",
    "fold_runs",
    "from_source",
    "is_in_memory",
    "join_matrices",
    "lazy",
    "map_rows",
    "materialize",
    "materialize_all",
    "recipe_of",
    "row_bounds",
    "runs_here",
    "take",
    "threads",
    "to_memory_format",
    "transpose",
    "windows",
    "workers",
]

_NAMES = {
    "execute": ("compute", "materialize", "materialize_all", "windows"),
    "folding": ("fold_rows", "fold_runs"),
    "join": ("join_matrices",),
    "joined": ("JoinedPart", "JoinedSource"),
    "kinds": ("is_in_memory", "to_memory_format"),
    "matrix": ("LazyMatrix", "before_last_step", "from_source", "recipe_of"),
    "memory_source": ("MemorySource",),
    "row_totals": ("collect_row_totals",),
    "rows": ("collect_rows", "lazy", "map_rows", "row_bounds"),
    "scheduler": ("runs_here", "threads", "workers"),
    "source": ("Source",),
    "taking": ("take",),
    "transposing": ("transpose",),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lazyomics.graph' has no attribute {name!r}")
    value = getattr(import_whole(f"lazyomics.graph.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
