"""Lazy matrices and the few shapes of work on them; the only package that calls dask.array."""

from lazyomics.graph.execute import (
    compute,
    materialize,
    materialize_all,
    runs_here,
    threads,
    to_memory_format,
    windows,
    workers,
)
from lazyomics.graph.folding import fold_rows, fold_runs
from lazyomics.graph.join import join_matrices
from lazyomics.graph.joined import JoinedPart, JoinedSource
from lazyomics.graph.matrix import LazyMatrix, before_last_step, from_source, recipe_of
from lazyomics.graph.row_totals import collect_row_totals
from lazyomics.graph.rows import collect_rows, lazy, map_rows, row_bounds
from lazyomics.graph.source import MemorySource, Source, is_in_memory
from lazyomics.graph.taking import take

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
    "windows",
    "workers",
]
