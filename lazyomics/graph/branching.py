"""Branches of a process: groups of cells between the tips of a diffusion map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazyomics import logging
from lazyomics.compiled import compiled
from lazyomics.graph.diffusion import DiffusionDistances

__all__ = ["Branches", "Ordering", "find_branches", "order_cells"]

SHORTEST = 5  # cells on either side of a split
FEWEST = 2 * SHORTEST + 2
ALL_CORRELATED = 0.95  # share of the cells beyond which a split is not believed


class Branches(NamedTuple):
    """Groups of cells.

    Attributes
    ----------
    cells
        Numbers of the cells of each group. A cell that no tip attracts is in none.
    tips
        Two cells at the ends of each group, shape (n_groups, 2).
    """

    cells: list[NDArray[np.intp]]
    tips: NDArray[np.intp]


class Ordering(NamedTuple):
    """Cells in the order of their groups, and of pseudotime within these.

    Attributes
    ----------
    labels
        Group of each cell, shape (n_obs,); 0 for cells in none.
    indices
        Cells in order, shape (n_obs,).
    changepoints
        Where in ``indices`` a group begins, but the first.
    tips
        Two cells at the ends of each group, the earlier one first, shape (n_groups, 2).
    """

    labels: NDArray[np.integer]
    indices: NDArray[np.intp]
    changepoints: NDArray[np.intp]
    tips: NDArray[np.intp]


def find_branches(
    distances: DiffusionDistances,
    *,
    root: int,
    n_branchings: int,
    min_group_size: float,
    allow_shift: bool,
) -> Branches:
    """Split the cells at branching points, one after the other, as scanpy does.

    Parameters
    ----------
    distances
        Of which single rows are computed, those of tips.
    root
        Cell to start from: the first tip is the farthest from it.
    n_branchings
        Most branching points.
    min_group_size
        Groups of as many cells, or fewer, are not split.
    allow_shift
        Move a branching point away from the end of the cells that it would leave with none.

    Raises
    ------
    ValueError
        If a group to split has fewer than 12 cells, or one without cells comes out.

    References
    ----------
    Haghverdi et al. (2016). doi:10.1038/nmeth.3971
    """
    first = int(np.argmax(distances.row(root)))
    everyone = np.arange(distances.n_obs)
    groups = [everyone]
    tips = [np.array([first, np.argmax(distances.row(first))])]
    undecided = [True]
    with np.errstate(invalid="ignore", divide="ignore"):  # of cells in different parts
        for _ in range(n_branchings):
            chosen = _group_to_split(distances, groups, tips, undecided, min_group_size)
            if chosen is None:
                break
            at, three = chosen
            parts, ends, trunk = _split(distances, groups[at], three, allow_shift)
            groups[at], tips[at] = parts[trunk], ends[trunk]
            undecided[at] = undecided[at] or trunk == 3
            others = [k for k in range(len(parts)) if k != trunk]
            groups += [parts[k] for k in others]
            tips += [ends[k] for k in others]
            undecided += [False] * len(others)
    return Branches(groups, np.array(tips))


def _group_to_split(
    distances: DiffusionDistances,
    groups: list[NDArray[np.intp]],
    tips: list[NDArray[np.intp]],
    undecided: list[bool],
    min_group_size: float,
) -> tuple[int, NDArray[np.intp]] | None:
    """Choose the group with the most distant third tip; return it and three positions in it."""
    scores = np.zeros((len(groups), 4))
    for k, cells in enumerate(groups):
        third = None
        if undecided[k]:
            third = _connected_tip(distances, tips, k)
        rows = [distances.row(int(tip))[cells] for tip in tips[k]]
        places = [int(np.flatnonzero(cells == tip)[0]) for tip in tips[k]]
        added = rows[0] + rows[1]
        if not np.isfinite(added).any():
            continue
        third_tip = int(np.argmax(added))
        if third is not None:
            beyond = distances.row(int(cells[third_tip]))[cells]
            added += beyond
            fourth = int(np.argmax(added))
            if fourth not in (places[0], third_tip):
                places[1] = fourth
                added -= distances.row(int(cells[fourth]))[cells]
            else:
                added -= beyond
        apart = distances.row(int(cells[places[0]]))[cells[places[1]]]
        score = added[third_tip] / apart if len(cells) > min_group_size else 0
        scores[k] = score, *places, third_tip
    best = int(np.argmax(scores[:, 0]))
    if scores[best, 0] == 0:
        return None
    return best, scores[best, 1:].astype(np.intp)


def _connected_tip(
    distances: DiffusionDistances, tips: list[NDArray[np.intp]], k: int
) -> int | None:
    """Which tip of a group is near to the inner tip of another one; the last that is."""
    found = None
    length = 0.5 * distances.row(int(tips[k][0]))[tips[k][1]]
    lengths = (length, 0.5 * distances.row(int(tips[k][1]))[tips[k][0]])
    for other in range(len(tips)):
        if other == k:
            continue
        row = distances.row(int(tips[other][1]))
        for which in range(2):
            if row[tips[k][which]] < lengths[1 - which]:
                found = which
    return found


def _split(
    distances: DiffusionDistances,
    cells: NDArray[np.intp],
    three: NDArray[np.intp],
    allow_shift: bool,
) -> tuple[list[NDArray[np.intp]], list[NDArray[np.intp]], int]:
    """Split a group into three branches and, where these overlap, undecided cells.

    Returns
    -------
    Cells of each part, its two tips, and which part takes the place of the group.
    """
    if len(cells) < FEWEST:
        raise ValueError(
            f"a group of {len(cells)} cells is to be split, at least {FEWEST} are needed: raise "
            "min_group_size or lower n_branchings"
        )
    rows = np.stack([distances.row(int(cells[tip]))[cells] for tip in three])
    masks = np.zeros((3, len(cells)), dtype=bool)
    for first, second, third in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        masks[first, _branch(rows[first], rows[second], rows[third], allow_shift)] = True
    shared = masks.sum(axis=0) > 1
    parts = [np.flatnonzero(mask & ~shared) for mask in masks]
    if any(len(part) == 0 for part in parts):
        raise ValueError(
            f"splitting a group of {len(cells)} cells leaves a branch without cells: lower "
            "n_branchings or raise min_group_size"
        )
    ends = [
        np.array([tip, part[np.argmax(row[part])]])
        for tip, part, row in zip(three, parts, rows, strict=True)
    ]
    if shared.any():
        between = np.flatnonzero(shared)
        start = int(between[0])
        one = int(between[np.argmax(distances.row(int(cells[start]))[cells[between]])])
        two = int(between[np.argmax(distances.row(int(cells[one]))[cells[between]])])
        parts.append(between)
        ends.append(np.array([one, two]))
        trunk = 3
    else:
        trunk = _middle(distances, cells, parts, [int(end[0]) for end in ends])
    return [cells[part] for part in parts], [cells[end] for end in ends], trunk


def _middle(
    distances: DiffusionDistances,
    cells: NDArray[np.intp],
    parts: list[NDArray[np.intp]],
    tips: list[int],
) -> int:
    """Which of three parts is nearest to both others, by their cells nearest to the tips."""
    nearest = np.zeros((3, 3), dtype=np.intp)
    for a in range(3):
        row = distances.row(int(cells[tips[a]]))
        for b in range(3):
            if a != b:
                nearest[a, b] = parts[b][np.argmin(row[cells[parts[b]]])]

    def between(a: int, b: int) -> np.floating:
        distance: np.floating = distances.row(int(cells[a]))[cells[b]]
        return distance

    added = np.zeros(3)
    added[0] = between(nearest[1, 0], nearest[0, 1]) + between(nearest[2, 0], nearest[0, 2])
    added[1] = between(nearest[0, 1], nearest[1, 0]) + between(nearest[2, 1], nearest[1, 2])
    added[2] = between(nearest[1, 2], nearest[2, 1]) + between(nearest[0, 2], nearest[2, 0])
    return int(np.argmin(added))


def _branch(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    third: NDArray[np.floating],
    allow_shift: bool,
) -> NDArray[np.intp]:
    """Cells from a tip up to where distances from the two other tips cease to be correlated."""
    order = np.argsort(first)
    split = _most_correlated(second[order], third[order])
    if split > ALL_CORRELATED * len(order) and allow_shift:
        logging.warning(
            "shifting a branching point away from the maximal Kendall correlation (suppress this "
            "with `allow_kendall_tau_shift=False`)"
        )
        return order[: int(ALL_CORRELATED * split)]
    return order[: split + 1]


def _most_correlated(a: NDArray[np.floating], b: NDArray[np.floating]) -> int:
    """Where to split two sequences so that Kendall's tau before is largest beside that behind.

    Both correlations follow from those of the split before by the pairs that one element makes.
    """
    from scipy.stats import kendalltau

    n = len(a)
    splits = np.arange(SHORTEST, n - SHORTEST - 1)
    concordant_before, concordant_behind = _concordances(a, b, SHORTEST, len(splits))
    before = kendalltau(a[:SHORTEST], b[:SHORTEST])[0]
    behind = kendalltau(a[SHORTEST:], b[SHORTEST:])[0]
    gains = np.zeros(len(splits))
    for k, i in enumerate(splits.tolist()):
        added, lost = float(concordant_before[k]), float(concordant_behind[k])
        before = before + 2.0 / (i + 1) * (added / i - before)
        behind = behind + 2.0 / (n - i - 2) * (-lost / (n - i - 1) + behind)
        gains[k] = before - behind
    return SHORTEST + int(np.argmax(gains))


@compiled
def _concordances(
    a: NDArray[np.floating], b: NDArray[np.floating], first: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count concordant less discordant pairs of single elements with all before and behind."""
    before, behind = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for k in range(count):
        i = first + k
        x, y = a[i], b[i]
        total = 0
        for j in range(i):
            total += ((a[j] > x) - (a[j] < x)) * ((b[j] > y) - (b[j] < y))
        before[k] = total
        total = 0
        for j in range(i + 1, len(a)):
            total += ((a[j] > x) - (a[j] < x)) * ((b[j] > y) - (b[j] < y))
        behind[k] = total
    return before, behind


