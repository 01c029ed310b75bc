"""``tl.draw_graph``: lay out the neighbour graph by forces, or as a tree."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.errors import ShapeError, warn_user
from lazyomics.graph.drawing import LAYOUTS, force_atlas, igraph_layout
from lazyomics.graph.seeds import seed_of
from lazyomics.names import choices
from lazyomics.pp.representation import check_finite
from lazyomics.tl.group_places import places_around_groups
from lazyomics.tl.grouping import task_of

__all__ = ["draw_graph"]

STEPS = 500  # of ForceAtlas2


def draw_graph(
    adata: AnnData,
    layout: str = "fa",
    *,
    init_pos: str | bool | None = None,
    root: int | None = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    adjacency: Any = None,
    key_added_ext: str | None = None,
    neighbors_key: str | None = None,
    obsp: str | None = None,
    copy: bool = False,
    **kwds: Any,
) -> AnnData | None:
    """Lay out the neighbour graph, eagerly.

    Parameters
    ----------
    adata
        Annotated matrix after :func:`lazyomics.pp.neighbors`.
    layout
        ``"fa"`` (ForceAtlas2, by the package fa2-modified; where it is missing, ``"fr"``), or one
        of igraph: ``"fr"``, ``"drl"``, ``"kk"``, ``"grid_fr"``, ``"lgl"``, and for trees ``"rt"``
        and ``"rt_circular"``.
    init_pos
        Key of ``adata.obsm`` with the positions to begin with, shape (n_obs, 2); ``"paga"`` or
        True, around the groups of ``adata.uns["paga"]`` where they were drawn; None or False,
        random ones. Layouts ``"lgl"`` and trees do not use it.
    root
        Position of the cell at the root of a tree.
    random_state
        Seed.
    n_jobs
        Has no effect.
    adjacency
        Scipy sparse graph, shape (n_obs, n_obs), instead of a stored one.
    key_added_ext
        Ending of the key in ``obsm``, by default the layout.
    neighbors_key
        Key in ``uns`` that ``pp.neighbors`` wrote, by default ``"neighbors"``.
    obsp
        Key of a graph in ``obsp`` instead.
    copy
        Return a changed copy and leave ``adata`` as it is.
    **kwds
        Of igraph's method for the layout, ``weights="weight"`` for the weights of the graph for
        example; ``maxiter`` or ``iterations`` (500) of ``"fa"``.

    Returns
    -------
    None, or the copy
        Sets ``adata.obsm["X_draw_graph_" + layout]``, float64, shape (n_obs, 2), and
        ``adata.uns["draw_graph"]["params"]`` with the layout and the seed.

    Raises
    ------
    ValueError
        If the layout or the initial position is unknown, there is no graph, or numbers are not
        finite.
    ShapeError
        If graph or positions are of other shapes.
    MissingDependencyError
        If igraph is needed and not installed.

    Warns
    -----
    UserWarning
        If fa2-modified is not installed, so that ``"fr"`` stands in for ``"fa"``.

    Notes
    -----
    Passes over X: 0. Peak memory: the graph in memory and as igraph's, about 100 bytes an edge; as
    fa2-modified's, about 500.

    Coordinates are scanpy's for the same graph and seed. The generators of NumPy and Python, which
    scanpy seeds for the whole process, are left alone. scanpy takes any text that is no key of obsm
    for ``"paga"``, and fails with ``"grid_fr"``, a name that igraph has no longer.

    References
    ----------
    Fruchterman and Reingold (1991). doi:10.1002/spe.4380211102;
    Jacomy et al. (2014), ForceAtlas2. doi:10.1371/journal.pone.0098679

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.random.default_rng(0).normal(size=(30, 4)))
    >>> lo.pp.neighbors(adata, n_neighbors=5)
    >>> lo.tl.draw_graph(adata, "fr")
    >>> adata.obsm["X_draw_graph_fr"].shape
    (30, 2)
    """
    check_annotated(adata, "tl.draw_graph")
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {LAYOUTS}, found {layout!r}")
    if root is not None and not 0 <= root < adata.n_obs:
        raise ValueError(f"root must be the position of one of {adata.n_obs} cells, found {root}")
    begun = logging.info(f"drawing single-cell graph using layout {layout!r}")
    adata = adata.copy() if copy else adata
    graph = task_of(adata, adjacency, None, neighbors_key, obsp).adjacency
    seed = seed_of(random_state)
    start = _initial_positions(adata, init_pos, seed)
    if layout == "fa" and find_spec("fa2_modified") is None:
        warn_user(
            "the package fa2-modified is not installed: layout 'fr' is used instead of 'fa'. "
            "Install it with: pip install 'lazyomics[fa2]'"
        )
        layout = "fr"
    if layout == "fa":
        steps = kwds.get("maxiter", kwds.get("iterations", STEPS))
        positions = force_atlas(graph, start, iterations=steps)
    else:
        positions = igraph_layout(graph, layout, start, root=root, random_state=seed, **kwds)
    key_added = f"X_draw_graph_{key_added_ext or layout}"
    adata.obsm[key_added] = positions
    adata.uns["draw_graph"] = {"params": {"layout": layout, "random_state": random_state}}
    deep = f"added\n    {key_added!r}, graph_drawing coordinates (adata.obsm)"
    logging.info("    finished", time=begun, deep=deep)
    return adata if copy else None


def _initial_positions(
    adata: AnnData, init_pos: str | bool | None, seed: int
) -> NDArray[np.floating[Any]]:
    if isinstance(init_pos, str) and init_pos in adata.obsm:
        where = f"obsm[{init_pos!r}]"
        positions: NDArray[np.floating[Any]] = np.asarray(adata.obsm[init_pos])
        if positions.shape != (adata.n_obs, 2):
            raise ShapeError(f"{where} has shape {positions.shape}, expected {(adata.n_obs, 2)}")
        check_finite(positions, where, adata.obs_names)
        return positions
    if init_pos is True or init_pos == "paga":
        return places_around_groups(adata, seed)
    if init_pos is None or init_pos is False:
        return np.random.RandomState(seed % 2**32).random_sample((adata.n_obs, 2))
    raise ValueError(
        f"init_pos={init_pos!r} is neither 'paga' nor in adata.obsm; "
        f"{choices(init_pos, adata.obsm)}"
    )
