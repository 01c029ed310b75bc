"""Graphs of groups of cells, abstracted from the graph of the cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import minimum_spanning_tree

ROWS_AT_ONCE = 1 << 18

__all__ = [
    "confident_transitions",
    "connectivities_v1_0",
    "connectivities_v1_2",
    "edges_between",
    "neighbor_lists",
    "shortest_path",
    "strongest_tree",
]


def edges_between(
    graph: sparse.csr_matrix, groups: NDArray[np.integer], n_groups: int
) -> sparse.csr_matrix:
    """Count the stored values of a graph by the groups of their row and column.

    Parameters
    ----------
    graph
        Shape (n_obs, n_obs).
    groups
        Number of the group of each cell, shape (n_obs,).
    n_groups
        Number of groups.

    Returns
    -------
    Matrix of float64, shape (n_groups, n_groups)

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> graph = sparse.csr_matrix([[0, 1, 1], [1, 0, 0], [0, 1, 0]])
    >>> edges_between(graph, np.array([0, 0, 1]), 2).toarray()
    array([[2., 1.],
           [1., 0.]])
    """
    shape = (n_groups, n_groups)
    counts = sparse.csr_matrix(shape, dtype=np.float64)
    for start in range(0, graph.shape[0], ROWS_AT_ONCE):
        part = graph.indptr[start : start + ROWS_AT_ONCE + 1]
        first = np.repeat(groups[start : start + ROWS_AT_ONCE], np.diff(part))
        second = groups[graph.indices[part[0] : part[-1]]]
        counts = counts + sparse.csr_matrix((np.ones(len(first)), (first, second)), shape=shape)
    return counts


def _apart(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Edges that lead into another group."""
    return counts - sparse.diags_array(counts.diagonal(), format="csr")


