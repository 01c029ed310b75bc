"""Draw fewer counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import lazy
from lazyomics.container.choose import check_annotated
from lazyomics.errors import ShapeError
from lazyomics.kernels.sampling import DownsampleRows
from lazyomics.pp.matrix_choice import assign_matrix, choose_matrix

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = ["downsample_counts"]

SEEDS = 2**32  # how many the generator takes


def downsample_counts(
    adata: AnnData,
    counts_per_cell: int | Collection[int] | None = None,
    total_counts: int | None = None,
    *,
    random_state: Any = 0,
    replace: bool = False,
    copy: bool = False,
) -> AnnData | None:
    """Draw fewer counts from the counts of X, lazily.

    Give exactly one of ``counts_per_cell`` and ``total_counts``.

    Parameters
    ----------
    adata
        Annotated data with counts, shape (n_obs, n_vars).
    counts_per_cell
        Counts that are drawn from each cell that has more: a number, or one for each cell.
    total_counts
        Counts that are drawn from the whole matrix, if it has more.
    random_state
        Seed; None draws one.
    replace
        Whether a count may be drawn several times.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy. Sets X, of the same dtype and kind.

    Raises
    ------
    ValueError
        Unless exactly one number of counts is given, or if one is negative.
    ShapeError
        If ``counts_per_cell`` has another length than ``obs``.

    Notes
    -----
    Passes over X: 0 with ``counts_per_cell``, 1 with ``total_counts`` (totals of the cells). Peak
    memory: two numbers per cell; when it is read, the blocks in flight and 8 bytes for each count
    of one cell. What is drawn is the same whatever the blocks and selections are, because each
    cell is drawn from with a seed of its own.

    With ``counts_per_cell`` the counts are those of scanpy for the same seed, which draws from each
    cell anew with it. With ``total_counts`` scanpy shuffles all counts of the matrix at once: a
    stream of random numbers in which each depends on all before it, so that no block can be had
    without the others, nor without 8 bytes of memory for each count. Here the counts that each cell
    keeps are drawn first (of the multivariate hypergeometric distribution, of the multinomial one
    with ``replace``), then which ones: other counts of the same distribution.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[3.0, 5.0, 2.0], [1.0, 1.0, 0.0]]))
    >>> lo.pp.downsample_counts(adata, 4)
    >>> adata.X.sum(axis=1)
    array([4., 2.])
    """
    check_annotated(adata, "pp.downsample_counts")
    if (counts_per_cell is None) == (total_counts is None):
        raise ValueError("Must specify exactly one of `total_counts` or `counts_per_cell`.")
    adata = adata.copy() if copy else adata
    x = choose_matrix(adata)
    seed = _seed(random_state)
    if counts_per_cell is not None:
        targets = _targets(counts_per_cell, x.shape[0])
        step = DownsampleRows(targets, None, seed, replace)
    else:
        assert total_counts is not None
        if total_counts < 0:
            raise ValueError(f"total_counts must not be negative, found {total_counts}")
        (totals,) = lazy.compute(lazy.collect_row_totals(x))
        if totals.sum() < total_counts:
            return adata if copy else None
        generator = np.random.RandomState(seed)
        seeds = generator.randint(0, SEEDS, size=len(totals), dtype=np.int64)
        targets = _shares(totals.astype(np.int64), int(total_counts), generator, replace=replace)
        # With replacement a cell may be given more counts than it had.
        step = DownsampleRows(targets, seeds, replace=replace, always=replace)
    assign_matrix(adata, lazy.map_rows(x, step))
    return adata if copy else None


def _seed(random_state: Any) -> int:
    if random_state is None:
        return int(np.random.default_rng().integers(SEEDS))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, SEEDS, dtype=np.int64))
    return int(random_state)


def _targets(counts: Any, n_obs: int) -> NDArray[np.int64]:
    given = np.asarray(counts)
    if given.ndim > 0 and given.shape != (n_obs,):
        raise ShapeError(
            "counts_per_cell must be a whole number, or one for each cell: it has shape "
            f"{given.shape}, but there are {n_obs} cells"
        )
    targets = np.broadcast_to(given, n_obs).astype(np.int64)
    if (targets < 0).any():
        raise ValueError("counts_per_cell must not be negative")
    return targets


def _shares(
    totals: NDArray[np.int64], drawn: int, generator: np.random.RandomState, *, replace: bool
) -> NDArray[np.int64]:
    """Divide what is drawn among cells: halves first, then halves of these, down to the cells."""
    levels = [np.concatenate([totals, np.zeros(-len(totals) % 2, np.int64)])]
    while len(levels[-1]) > 1:
        sums = levels[-1].reshape(-1, 2).sum(axis=1)
        odd = len(sums) > 1 and len(sums) % 2 == 1
        levels.append(np.concatenate([sums, np.zeros(int(odd), np.int64)]))
    shares = np.array([drawn], dtype=np.int64)
    for sizes in reversed(levels[:-1]):
        left, right = sizes.reshape(-1, 2).T
        shares = shares[: len(left)]
        if replace:
            both = left + right
            odds = np.divide(left, both, where=both > 0, out=np.zeros(len(left)))
            to_left = generator.binomial(shares, odds)
        else:
            to_left = _hypergeometric(left, right, shares, generator)
        shares = np.stack([to_left, shares - to_left], axis=1).reshape(-1)
    return shares[: len(totals)].astype(np.int64)


def _hypergeometric(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    drawn: NDArray[np.int64],
    generator: np.random.RandomState,
) -> NDArray[np.int64]:
    """Draws that fall to the left; NumPy's newer generator stops at a thousand million counts."""
    out = np.zeros(len(left), dtype=np.int64)
    open_ones = (drawn > 0) & (left + right > 0)
    if open_ones.any():
        out[open_ones] = generator.hypergeometric(
            left[open_ones], right[open_ones], drawn[open_ones]
        )
    return out
