"""Write a column-major matrix with row-wise steps on it: turned over once, not scanned per window.

Steps such as normalisation need whole rows, and some rows of a column-major matrix cost a look
through all of its columns. For a new file it is transposed once instead; the steps are applied to
its windows of rows as they come out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal
from uuid import uuid4

import h5py
import numpy as np

from lazyomics import config
from lazyomics.graph import LazyMatrix, MemorySource, from_source
from lazyomics.graph.plan import bounds_by_bytes
from lazyomics.graph.recipe import Recipe
from lazyomics.io.readers import reader_of
from lazyomics.io.stream import write_compressed
from lazyomics.io.transposition.scratch import ScratchPlan
from lazyomics.io.transposition.transposing import Turned, transpose_matrix
from lazyomics.kernels.block import SparseBlock

__all__ = ["needs_turning", "write_row_work"]


def needs_turning(recipe: Recipe | None) -> bool:
    """Whether row blocks of a recipe scan a column-major source more than once."""
    if recipe is None or recipe.source.format != "csc" or recipe.by_columns:
        return False
    return len(recipe.bounds()) > 2


def write_row_work(
    parent: h5py.Group,
    name: str,
    x: LazyMatrix,
    recipe: Recipe,
    *,
    to: Literal["csr", "csc"],
    scratch: ScratchPlan,
    memory: int | None,
    dataset_kwargs: Mapping[str, Any],
) -> bool:
    """Write a matrix of row-wise steps over a column-major source.

    Parameters
    ----------
    parent, name
        Open group, writable, and the name of the new element.
    x, recipe
        The matrix, with sparse blocks of rows, and what it is made of.
    to
        How it is stored in the end.
    scratch, memory
        As for ``transpose_matrix``.
    dataset_kwargs
        Compression of the datasets.

    Returns
    -------
    False, and nothing is written, if the scratch budget does not hold the changed matrix, which
    ``to="csc"`` puts aside before it turns it back.

    Notes
    -----
    Passes over the source: one over its indices (over all of it, where cells or genes are
    selected) and one over its values, or more where scratch is short, as for
    ``transpose_matrix``. With ``to="csc"`` the same again over the changed values in scratch. Peak
    memory: the budget.
    """
    plain = LazyMatrix.cook(replace(recipe, steps=(), by_columns=True))
    turned = Turned.plan(plain, to="csr", memory=memory)
    blocks = _changed(turned.blocks(scratch), recipe)
    shape, most = (int(x.shape[0]), int(x.shape[1])), turned.most_values
    if to == "csr":
        write_compressed(
            parent,
            name,
            blocks,
            kind="csr",
            shape=shape,
            dtype=x.dtype,
            most=most,
            options=dataset_kwargs,
        )
        return True
    size = most * (x.dtype.itemsize + plain._meta.indices.itemsize) + 8 * shape[0]
    if size > scratch.budget or recipe.adds_values:  # it is not known how many
        return False
    left = replace(scratch, most_bytes=scratch.budget - size)
    beside = scratch.folder / f".rows.{os.getpid()}-{uuid4().hex[:8]}.part"
    try:
        with h5py.File(beside, "w-") as file:
            options: dict[str, Any] = {}
            kwargs: Any = {"kind": "csr", "shape": shape, "dtype": x.dtype, "most": most}
            write_compressed(file, "x", blocks, options=options, **kwargs)
        with h5py.File(beside, "r") as file:
            reader = reader_of(file["x"])
        transpose_matrix(
            parent,
            name,
            from_source(reader),
            to="csc",
            scratch=left,
            memory=memory,
            dataset_kwargs=dataset_kwargs,
        )
    finally:
        beside.unlink(missing_ok=True)
    return True


def _changed(blocks: Iterable[SparseBlock], recipe: Recipe) -> Iterator[Any]:
    """Apply the steps to windows of rows, a part of each at a time."""
    start = 0
    for window in blocks:
        source = MemorySource.of(window)
        n_rows, n_cols = window.shape
        sizes = np.diff(window.indptr) * (window.dtype.itemsize + 4) + 8
        for low, high in pairwise(bounds_by_bytes(sizes, config.chunk_bytes())):
            part = source.read(slice(low, high, 1), slice(0, n_cols, 1))
            for step in recipe.steps:
                part = step.take_rows(slice(start + low, start + high, 1))(part)
            yield part
        start += n_rows