def connectivities_v1_2(
    counts: sparse.csr_matrix, sizes: NDArray[np.int64]
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Compare edges between groups with those that random neighbours would make.

    Parameters
    ----------
    counts
        Edges of the directed graph of nearest neighbours, from :func:`edges_between`.
    sizes
        Cells of each group, shape (n_groups,).

    Returns
    -------
    Connectivities, at most 1, and those of the tree of the strongest, both float64.

    References
    ----------
    Wolf et al. (2019), PAGA. doi:10.1186/s13059-019-1663-x

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> connectivities_v1_2(sparse.csr_matrix([[6.0, 2], [2, 6]]), np.array([2, 2]))[0].toarray()
    array([[0.   , 0.375],
           [0.375, 0.   ]])
    """
    between = _apart(counts)
    edges = np.asarray(counts.sum(axis=1)).ravel()
    sum_of_both = between + between.T
    pairs = sum_of_both.tocoo()
    i, j = pairs.row, pairs.col
    expected = (edges[i] * sizes[j] + edges[j] * sizes[i]) / (int(sizes.sum()) - 1)
    ratios = np.divide(pairs.data, expected, out=np.ones_like(expected), where=expected != 0)
    connected = sum_of_both.copy()
    connected.data = np.minimum(ratios, 1)
    return connected, strongest_tree(connected, connected)


def connectivities_v1_0(
    counts: sparse.csr_matrix, sizes: NDArray[np.int64], n_neighbors: int
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Compare edges between groups with the geometric mean of those that groups could have.

    Parameters
    ----------
    counts
        Edges of the symmetric graph of weights, from :func:`edges_between`.
    sizes
        Cells of each group, shape (n_groups,).
    n_neighbors
        Neighbours of a cell.

    Returns
    -------
    Connectivities, and those of the tree of most edges, both float64.
    """
    between = _apart(counts)
    edges = (between + between.T) / 2
    pairs = edges.tocoo()
    possible = np.sqrt(float(n_neighbors) ** 2 * sizes[pairs.row] * sizes[pairs.col])
    connected = edges.copy()
    connected.data = pairs.data / possible
    return connected, strongest_tree(edges, connected)


def strongest_tree(edges: sparse.csr_matrix, values: sparse.csr_matrix) -> sparse.csr_matrix:
    """Keep the values on the tree, or forest, of the strongest edges."""
    inverse = edges.copy()
    inverse.data = 1.0 / inverse.data
    tree = minimum_spanning_tree(inverse).tocoo()
    if tree.nnz == 0:
        return sparse.csr_matrix(values.shape, dtype=np.float64)
    kept = np.asarray(values[tree.row, tree.col]).ravel()
    return sparse.csr_matrix((kept, (tree.row, tree.col)), shape=values.shape)


def confident_transitions(
    counts: sparse.csr_matrix, sizes: NDArray[np.int64], n_neighbors: int
) -> sparse.csc_matrix:
    """Compare the directed edges between groups with those in the other direction.

    Parameters
    ----------
    counts
        Edges of a directed graph, from :func:`edges_between`.
    sizes
        Cells of each group, shape (n_groups,).
    n_neighbors
        Neighbours of a cell.

    Returns
    -------
    float64, shape (n_groups, n_groups): row i of column j is the transition from j to i.
    """
    surplus = sparse.csr_matrix(counts - counts.T)
    pairs = surplus.tocoo()
    possible = float(n_neighbors) * sizes
    reference = np.sqrt(possible[pairs.row] * possible[pairs.col])
    surplus.data = np.where(pairs.data > 0, pairs.data / reference, 0)
    surplus.eliminate_zeros()
    return surplus.T


def neighbor_lists(graph: Any) -> list[dict[int, float]]:
    """Read a matrix as an undirected graph.

    Parameters
    ----------
    graph
        Sparse, shape (n_groups, n_groups). An edge may be stored in one direction or in both; the
        value in the later row counts.

    Returns
    -------
    For each group its neighbours, in the order in which they are first met, and the weights.

    Examples
    --------
    >>> from scipy import sparse
    >>> neighbor_lists(sparse.csr_matrix([[0, 2.0, 0], [0, 0, 1.0], [0, 0, 0]]))
    [{1: 2.0}, {0: 2.0, 2: 1.0}, {1: 1.0}]
    """
    lists: list[dict[int, float]] = [{} for _ in range(graph.shape[0])]
    pairs = sparse.csr_matrix(graph).tocoo()
    triples = zip(pairs.row.tolist(), pairs.col.tolist(), pairs.data.tolist(), strict=True)
    for first, second, weight in triples:
        lists[first][second] = weight
        lists[second][first] = weight
    return lists


def shortest_path(neighbors: list[dict[int, float]], source: int, target: int) -> list[int] | None:
    """Find a path of the fewest steps, growing from both ends as networkx does.

    Of several as short, it is networkx's, so that counts of steps that agree are scanpy's.

    Returns
    -------
    Groups from the source to the target, or None if no path joins them.

    Examples
    --------
    >>> shortest_path([{1: 1.0}, {0: 1.0, 2: 1.0}, {1: 1.0}, {}], 0, 2)
    [0, 1, 2]
    >>> shortest_path([{1: 1.0}, {0: 1.0}, {}], 0, 2) is None
    True
    """
    if source == target:
        return [source]
    before: dict[int, int | None] = {source: None}
    behind: dict[int, int | None] = {target: None}
    forward, reverse = [source], [target]
    while forward and reverse:
        if len(forward) <= len(reverse):
            forward, met = _grown(neighbors, forward, before, behind)
        else:
            reverse, met = _grown(neighbors, reverse, behind, before)
        if met is not None:
            return [*_followed(before, met)[::-1], *_followed(behind, met)[1:]]
    return None


def _grown(
    neighbors: list[dict[int, float]],
    fringe: list[int],
    own: dict[int, int | None],
    other: dict[int, int | None],
) -> tuple[list[int], int | None]:
    """One step outwards: the new fringe, and the group at which both sides meet."""
    new = []
    for group in fringe:
        for neighbor in neighbors[group]:
            if neighbor not in own:
                new.append(neighbor)
                own[neighbor] = group
            if neighbor in other:
                return new, neighbor
    return new, None


def _followed(links: dict[int, int | None], group: int | None) -> list[int]:
    path = []
    while group is not None:
        path.append(group)
        group = links[group]
    return path