def order_cells(
    branches: Branches, n_obs: int, pseudotime: NDArray[np.floating] | None
) -> Ordering:
    """Order cells by their group and, if it is known, by pseudotime within it.

    Parameters
    ----------
    branches
        Groups of cells.
    n_obs
        Number of cells.
    pseudotime
        Shape (n_obs,), or None.

    Examples
    --------
    >>> import numpy as np
    >>> groups = [np.array([0, 2]), np.array([1, 3])]
    >>> branches = Branches(groups, np.array([[0, 2], [3, 1]]))
    >>> order_cells(branches, 4, np.array([0.0, 3.0, 1.0, 4.0])).indices.tolist()
    [0, 2, 1, 3]
    """
    n_groups = len(branches.cells)
    # Ties are broken by the sort of this type, in scanpy and here.
    labels: NDArray[np.integer] = np.zeros(n_obs, np.int8 if n_groups < 128 else np.int64)
    for group, cells in enumerate(branches.cells):
        labels[cells] = group
    tips = branches.tips.copy()
    indices = np.argsort(labels)
    changepoints = np.flatnonzero(np.diff(labels[indices]) == 1) + 1
    if pseudotime is not None:
        for group, ends in enumerate(tips):
            tips[group] = ends[np.argsort(pseudotime[ends])]
        in_order = pseudotime[indices]
        for cells in branches.cells:
            inside = np.zeros(n_obs, dtype=bool)
            inside[cells] = True
            places = np.flatnonzero(inside[indices])
            indices[places] = indices[places][np.argsort(in_order[places])]
    return Ordering(labels, indices, changepoints, tips)
