"""Lazy matrices and the few shapes of work on them; the only package that calls dask.array.

What a name stands for is imported when it is asked for: opening a file, or reading some of it as it
is stored, needs no dask.array, which takes longer to import than such work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazyomics.importing import import_whole

if TYPE_CHECKING:
    from lazyomics.lazy.execute import compute, materialize, materialize_all, tracked, windows
    from lazyomics.lazy.joined import JoinedPart, JoinedSource, join_matrices
    from lazyomics.lazy.kinds import is_in_memory, to_memory_format
    from lazyomics.lazy.matrix import (
        LazyMatrix,
        MemorySource,
        before_last_step,
        from_source,
        memory_source,
    )
    from lazyomics.lazy.recipe import Source, recipe_of
    from lazyomics.lazy.reduction import (
        as_lazy,
        as_scipy_blocks,
        collect_row_totals,
        collect_rows,
        fold_rows,
        fold_runs,
        map_rows,
        row_bounds,
    )
    from lazyomics.lazy.reorder import take, transpose
    from lazyomics.lazy.scheduler import runs_here, threads, workers

__all__ = [
    "JoinedPart",
    "JoinedSource",
    "LazyMatrix",
    "MemorySource",
    "Source",
    "as_lazy",
    "as_scipy_blocks",
    "before_last_step",
    "collect_row_totals",
    "collect_rows",
    "compute",
    "fold_rows",
    "fold_runs",
    "from_source",
    "is_in_memory",
    "join_matrices",
    "map_rows",
    "materialize",
    "materialize_all",
    "memory_source",
    "recipe_of",
    "row_bounds",
    "runs_here",
    "take",
    "threads",
    "to_memory_format",
    "tracked",
    "transpose",
    "windows",
    "workers",
]


_NAMES = {
    "execute": ("compute", "materialize", "materialize_all", "tracked", "windows"),
    "joined": ("JoinedPart", "JoinedSource", "join_matrices"),
    "kinds": ("is_in_memory", "to_memory_format"),
    "matrix": ("LazyMatrix", "MemorySource", "before_last_step", "from_source", "memory_source"),
    "recipe": ("Source", "recipe_of"),
    "reduction": (
        "collect_row_totals",
        "collect_rows",
        "fold_rows",
        "fold_runs",
        "as_lazy",
        "as_scipy_blocks",
        "map_rows",
        "row_bounds",
    ),
    "reorder": ("take", "transpose"),
    "scheduler": ("runs_here", "threads", "workers"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lazyomics.lazy' has no attribute {name!r}")
    value = getattr(import_whole(f"lazyomics.lazy.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
