"""Lazy matrices and the few shapes of work on them; the only package that calls dask.array."""

from lazyomics.graph.execute import (
    compute,
    materialize,
    materialize_all,
    to_memory_format,
    windows,
    workers,
)
from lazyomics.graph.join import join_matrices
from lazyomics.graph.joined import JoinedPart, JoinedSource
from lazyomics.graph.matrix import LazyMatrix, from_source, recipe_of
from lazyomics.graph.rows import collect_rows, fold_rows, lazy, map_rows, row_bounds
from lazyomics.graph.source import MemorySource, Source, is_in_memory
from lazyomics.graph.taking import take

__all__ = [
    "JoinedPart",
    "JoinedSource",
    "LazyMatrix",
    "MemorySource",
    "Source",
    "collect_rows",
    "compute",
    "fold_rows",
    "from_source",
    "is_in_memory",
    "join_matrices",
    "lazy",
    "map_rows",
    "materialize",
    "materialize_all",
    "recipe_of",
    "row_bounds",
    "take",
    "to_memory_format",
    "windows",
    "workers",
]
