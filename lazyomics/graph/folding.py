"""Reduce a matrix to one state: runs of blocks are folded in order, the runs' states in a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from operator import add, iadd
from typing import Any
from uuid import uuid4

import dask.array as da
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph

from lazyomics import config
from lazyomics.graph.compact import CompactArray
from lazyomics.graph.matrix import Piece, Shared, pieces, recipe_of
from lazyomics.graph.plan import RUNS_AT_LEAST, run_bounds
from lazyomics.graph.recipe import Recipe
from lazyomics.graph.rows import Boxed, block_tasks, row_vectors
from lazyomics.graph.scheduler import active_client, slots
from lazyomics.graph.source import holds_values, is_scanned_for_rows

__all__ = ["fold_rows", "fold_runs"]

STATES_MERGED_AT_ONCE = 2  # with more of them, more wait for each other in memory
BLOCK_BYTES = 16 << 20  # read at a time inside of a run: more would leave the caches
GRAINS_IN_A_BLOCK = 16  # a chunk that two blocks share is decoded for each of them


def fold_rows(
    x: da.Array, kernel: Callable[..., Any], *, rows: Sequence[Any] = (), **kwargs: Any
) -> Delayed:
    """Reduce the blocks of a matrix to one state in one pass.

    Parameters
    ----------
    x
        Matrix as ``lazy`` returns it, shape (n, m).
    kernel
        ``kernel(block, *row_slices, **kwargs)`` returns a state; states support ``a + b``.
    rows
        Arrays of length n that are cut like the blocks.
    kwargs
        Passed to each call; must be picklable.

    Returns
    -------
    Delayed state; see ``fold_runs``.
    """
    return fold_runs(x, partial(_fold_each, kernel=kernel), rows=rows, **kwargs)


def fold_runs(
    x: da.Array,
    kernel: Callable[..., Any],
    *,
    rows: Sequence[Any] = (),
    runs: int = RUNS_AT_LEAST,
    **kwargs: Any,
) -> Delayed:
    """Reduce runs of consecutive blocks to a state each, and these to one, in one pass.

    Parameters
    ----------
    x
        Matrix as ``lazy`` returns it, shape (n, m).
    kernel
        ``kernel(parts, **kwargs)`` returns the state of a run, whose parts ``(block,
        *row_slices)`` it iterates over once; there is at least one. States support ``a + b``.
    rows
        Arrays of length n that are cut like the blocks.
    runs
        At least so many, if there are as many blocks: fewer where finishing a state costs much.
    kwargs
        Passed to each call; must be picklable.

    Returns
    -------
    Delayed state. A worker holds one block and one state at a time, however long its run is, and
    runs are merged in a tree, so that only a few states wait. Blocks of a file are read for this
    state alone: they are not shared with what is computed at the same time.
    """
    vectors = row_vectors(x, rows)
    name = f"fold-{uuid4().hex}"
    call = partial(kernel, **kwargs) if kwargs else kernel
    recipe = recipe_of(x)
    if recipe is None or holds_values(recipe.source):
        # a run for each block: they are made by other tasks, or views of memory
        layer, count = (
            block_tasks(name, x, partial(_fold_block, fold=call), vectors),
            x.numblocks[0],
        )
        depends = [x]
    else:
        layer, count = _tasks_on_runs(name, recipe, call, vectors, runs)
        depends = []
    layer[name] = _merge_in_tree(name, layer, count)
    return Delayed(name, HighLevelGraph.from_collections(name, layer, dependencies=depends))


@dataclass(frozen=True, eq=False)
class _Run:
    """Consecutive blocks that one task reads, and the share of each in the row vectors."""

    pieces: tuple[Piece, ...]
    vectors: tuple[tuple[CompactArray, ...], ...]

    def parts(self, shared: Shared) -> Iterator[tuple[Any, ...]]:
        """Read block after block; no one but the reader of this iterator holds them."""
        for piece, vectors in zip(self.pieces, self.vectors, strict=True):
            yield piece.load(shared), *(v.values for v in vectors)


def _tasks_on_runs(
    name: str, recipe: Recipe, call: Callable[..., Any], vectors: list[Any], runs: int
) -> tuple[dict[Any, Any], int]:
    bounds = _fine(recipe).bounds()
    shared, cut = pieces(recipe, bounds)
    shares = [tuple(CompactArray(v[a:b]) for v in vectors) for a, b in pairwise(bounds)]
    client = active_client()
    ends = run_bounds(len(cut), 1 if client is None else slots(client), runs)
    layer: dict[Any, Any] = {f"recipe-{name}": shared, f"kernel-{name}": Boxed(call)}
    for k, (a, b) in enumerate(pairwise(ends)):
        run = _Run(tuple(cut[a:b]), tuple(shares[a:b]))
        layer[name, k] = (_fold_run, f"kernel-{name}", f"recipe-{name}", run)
    return layer, len(ends) - 1


def _fine(recipe: Recipe) -> Recipe:
    """The recipe in blocks that are small, but not much smaller than what is stored as one."""
    if recipe.lines_per_block is not None or is_scanned_for_rows(recipe.source):
        return recipe
    largest = recipe.target_bytes or config.chunk_bytes()
    grain = int(getattr(recipe.source, "grain_bytes", 0))
    return replace(recipe, target_bytes=min(largest, max(BLOCK_BYTES, GRAINS_IN_A_BLOCK * grain)))


def _merge_in_tree(name: str, layer: dict[Any, Any], count: int) -> Any:
    """Add tasks that merge the states; return the key of the last one."""
    keys: list[tuple[Any, ...]] = [(name, k) for k in range(count)]
    level = 0
    while len(keys) > 1:
        level += 1
        merged: list[tuple[Any, ...]] = []
        for j in range(0, len(keys), STATES_MERGED_AT_ONCE):
            key = (f"merge-{name}", level, j)
            layer[key] = (_merge, keys[j : j + STATES_MERGED_AT_ONCE])
            merged.append(key)
        keys = merged
    return keys[0]


def _fold_run(fold: Boxed, shared: Shared, run: _Run) -> Any:
    return fold.value(run.parts(shared))


def _fold_block(block: Any, *vectors: Any, fold: Callable[..., Any]) -> Any:
    return fold(iter([(block, *vectors)]))


def _fold_each(
    parts: Iterator[tuple[Any, ...]], *, kernel: Callable[..., Any], **kwargs: Any
) -> Any:
    """Fold a run by a kernel that takes one block."""
    state = kernel(*next(parts), **kwargs)
    for part in parts:
        # the state was made here, so adding to it in place (where it can) changes no other's
        state = iadd(state, kernel(*part, **kwargs))
    return state


def _merge(states: list[Any]) -> Any:
    total = states[0]
    for state in states[1:]:
        total = add(total, state)
    return total
