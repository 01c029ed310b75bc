"""Statistics of marker genes: moments of groups, Welch's t-test, the rank-sum test, regression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.kernels.group_sums import GroupSums, group_sums
from lazyomics.kernels.rank_sums import held_type, rank_sums
from lazyomics.lazy.gene_values import GenePart, by_gene

__all__ = [
    "Basics",
    "Comparison",
    "Tested",
    "logistic_regression",
    "measured",
    "rank_sum_test",
    "t_test",
]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Which cells are compared with which.

    Attributes
    ----------
    codes
        Group of each cell, int64, shape (n_obs,); −1 for cells that take no part. Against the
        rest, cells of no group asked for have the code ``n_groups``.
    n_groups
        Groups asked for.
    reference
        Code of the group that the others are compared with; None for all other cells.
    """

    codes: NDArray[np.int64]
    n_groups: int
    reference: int | None

    @property
    def n_codes(self) -> int:
        """Number of codes, with that of the remaining cells."""
        return self.n_groups + (self.reference is None)

    @property
    def compared(self) -> list[int]:
        """Groups that are compared with something."""
        return [g for g in range(self.n_groups) if g != self.reference]


class Tested(NamedTuple):
    """Scores of one group, and their p-values where there are any."""

    group: int
    scores: NDArray[Any]
    pvals: NDArray[np.float64] | None


class Basics:
    """Means, variances and shares of cells of each group, and of what it is compared with.

    Attributes
    ----------
    cells
        Cells of each code, int64, shape (n_codes,).
    mean, variance, share
        Of each code, float64, shape (n_codes, n_genes).
    mean_rest, variance_rest, share_rest
        Of all cells outside of each group, or else of the reference, shape (n_groups, n_genes).
    stored
        Cells of any code with a value other than zero, int64, shape (n_genes,).
    are_counts
        Whether no group's sum of a gene is fractional or negative.
    """

    def __init__(self, state: GroupSums, comparison: Comparison) -> None:
        state = state.whole()
        n_groups = comparison.n_groups
        self.cells = state.n
        divisors = np.maximum(self.cells, 1)[:, None]
        sums, m2, nonzero = state.sums(), state.m2(), state.nonzero()
        self.are_counts = not np.any(sums < 0) and bool(np.all(sums == np.floor(sums)))
        self.stored: NDArray[np.int64] = nonzero.sum(axis=0)
        self.mean: NDArray[np.float64] = sums / divisors
        self.variance: NDArray[np.float64] = m2 / np.maximum(divisors - 1, 1)
        self.share: NDArray[np.float64] = nonzero / divisors
        if comparison.reference is not None:
            shape = n_groups, sums.shape[1]
            self.mean_rest, self.variance_rest, self.share_rest = (
                np.broadcast_to(values[comparison.reference], shape)
                for values in (self.mean, self.variance, self.share)
            )
            return
        cells = np.maximum(self.cells.sum() - self.cells[:n_groups], 1)[:, None]
        others, deviations = _of_the_others(self.cells, sums, m2, n_groups)
        self.mean_rest = others / cells
        self.variance_rest = deviations / np.maximum(cells - 1, 1)
        self.share_rest = (self.stored - nonzero[:n_groups]) / cells


