"""Counts of the variable genes of each batch, as the search for doublets selects them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.kernels.batch_genes import GenesOfBatches, KeptCells, kept_cells
from lazyomics.kernels.moments import Moments, moments_by_group
from lazyomics.kernels.steps import AsSparse, AsType
from lazyomics.pp.hvg import DEFAULT_BOUNDS, single_batch
from lazyomics.pp.hvg_dispersion import Cutoffs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.pp.matrix_choice import RowBlocks

__all__ = ["VariableCounts", "sparse_rows", "variable_counts"]

MIN_CELLS = 3  # that express a gene which counts
MIN_GENES = 3  # that a cell which counts expresses
N_BINS = 20  # of means, in which dispersions are compared


@dataclass(frozen=True, eq=False)
class VariableCounts:
    """A batch.

    Attributes
    ----------
    cells
        Positions of the cells that count, ascending, int64, shape (n,).
    counts
        Of the variable genes, scipy.sparse.csr_matrix, shape (n, p).
    divisors
        What normalises each cell to the median total of all genes that count, shape (n,).
    """

    cells: NDArray[np.int64]
    counts: Any
    divisors: NDArray[np.floating[Any]]


def sparse_rows(x: RowBlocks) -> RowBlocks:
    """Return a matrix in sparse blocks of rows, of types in which counts can be added up."""
    if not hasattr(x._meta, "indptr"):
        x = lazy.map_rows(x, AsSparse())
    dtype = np.dtype(x.dtype)
    if dtype.kind in "biu" and dtype.itemsize < 4:
        return lazy.map_rows(x, AsType("<u4" if dtype.kind == "u" else "<i4"))
    # scipy has no matrices of float16
    return lazy.map_rows(x, AsType("<f4")) if dtype == np.float16 else x


def variable_counts(
    x: RowBlocks, codes: NDArray[np.int32], names: list[str]
) -> Iterator[VariableCounts]:
    """Filter and select genes in each batch as scanpy does before it looks for doublets.

    In each batch, genes that fewer than 3 cells express are left out, then cells that express
    fewer than 3 of the other genes; of these, the highly variable ones (flavour ``"seurat"``) are
    selected after normalising the cells to their median total and taking logarithms.

    Parameters
    ----------
    x
        Counts, shape (n, p), sparse.
    codes
        Batch of each cell, 0 to g - 1, shape (n,).
    names
        What the batches are called in messages.

    Yields
    ------
    The batches in order, each made when it is asked for.

    Raises
    ------
    ValueError
        If cells or variable genes are lacking in a batch.

    Notes
    -----
    Passes over x: 3, whatever the number of batches: cells that express each gene; totals of the
    cells and moments of the genes; counts of the variable genes. Peak memory: the blocks in flight
    and four numbers per gene and batch for each, two numbers per cell, and the selected counts (8
    bytes for each that is not 0, if they are float32), with several batches also those of one
    batch.
    """
    (state,) = lazy.compute(lazy.fold_rows(x, moments_by_group, rows=(codes,)))
    genes = (state.positive >= MIN_CELLS).T.copy()
    fold = lazy.fold_rows(x, kept_cells, rows=(codes,), genes=genes, min_genes=MIN_GENES)
    (found,) = lazy.compute(fold)
    kept = np.concatenate(found.kept)
    floating = x.dtype if np.issubdtype(x.dtype, np.floating) else np.dtype(np.float32)
    totals = np.concatenate(found.totals).astype(floating)
    targets = [
        _target(totals[kept & (codes == k)], f"{name}: no cell") for k, name in enumerate(names)
    ]
    variable = np.zeros((x.shape[1], len(names) + 1), dtype=np.bool_)
    for k, name in enumerate(names):
        variable[genes[:, k], k] = _variable(found, k, targets[k], genes[:, k])
        if not variable[:, k].any():
            raise ValueError(f"{name}: no gene is highly variable")
    union = np.flatnonzero(variable.any(axis=1))
    # Cells that are left out are in one more batch, in which no gene counts.
    chosen = GenesOfBatches(np.where(kept, codes, len(names)).astype(np.int32), variable)
    whole = sp.csr_matrix(lazy.materialize(lazy.map_rows(x, chosen)[:, union]))
    for k in range(len(names)):
        cells = np.flatnonzero(kept & (codes == k))
        columns = np.flatnonzero(variable[union, k])
        counts = whole if len(cells) == whole.shape[0] else whole[cells][:, columns]
        divisors = totals[cells] / totals.dtype.type(targets[k])
        yield VariableCounts(cells, counts, np.where(divisors == 0, 1, divisors).astype(floating))


def _target(totals: NDArray[np.floating[Any]], message: str) -> float:
    positive = totals[totals > 0]
    if len(positive) == 0:
        raise ValueError(
            f"{message} expresses {MIN_GENES} genes that {MIN_CELLS} cells of it express"
        )
    return float(np.median(positive))


def _variable(
    found: KeptCells, k: int, target: float, counted: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which of the genes that count are highly variable.

    Moments of shares of the totals are scaled to those of normalised counts.
    """
    own = found.genes.at(k)
    of_counts = Moments(
        own.groups,
        own.n,
        own.mean[:, counted] * target,
        own.m2[:, counted] * target**2,
        own.positive[:, counted],
    )
    frame = single_batch(
        of_counts,
        Cutoffs(None, *DEFAULT_BOUNDS),
        flavor="seurat",
        n_bins=N_BINS,
        expressed_only=False,
    )
    return frame["highly_variable"].to_numpy()
