"""Doublets that are simulated from pairs of cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.container.choose import check_annotated
from lazyomics.pp.matrix_choice import choose_matrix
from lazyomics.pp.pair_sums import PairSums
from lazyomics.pp.variable_counts import sparse_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData
    from lazyomics.pp.matrix_choice import RowBlocks

__all__ = ["Doublets", "scrublet_simulate_doublets", "simulate"]

DEFAULT_RATIO = 2.0
GENES_AT_A_TIME = 256  # of sums that are sampled


@dataclass(frozen=True, eq=False)
class Doublets:
    """Simulated doublets.

    Attributes
    ----------
    x
        Their counts, shape (m, p): sums that are made when they are read, or in memory if they
        were sampled from.
    parents
        Positions of the two cells of each, int64, shape (m, 2).
    totals
        Counts of each, shape (m,).
    """

    x: RowBlocks
    parents: NDArray[np.int64]
    totals: NDArray[Any]


def scrublet_simulate_doublets(
    adata: AnnData,
    *,
    layer: str | None = None,
    sim_doublet_ratio: float = DEFAULT_RATIO,
    synthetic_doublet_umi_subsampling: float = 1.0,
    random_seed: Any = 0,
) -> AnnData:
    """Simulate doublets by adding the counts of pairs of cells, eagerly.

    Parameters
    ----------
    adata
        Annotated data with counts, shape (n_obs, n_vars), of the genes that doublets are to be
        compared by: select the highly variable ones first.
    layer
        Layer to use instead of X.
    sim_doublet_ratio
        Doublets for each cell.
    synthetic_doublet_umi_subsampling
        Share of the counts of a doublet that is kept, drawn at random.
    random_seed
        Seed, or a ``numpy.random.RandomState``; None goes on with NumPy's global generator.

    Returns
    -------
    Annotated data of the doublets, shape (n_obs × ``sim_doublet_ratio``, n_vars): X (CSR, in
    memory; of the type of the counts, int64 if they were drawn), ``obs["n_counts"]``,
    ``obsm["doublet_parents"]`` (int64, positions of the two cells of each) and
    ``uns["scrublet"]["parameters"]["sim_doublet_ratio"]``. As by scanpy, genes are numbered.

    Raises
    ------
    ValueError
        If there are no two cells, no doublets are asked for, or not a share of the counts.
    KeyError
        If the layer does not exist.

    Notes
    -----
    Passes over X: 1. Peak memory: the counts as a sparse matrix and those of the doublets, 8 bytes
    for each that is not 0 if they are float32: with 2 doublets for each cell up to 5 times the
    counts. If counts are drawn from, twice that. They are never held densely.

    Doublets are those of scanpy for the same seed, the drawn counts, too. (As there, the seed does
    not say what ``n_counts`` of drawn doublets are: NumPy's global generator does.)

    References
    ----------
    Wolock, S. L., Lopez, R. & Klein, A. M. (2019). Scrublet: computational identification of cell
    doublets in single-cell transcriptomic data. doi:10.1016/j.cels.2018.11.005

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[1.0, 0.0], [0.0, 2.0], [5.0, 0.0]]))
    >>> doublets = lo.pp.scrublet_simulate_doublets(adata)
    >>> doublets.shape, doublets.obsm["doublet_parents"].shape
    ((6, 2), (6, 2))
    """
    check_annotated(adata, "pp.scrublet_simulate_doublets")
    x = sparse_rows(choose_matrix(adata, layer=layer))
    counts = sp.csr_matrix(lazy.materialize(x))
    made = simulate(counts, sim_doublet_ratio, synthetic_doublet_umi_subsampling, random_seed)
    doublets = type(adata)(sp.csr_matrix(lazy.materialize(made.x)))
    doublets.obs["n_counts"] = made.totals
    doublets.obsm["doublet_parents"] = made.parents
    doublets.uns["scrublet"] = {"parameters": {"sim_doublet_ratio": sim_doublet_ratio}}
    return doublets


def simulate(counts: Any, ratio: float | None, kept_share: float, seed: Any) -> Doublets:
    """Draw pairs of cells and add them up.

    Parameters
    ----------
    counts
        scipy.sparse.csr_matrix, shape (n, p).
    ratio, kept_share, seed
        As ``sim_doublet_ratio``, ``synthetic_doublet_umi_subsampling`` and ``random_seed`` of
        ``scrublet_simulate_doublets``.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    from sklearn.utils import check_random_state
    from sklearn.utils.random import sample_without_replacement

    n = counts.shape[0]
    wanted = int(n * (DEFAULT_RATIO if ratio is None else ratio))
    if wanted < 1:
        raise ValueError(f"no doublets: {n} cells and sim_doublet_ratio={ratio}")
    if wanted > n * n:
        raise ValueError(f"sim_doublet_ratio={ratio} asks for more than all pairs of {n} cells")
    if not 0 <= kept_share <= 1:
        raise ValueError(
            f"synthetic_doublet_umi_subsampling is {kept_share}, expected a share, 0 to 1"
        )
    generator = check_random_state(seed)
    drawn = sample_without_replacement(n * n, wanted, random_state=generator)
    parents = np.stack(np.unravel_index(drawn, (n, n)), axis=1)
    of_cells = np.asarray(counts.sum(axis=1)).ravel()
    totals = of_cells[parents].sum(axis=1, dtype=of_cells.dtype)
    if kept_share == 1:
        return Doublets(lazy.from_source(PairSums(counts, parents)), parents, totals)
    sampled = _sampled(counts, parents, kept_share, generator)
    left = np.asarray(sampled.sum(axis=1)).ravel()
    # Counts of genes that were not selected would be drawn from as well: there are none here.
    rest = check_random_state(None).binomial(np.round(totals - left).astype(int), kept_share)
    return Doublets(lazy.as_lazy(sampled), parents, left + rest)


def _sampled(
    counts: Any, parents: NDArray[np.int64], kept_share: float, generator: np.random.RandomState
) -> Any:
    """Draw from sums in the order in which scipy stores them by columns, as for scanpy."""
    by_genes = sp.csc_matrix(counts)
    parts = []
    for start in range(0, by_genes.shape[1], GENES_AT_A_TIME):
        part = by_genes[:, start : start + GENES_AT_A_TIME]
        summed = part[parents[:, 0], :] + part[parents[:, 1], :]
        summed.data = generator.binomial(np.round(summed.data).astype(int), kept_share)
        summed.eliminate_zeros()
        parts.append(summed)
    return sp.csr_matrix(sp.hstack(parts, format="csc", dtype=np.int64))