def _of_the_others(
    cells: NDArray[np.int64],
    sums: NDArray[np.float64],
    m2: NDArray[np.float64],
    n_groups: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums and squared deviations of all other groups, for each of the first ones.

    Those before and those after it are merged. To subtract a group from all would lose digits, and
    one NaN would be in the rest of its own group, too.
    """
    last = len(cells) - 1
    out_sums, out_m2 = np.zeros((2, n_groups, sums.shape[1]))
    n: Any = 0
    total, squares = np.zeros((2, sums.shape[1]))
    before_n = np.zeros(n_groups, dtype=np.int64)
    for group in range(last + 1):
        if group < n_groups:
            before_n[group], out_sums[group], out_m2[group] = n, total, squares
        squares = _merged_m2(n, total, squares, cells[group], sums[group], m2[group])
        n, total = n + cells[group], total + sums[group]
    n, (total, squares) = 0, np.zeros((2, sums.shape[1]))
    for group in range(last, -1, -1):
        if group < n_groups:
            here = before_n[group], out_sums[group], out_m2[group]
            out_m2[group] = _merged_m2(*here, n, total, squares)
            out_sums[group] += total
        squares = _merged_m2(n, total, squares, cells[group], sums[group], m2[group])
        n, total = n + cells[group], total + sums[group]
    return out_sums, out_m2


def _merged_m2(
    n_a: Any,
    sum_a: NDArray[np.float64],
    m2_a: NDArray[np.float64],
    n_b: Any,
    sum_b: NDArray[np.float64],
    m2_b: NDArray[np.float64],
) -> NDArray[np.float64]:
    # Chan, Golub & LeVeque (1983), doi:10.1080/00031305.1983.10483115
    if n_a == 0 or n_b == 0:
        return m2_b if n_a == 0 else m2_a
    delta = sum_b / n_b - sum_a / n_a
    merged: NDArray[np.float64] = m2_a + m2_b + delta**2 * (n_a * n_b / (n_a + n_b))
    return merged


def measured(x: Any, comparison: Comparison) -> Basics:
    """Read the matrix once for all groups."""
    folded = lazy.fold_rows(x, group_sums, rows=(comparison.codes,), n_groups=comparison.n_codes)
    (state,) = lazy.compute(folded)
    return Basics(state, comparison)


def t_test(basics: Basics, comparison: Comparison, *, overestimate: bool) -> Iterator[Tested]:
    """Welch's t-test of each group from moments.

    Parameters
    ----------
    basics, comparison
        Of the same cells.
    overestimate
        Take the group's number of cells for that of the rest as well, which overestimates the
        variance of the difference for small groups.

    Yields
    ------
    For each group, NaN scores as 0 with a p-value of 1.
    """
    from scipy import stats

    for group in comparison.compared:
        n_group = int(basics.cells[group])
        if comparison.reference is not None:
            n_other = int(basics.cells[comparison.reference])
        else:
            n_other = int(basics.cells.sum()) - n_group
        with np.errstate(invalid="ignore", divide="ignore"):
            scores, pvals = stats.ttest_ind_from_stats(
                mean1=basics.mean[group],
                std1=np.sqrt(basics.variance[group]),
                nobs1=n_group,
                mean2=basics.mean_rest[group],
                std2=np.sqrt(basics.variance_rest[group]),
                nobs2=n_group if overestimate else n_other,
                equal_var=False,
            )
        scores[np.isnan(scores)] = 0
        pvals[np.isnan(pvals)] = 1
        yield Tested(group, scores, pvals)


def rank_sum_test(
    x: Any, basics: Basics, comparison: Comparison, *, tie_correct: bool
) -> Iterator[Tested]:
    """Wilcoxon's rank-sum test of each group, in the normal approximation.

    Yields
    ------
    For each group, scores of 0 where all values are alike.

    Notes
    -----
    See ``tl.rank_genes_groups`` for passes and memory.
    """
    from scipy import stats

    sums, ties = _all_rank_sums(x, basics, comparison)
    for group in comparison.compared:
        # each line as scanpy computes it, of the same types, so that the last bits agree
        n_active = int(basics.cells[group])
        if comparison.reference is not None:
            m_active = int(basics.cells[comparison.reference])
            n, tied = n_active + m_active, ties[group]
        else:
            n = int(basics.cells.sum())
            m_active, tied = n - n_active, ties[0]
        coefficient = _tie_coefficient(tied, n) if tie_correct else 1
        with np.errstate(invalid="ignore", divide="ignore"):
            std_dev = np.sqrt(coefficient * n_active * m_active * (n + 1) / 12.0)
            scores = (sums[group] - (n_active * ((n + 1) / 2.0))) / std_dev
        scores[np.isnan(scores)] = 0
        yield Tested(group, scores, 2 * stats.norm.sf(np.abs(scores)))


def _tie_coefficient(tied: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    size = np.float64(n)
    return np.ones(len(tied)) if n < 2 else 1.0 - tied / (size**3 - size)


def _all_rank_sums(
    x: Any, basics: Basics, comparison: Comparison
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n_genes = x.shape[1]
    sums = np.empty((comparison.n_codes, n_genes))
    ties = np.empty((1 if comparison.reference is None else comparison.n_codes, n_genes))
    ranking = _Ranking(comparison, basics.cells, sums, ties)
    by_gene(
        x,
        comparison.codes,
        ranking.rank,
        n_codes=comparison.n_codes,
        stored=basics.stored,
        sorting=8 if held_type(x.dtype).itemsize == 4 else 32,
    )
    return sums, ties


@dataclass(frozen=True, eq=False)
class _Ranking:
    """Where rank sums and ties of all genes go."""

    comparison: Comparison
    sizes: NDArray[np.int64]
    sums: NDArray[np.float64]
    ties: NDArray[np.float64]

    def rank(self, part: GenePart) -> None:
        """Rank the genes of a part."""
        ranked = rank_sums(
            part.values,
            part.groups,
            part.start,
            self.sizes,
            reference=self.comparison.reference,
        )
        genes = slice(part.first, part.first + len(part.start) - 1)
        self.sums[:, genes] = ranked.sums
        self.ties[:, genes] = ranked.ties


def logistic_regression(
    x: Any, codes: NDArray[np.integer[Any]], groups: NDArray[np.int64], **options: Any
) -> Iterator[Tested]:
    """Coefficients of a logistic regression of the group on all genes.

    Parameters
    ----------
    x
        Lazy matrix, shape (n_obs, n_genes); the rows that take part are read into memory.
    codes
        Category of each cell, shape (n_obs,).
    groups
        Categories that take part, in the order of the results.
    options
        Of ``sklearn.linear_model.LogisticRegression``.

    Yields
    ------
    For each group; for the first one only, if there are two.

    Raises
    ------
    ValueError
        If there is only one group.
    """
    if len(groups) == 1:
        raise ValueError("Cannot perform logistic regression on a single cluster.")
    from sklearn.linear_model import LogisticRegression

    rows = np.flatnonzero(np.isin(codes, groups))
    matrix = lazy.materialize(x if len(rows) == len(codes) else x[rows])
    model = LogisticRegression(**options)
    model.fit(matrix, codes[rows])
    if len(groups) == 2:
        yield Tested(0, model.coef_[0], None)
        return
    for k, group in enumerate(groups):
        yield Tested(k, model.coef_[np.searchsorted(model.classes_, group)], None)
