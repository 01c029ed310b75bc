"""Places in the plane for the groups of an abstracted graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lazyomics.graph.abstraction import neighbor_lists
from lazyomics.graph.communities import as_network, igraph_random
from lazyomics.graph.seeds import seed_of

__all__ = ["TREE_LAYOUTS", "lay_out_groups"]

TREE_LAYOUTS = ("rt", "rt_circular", "eq_tree")


def lay_out_groups(
    edges: sparse.csr_matrix,
    *,
    layout: str,
    tree: sparse.csr_matrix | None = None,
    root: int | Sequence[int] | None = 0,
    start: NDArray[np.floating] | None = None,
    random_state: Any = 0,
    options: Mapping[str, Any] | None = None,
) -> NDArray[np.float64]:
    """Place groups by the layouts of igraph, or a tree in levels of equal spacing.

    Parameters
    ----------
    edges
        Weights, shape (n_groups, n_groups).
    layout
        ``"fr"`` (Fruchterman and Reingold), ``"rt"``, ``"circle"``, … of igraph; or ``"eq_tree"``.
    tree
        Edges that ``"rt"``, ``"rt_circular"`` and ``"eq_tree"`` lay out.
    root
        Root of the tree, or several.
    start
        Places to begin with, shape (n_groups, 2); random ones by default.
    random_state
        Seed: places are scanpy's for the same number or RandomState.
    options
        Passed on to igraph.

    Returns
    -------
    float64, shape (n_groups, 2)

    Raises
    ------
    ValueError
        If ``"eq_tree"`` is given a forest, or the shape of ``start`` does not fit.
    MissingDependencyError
        If igraph is not installed.

    Examples
    --------
    >>> from scipy import sparse
    >>> line = sparse.csr_matrix([[0, 1.0, 0], [1.0, 0, 1.0], [0, 1.0, 0]])
    >>> lay_out_groups(line, layout="eq_tree", tree=line, root=1).round(2).tolist()
    [[0.25, -0.5], [0.5, 0.0], [0.75, -0.5]]
    """
    n_groups = edges.shape[0]
    if start is not None and np.shape(start) != (n_groups, 2):
        raise ValueError(f"init_pos has shape {np.shape(start)}, expected {(n_groups, 2)}")
    if layout == "eq_tree":
        places = _levels(tree, _first(root))
    else:
        places = _by_igraph(edges, layout, tree, root, start, random_state, options or {})
        places[:, 1] *= -1
    return np.full((1, 2), 0.5) if n_groups == 1 else places


def _first(root: int | Sequence[int] | None) -> int:
    if root is None:
        return 0
    return int(root) if isinstance(root, int | np.integer) else int(root[0])


def _by_igraph(
    edges: sparse.csr_matrix,
    layout: str,
    tree: sparse.csr_matrix | None,
    root: int | Sequence[int] | None,
    start: NDArray[np.floating] | None,
    random_state: Any,
    options: Mapping[str, Any],
) -> NDArray[np.float64]:
    if not isinstance(random_state, np.random.RandomState):
        random_state = np.random.RandomState(seed_of(random_state) % 2**32)
    seed = random_state.bytes(8)
    network, weights = as_network(edges, directed=False)
    with igraph_random(seed):
        if "rt" in layout:
            branches, _ = as_network(tree, directed=False)
            roots = list(root) if isinstance(root, Sequence) else [] if root is None else [root]
            found = branches.layout(layout, root=roots)
        elif layout == "circle":
            found = network.layout(layout)
        else:
            if start is None:
                begin = random_state.random_sample((edges.shape[0], 2))
            else:
                begin = np.asarray(start, dtype=np.float64) * [1, -1]
            more = {"weights": weights.tolist()} if len(weights) else {}
            found = network.layout(layout, seed=begin.tolist(), **more, **options)
    return np.array(found.coords, dtype=np.float64).reshape(-1, 2)


def _levels(tree: sparse.csr_matrix | None, root: int) -> NDArray[np.float64]:
    """Places of a tree whose levels are equally far from each other, and groups in a level, too."""
    neighbors = neighbor_lists(tree)
    level: dict[int, int] = {}
    waiting = [(root, 0)]
    while waiting:
        group, depth = waiting.pop()
        level[group] = depth
        # Reversed, so that the first neighbour is visited, and so placed, first.
        waiting += [(near, depth + 1) for near in reversed(neighbors[group]) if near not in level]
    if len(level) < len(neighbors):
        raise ValueError("layout='eq_tree' needs a single tree, found a forest: take 'fr'")
    sizes = np.bincount(list(level.values()))
    placed = np.zeros(len(sizes))
    gap = 1.0 / len(sizes)
    places = np.empty((len(neighbors), 2))
    for group, depth in level.items():
        places[group] = (placed[depth] + 0.5) / sizes[depth], 0.0 - gap * depth
        placed[depth] += 1
    return places
