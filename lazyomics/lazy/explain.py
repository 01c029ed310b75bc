"""What one pass over a lazy matrix will read and hold, known before anything is read."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import dask.array as da
import numpy as np

from lazyomics.kernels.steps import SelectCols, Step
from lazyomics.lazy.indexer import Selector, compose, is_whole, length
from lazyomics.lazy.recipe import Recipe, recipe_of
from lazyomics.lazy.scheduler import workers

__all__ = [
    "MatrixPlan",
    "Plan",
    "explain_matrix",
]


@runtime_checkable
class CostedSource(Protocol):
    """A source in a file, which knows what reading a part of it costs."""

    @property
    def element(self) -> tuple[str, str]:
        """File and name."""

    def cost(self, lines: Selector, cols: Selector) -> tuple[int, int]:
        """HDF5 chunks and stored bytes that reading these lines touches, at most."""


@dataclass(frozen=True)
class MatrixPlan:
    """One pass over one lazy matrix.

    Parameters
    ----------
    name
        Where the object holds it, e.g. ``"X"`` or ``"layers['counts']"``.
    element
        File and element it is read from; None for what is not read from a file.
    storage
        Layout and dtype as stored.
    shape, source_shape
        Of the matrix, and of what is stored.
    blocks
        Number of blocks.
    selection
        What is selected of the source, in words.
    steps
        What is done to each block, in order.
    chunks, stored_bytes
        HDF5 chunks decoded and bytes read; -1 where that is not known.
    block_bytes
        Decoded bytes of the largest block.
    """

    name: str
    element: tuple[str, str] | None
    storage: str
    shape: tuple[int, int]
    source_shape: tuple[int, int]
    blocks: int
    selection: str
    steps: tuple[str, ...]
    chunks: int
    stored_bytes: int
    block_bytes: int

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.shape[0]:,} × {self.shape[1]:,}, {self.storage}"]
        if self.element is not None:
            lines.append(f"  read from  {self.element[0]}:/{self.element[1].lstrip('/')}")
        lines.append(f"  selected   {self.selection}")
        lines.append(f"  steps      {' → '.join(self.steps) or 'none'}")
        lines.append(f"  blocks     {self.blocks:,}, the largest {size_text(self.block_bytes)}")
        if self.chunks >= 0:
            cost = f"{self.chunks:,} chunks, {size_text(self.stored_bytes)} stored"
            lines.append(f"  one pass   {cost}")
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class Plan:
    """One pass over each lazy matrix of an object.

    Parameters
    ----------
    matrices
        A plan for each.
    workers
        Blocks in flight.
    """

    matrices: tuple[MatrixPlan, ...]
    workers: int

    @property
    def peak_bytes(self) -> int:
        """Estimated memory of a pass: a block and its changed copy for each worker."""
        return 2 * self.workers * max((m.block_bytes for m in self.matrices), default=0)

    @property
    def stored_bytes(self) -> int:
        """Bytes read by one pass over every matrix, as far as known."""
        return sum(max(0, m.stored_bytes) for m in self.matrices)

    @property
    def chunks(self) -> int:
        """HDF5 chunks decoded by one pass over every matrix, as far as known."""
        return sum(max(0, m.chunks) for m in self.matrices)

    def __repr__(self) -> str:
        if not self.matrices:
            return "nothing is lazy: all matrices are in memory"
        tail = f"one pass over all: {self.in_all()}"
        return "\n".join([*map(str, self.matrices), tail])

    def in_all(self) -> str:
        """Reads and memory of a pass over every matrix, in words."""
        total = f"{self.chunks:,} chunks, {size_text(self.stored_bytes)}"
        memory = f"{size_text(self.peak_bytes)} with {self.workers} workers"
        return f"{total}; memory about {memory}, besides results"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from lazyomics.lazy.html import html_of_plan

        return html_of_plan(self)


def explain_matrix(name: str, x: da.Array) -> MatrixPlan:
    """Plan one pass over a dask matrix. Reads row pointers and chunk positions, no values."""
    recipe = recipe_of(x)
    if recipe is None:
        return _other(name, x)
    source = recipe.source
    n_rows, n_cols = source.shape
    chunks, stored = _cost(recipe)
    return MatrixPlan(
        name=name,
        element=source.element if isinstance(source, CostedSource) else None,
        storage=f"{source.format} {source.dtype}",
        shape=recipe.shape,
        source_shape=(n_rows, n_cols),
        blocks=len(recipe.bounds()) - 1,
        selection=f"{_chosen(recipe.rows, n_rows)} rows, {_chosen(recipe.cols, n_cols)} columns",
        steps=tuple(_step_text(step) for step in recipe.steps),
        chunks=chunks,
        stored_bytes=stored,
        block_bytes=_largest_block(recipe),
    )


def stored_bytes_of_totals(x: da.Array) -> int:
    """Bytes that totals of the rows read of a matrix: where they need no positions, about half."""
    recipe = recipe_of(x)
    source: Any = None if recipe is None else recipe.source
    if recipe is None or not hasattr(source, "cost_of_values") or not recipe.reads_values_alone:
        return explain_matrix("", x).stored_bytes
    bounds = pairwise(recipe.bounds())
    return sum(source.cost_of_values(compose(recipe.rows, slice(a, b, 1))) for a, b in bounds)


def plan_of(matrices: dict[str, da.Array]) -> Plan:
    """Plan one pass over each of some lazy matrices."""
    return Plan(tuple(explain_matrix(n, x) for n, x in matrices.items()), workers())


def size_text(size: int) -> str:
    """Bytes for people: ``size_text(1536)`` is ``'1.5 KiB'``."""
    value, unit = float(size), "B"
    for bigger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, bigger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def _other(name: str, x: da.Array) -> MatrixPlan:
    shape = (int(x.shape[0]), int(x.shape[1]) if x.ndim > 1 else 1)
    largest = int(np.prod([max(c) for c in x.chunks])) * x.dtype.itemsize if x.ndim else 0
    return MatrixPlan(
        name=name,
        element=None,
        storage=f"dask array of {type(x._meta).__name__} {x.dtype}",
        shape=shape,
        source_shape=shape,
        blocks=int(np.prod(x.numblocks)),
        selection="as dask computes it",
        steps=(f"{len(x.__dask_graph__().layers):,} layers of the dask graph",),
        chunks=-1,
        stored_bytes=-1,
        block_bytes=largest,
    )


def _cost(recipe: Recipe) -> tuple[int, int]:
    """Sum over the blocks: a chunk that two blocks share is read for each."""
    source = recipe.source
    if not isinstance(source, CostedSource):
        return -1, -1
    lines = recipe.cols if recipe.by_columns else recipe.rows
    across = recipe.rows if recipe.by_columns else recipe.cols
    if source.format == "csc" and not recipe.by_columns:
        windows = len(recipe.bounds()) - 1  # each looks through all selected columns
        chunks, stored = source.cost(recipe.cols, recipe.rows)
        return windows * chunks, windows * stored
    costs = [
        source.cost(compose(lines, slice(a, b, 1)), across) for a, b in pairwise(recipe.bounds())
    ]
    return sum(c for c, _ in costs), sum(b for _, b in costs)


def _largest_block(recipe: Recipe) -> int:
    stored = recipe.source.stored_per_line()
    itemsize = recipe.source.dtype.itemsize
    bounds = np.asarray(recipe.bounds())
    most_lines = int(np.diff(bounds).max())
    if stored is None:
        return most_lines * length(recipe.cols) * itemsize
    if recipe.source.format == "csc" and not recipe.by_columns:
        share = most_lines / max(1, recipe.source.shape[0])
        return int(stored[recipe.cols].sum() * share) * (itemsize + 4)
    lines = stored[recipe.cols if recipe.by_columns else recipe.rows]
    ends = np.append(0, np.cumsum(lines))[bounds]
    return int(np.diff(ends).max()) * (itemsize + 4) + 8 * most_lines


def _chosen(selector: Selector, size: int) -> str:
    if is_whole(selector, size):
        return f"all {size:,}"
    kind = "a range of" if isinstance(selector, slice) else "scattered"
    return f"{length(selector):,} ({kind}) of {size:,}"


def _step_text(step: Step) -> str:
    """The step and its single values: arrays are left out."""
    if isinstance(step, SelectCols):
        return f"SelectCols({length(step.cols):,})"
    shown: list[str] = []
    for item in fields(step):
        value: Any = getattr(step, item.name)
        if isinstance(value, int | float | str | bool | np.generic | np.dtype):
            shown.append(f"{item.name}={value}")
    return f"{type(step).__name__}({', '.join(shown)})"
