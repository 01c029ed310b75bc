"""All values of each gene together, with the groups of their cells, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics import config
from lazyomics.kernels.rank_sums import GeneValues, count_values, group_type, held_type
from lazyomics.lazy.execute import compute, windows
from lazyomics.lazy.matrix import LazyMatrix
from lazyomics.lazy.recipe import recipe_of
from lazyomics.lazy.reduction import fold_rows
from lazyomics.lazy.scheduler import active_client, runs_in_process, threads

__all__ = ["GenePart", "by_gene"]

AT_LEAST = 16 << 20  # bytes put aside in a pass, however little memory there is
AT_ONCE = 1 << 20  # values that a thread works on in one go


@dataclass(frozen=True, eq=False)
class GenePart:
    """Values other than zero of consecutive genes, gene after gene.

    Attributes
    ----------
    first
        Position of the first gene.
    values
        In no certain order within a gene, shape (start[-1],).
    groups
        Of each value, in the smallest unsigned type for their number, shape (start[-1],).
    start
        Where each gene begins, int64, shape (p + 1,).
    """

    first: int
    values: NDArray[Any]
    groups: NDArray[Any]
    start: NDArray[np.int64]

    def each(self, work: Callable[[GenePart], Any]) -> list[Any]:
        """Call a function that releases the interpreter lock on pieces of these genes, in threads.

        Results are in the order of the genes.
        """
        start = self.start
        wanted = np.arange(0, int(start[-1]) + AT_ONCE, AT_ONCE)
        cuts = np.unique([0, *np.searchsorted(start, wanted, side="right") - 1, len(start) - 1])

        def piece(a: int, b: int) -> GenePart:
            part = slice(start[a], start[b])
            begins = start[a : b + 1] - start[a]
            return GenePart(self.first + a, self.values[part], self.groups[part], begins)

        with ThreadPoolExecutor(threads()) as pool:
            return list(pool.map(lambda cut: work(piece(*cut)), pairwise(cuts.tolist())))


def by_gene(
    x: Any,
    codes: NDArray[np.integer[Any]],
    work: Callable[[GenePart], Any],
    *,
    n_codes: int,
    stored: NDArray[np.int64] | None = None,
    sorting: int = 0,
) -> list[Any]:
    """Put the values of each gene together, as many genes at a time as memory allows, for a call.

    Parameters
    ----------
    x
        Matrix as ``as_lazy`` returns it, shape (n, p).
    codes
        Group of each row, shape (n,); rows with a negative code are left out.
    work
        Called with parts that cover all genes, in threads; it should release the interpreter lock
        and must not keep the arrays of a part.
    n_codes
        Number of groups.
    stored
        Values other than zero of each gene in the rows that have a group, shape (p,), where they
        are known.
    sorting
        Bytes for each value that a thread works on.

    Returns
    -------
    What the function returned, in the order of the genes.

    Raises
    ------
    ShapeError
        If the matrix changes meanwhile.

    Notes
    -----
    Passes over the matrix: 1 for each part of the genes whose values fit in ``lazyomics.memory``
    (the size of the values and 1 to 8 bytes for each), and 1 before that to count them, where
    ``stored`` is None. A matrix that is stored by columns and has no recorded steps takes 1 in all.
    """
    results: list[Any] = []
    columns = _in_columns(x)
    if columns is not None:
        for part in _column_parts(columns, codes, group_type(n_codes)):
            results += part.each(work)
        return results
    n_genes = x.shape[1]
    if stored is None:
        (stored,) = compute(fold_rows(x, count_values, rows=(codes,)))
    for a, b in pairwise(_bounds(stored, x.dtype, n_codes, sorting)):
        chosen = x if (a, b) == (0, n_genes) else x[:, a:b]
        values = GeneValues(stored[a:b], x.dtype, n_codes)
        _fill(values, chosen, codes)
        values.check_filled()
        results += GenePart(a, values.values, values.groups, values.start).each(work)
        del values  # before the next ones are made
    return results


def _bounds(
    stored: NDArray[np.int64], dtype: np.dtype[Any], n_codes: int, sorting: int
) -> list[int]:
    """Boundaries of runs of genes whose values are put aside in one pass."""
    batch = max(AT_ONCE, int(stored.max(initial=0)))
    budget = max(config.memory() - threads() * batch * sorting, AT_LEAST)
    most = budget // (held_type(dtype).itemsize + group_type(n_codes).itemsize)
    ends = np.cumsum(stored)
    bounds = [0]
    while bounds[-1] < len(stored):
        begun = ends[bounds[-1] - 1] if bounds[-1] else 0
        end = int(np.searchsorted(ends, begun + most, side="right"))
        bounds.append(max(end, bounds[-1] + 1))
    return bounds


def _fill(values: GeneValues, x: Any, codes: NDArray[np.integer[Any]]) -> None:
    """Put a matrix in place: in the tasks that compute its blocks, or here as they arrive."""
    if active_client() is None and runs_in_process():
        compute(fold_rows(x, values, rows=(codes,)))
        return
    row = 0
    for blocks in windows(x):
        while blocks:
            block = blocks.pop(0)
            values(block, codes[row : row + block.shape[0]])
            row += block.shape[0]


def _in_columns(x: Any) -> Any | None:
    """The same matrix in blocks of columns, if that is how it is stored and nothing changes it."""
    recipe = recipe_of(x)
    if recipe is None or recipe.source.format != "csc" or recipe.steps:
        return None
    return LazyMatrix.cook(replace(recipe, by_columns=True))


def _column_parts(
    x: Any, codes: NDArray[np.integer[Any]], kind: np.dtype[Any]
) -> Iterator[GenePart]:
    """Blocks of columns as they come: the values of their genes are together already."""
    first = 0
    for blocks in windows(x, axis=1):
        while blocks:
            block = blocks.pop(0)
            groups = codes[block.indices]
            kept = (groups >= 0) & (block.data != 0)
            start = np.concatenate(([0], np.cumsum(kept)))[block.indptr]
            values = block.data[kept].astype(held_type(block.dtype), copy=False)
            yield GenePart(first, values, groups[kept].astype(kind), start)
            first += block.shape[1]
