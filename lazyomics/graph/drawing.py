"""Layouts of a graph by igraph and by ForceAtlas2."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lazyomics.errors import require
from lazyomics.graph.communities import as_network, igraph_random
from lazyomics.graph.seeds import seed_of

__all__ = ["LAYOUTS", "force_atlas", "igraph_layout"]

LAYOUTS = ("fr", "drl", "kk", "grid_fr", "lgl", "rt", "rt_circular", "fa")
FROM_POSITIONS = ("fr", "drl", "kk", "grid_fr")
TREES = ("rt", "rt_circular")


def igraph_layout(
    adjacency: sparse.csr_matrix,
    layout: str,
    start: NDArray[np.floating[Any]],
    *,
    root: int | None,
    random_state: Any,
    **options: Any,
) -> NDArray[np.float64]:
    """Lay out a graph by igraph, whose edges have their weights as attribute ``"weight"``.

    Parameters
    ----------
    adjacency
        Weights, shape (n_obs, n_obs); each stored value other than 0 is an edge.
    layout
        Name of a layout of igraph.
    start
        Positions to begin with, shape (n_obs, 2), for layouts that move cells.
    root
        Cell at the root, for layouts of trees.
    random_state
        Seed, or a RandomState or Generator.
    options
        Of the method of ``igraph.Graph`` for this layout.

    Returns
    -------
    float64, shape (n_obs, 2)
    """
    network, weights = as_network(adjacency, directed=False)
    network.es["weight"] = weights.tolist()
    if layout in FROM_POSITIONS:
        options["seed"] = start.tolist()
    elif layout in TREES:
        options["root"] = None if root is None else [root]
    if layout == "grid_fr":  # a name that igraph had once
        layout, options = "fr", {"grid": "grid", **options}
    with igraph_random(seed_of(random_state)):
        return np.array(network.layout(layout, **options).coords, dtype=np.float64)


def force_atlas(
    adjacency: sparse.csr_matrix, start: NDArray[np.floating[Any]], *, iterations: int
) -> NDArray[np.float64]:
    """Lay out a graph by ForceAtlas2 of the package fa2-modified, as scanpy sets it up.

    Parameters
    ----------
    adjacency
        Symmetric weights, shape (n_obs, n_obs).
    start
        Positions to begin with, shape (n_obs, 2).
    iterations
        Number of steps.

    Returns
    -------
    float64, shape (n_obs, 2)
    """
    package = require("fa2_modified", extra="fa2", purpose="tl.draw_graph(layout='fa')")
    # These are the package's defaults today, named so that they stay.
    forces = package.ForceAtlas2(
        barnesHutOptimize=True, barnesHutTheta=1.2, gravity=1.0, scalingRatio=2.0, verbose=False
    )
    positions = forces.forceatlas2(adjacency, pos=start, iterations=iterations)
    return np.array(positions, dtype=np.float64)
