"""``tl.dpt``: pseudotime, the distance from a root cell along the neighbour graph."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from lazyomics import lazy, logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated, get_matrix
from lazyomics.graph.branching import Ordering, find_branches, order_cells
from lazyomics.graph.diffusion import DiffusionDistances
from lazyomics.kernels.whole_rows import row_distances
from lazyomics.pp.representation import check_finite
from lazyomics.pp.stored_graph import neighbors_entry, stored_connectivities
from lazyomics.tl.diffmap import DiffusionMap, computed_map

__all__ = ["dpt"]

COMPONENTS = 15  # of the map that is computed where there is none


def dpt(
    adata: AnnData,
    n_dcs: int = 10,
    *,
    n_branchings: int = 0,
    min_group_size: float = 0.01,
    allow_kendall_tau_shift: bool = True,
    neighbors_key: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Order the cells by their diffusion pseudotime, and find branches if asked to, eagerly.

    The root cell is number ``adata.uns["iroot"]``, or else the cell that is nearest to the
    expression profile ``adata.uns["xroot"]`` or ``adata.var["xroot"]``.

    Parameters
    ----------
    adata
        Annotated matrix after :func:`lazyomics.pp.neighbors` and :func:`lazyomics.tl.diffmap`;
        without the latter, 15 components are computed.
    n_dcs
        Number of diffusion components that distances are measured in.
    n_branchings
        Most branching points to find.
    min_group_size
        Groups of as many cells, or fewer, are not split; below 1 a share of all cells.
    allow_kendall_tau_shift
        Where nearly all cells would be on one side of a branching point, take it earlier.
    neighbors_key
        Key in ``uns`` that ``pp.neighbors`` wrote, by default ``"neighbors"``.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy
        Sets ``adata.obs["dpt_pseudotime"]``, float32, from 0 to 1, infinite for cells that no path
        joins with the root. With ``n_branchings`` also ``obs["dpt_groups"]``, categorical of
        ``"0"``, ``"1"``, …; ``obs["dpt_order"]``, the place of each cell in the order by group and
        pseudotime, and ``obs["dpt_order_indices"]``, the cells in this order, int64;
        ``uns["dpt_changepoints"]``, int64, shape (n_groups - 1,), where groups begin in it; and
        ``uns["dpt_grouptips"]``, int64, shape (n_groups, 2). Of an ``xroot``, ``uns["iroot"]`` is
        the cell that was found.

    Raises
    ------
    ValueError
        If there is no neighbour graph, no such root cell, fewer components than ``n_dcs``, or
        groups become too small to be split.

    Notes
    -----
    Passes over X: 0; 1 for an ``xroot``. Peak memory: the graph and a few vectors. Distances are
    computed for single cells, never for all pairs. To find a branching point, each cell of a group
    is compared with each other one.

    Without a root there is no pseudotime. A root number that no cell has is refused, which scanpy
    takes for no root. If no path joins the root with any other cell, its pseudotime is 0 (scanpy:
    NaN).

    References
    ----------
    Haghverdi et al. (2016). doi:10.1038/nmeth.3971;
    Wolf et al. (2019). doi:10.1186/s13059-019-1663-x

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> line = np.arange(40.0)[:, None] ** [1, 0.5]
    >>> adata = lo.AnnData(line, uns={"iroot": 0})
    >>> lo.pp.neighbors(adata, n_neighbors=6)
    >>> lo.tl.diffmap(adata, n_comps=10)
    >>> lo.tl.dpt(adata)
    >>> adata.obs["dpt_pseudotime"].iloc[[0, 20, 35]].is_monotonic_increasing
    True
    """
    check_annotated(adata, "tl.dpt")
    neighbors_entry(adata, neighbors_key)
    if n_dcs < 1 or n_branchings < 0:
        raise ValueError(
            f"n_dcs must be positive and n_branchings not negative, found {n_dcs}, {n_branchings}"
        )
    weights = stored_connectivities(adata, neighbors_key)
    n_parts, part_of = connected_components(weights)
    if "X_diffmap" in adata.obsm:
        new_map, stored = None, _stored_map(adata)
    else:
        logging.warning(
            f"tl.dpt without tl.diffmap before: computing {COMPONENTS} diffusion components"
        )
        new_map = stored = computed_map(adata, COMPONENTS, neighbors_key, 0)
    if n_dcs > len(stored.values):
        raise ValueError(
            f"n_dcs={n_dcs}, but there are {len(stored.values)} diffusion components: run "
            f"tl.diffmap(n_comps={n_dcs}) first"
        )
    distances = DiffusionDistances(
        stored.values[:n_dcs], stored.basis[:, :n_dcs], part_of if n_parts > 1 else None
    )
    root = _root(adata)
    pseudotime = None if root is None else _pseudotime(distances, root)
    ordering = None
    if n_branchings > 0:
        fewest = min_group_size if min_group_size >= 1 else int(min_group_size * adata.n_obs)
        branches = find_branches(
            distances,
            root=0 if root is None else root,
            n_branchings=n_branchings,
            min_group_size=fewest,
            allow_shift=allow_kendall_tau_shift,
        )
        ordering = order_cells(branches, adata.n_obs, pseudotime)
    adata = adata.copy() if copy else adata
    if new_map is not None:
        new_map.store(adata)
    if root is not None:
        if "iroot" not in adata.uns:
            adata.uns["iroot"] = root
        adata.obs["dpt_pseudotime"] = pseudotime
    if ordering is not None:
        _store_groups(adata, ordering)
    return adata if copy else None


def _stored_map(adata: AnnData) -> DiffusionMap:
    if "diffmap_evals" not in adata.uns:
        raise ValueError("adata.uns has no 'diffmap_evals': run lo.tl.diffmap again")
    basis = np.asarray(adata.obsm["X_diffmap"])
    values = np.asarray(adata.uns["diffmap_evals"])
    if basis.ndim != 2 or values.shape != basis.shape[1:]:
        raise ValueError(
            f"obsm['X_diffmap'] has shape {basis.shape}, uns['diffmap_evals'] {values.shape}: run "
            "lo.tl.diffmap again"
        )
    check_finite(basis, "obsm['X_diffmap']", adata.obs_names)
    return DiffusionMap(values, basis)


def _root(adata: AnnData) -> int | None:
    """Number of the root cell; None if nothing names it."""
    if "iroot" in adata.uns:
        given = adata.uns["iroot"]
        try:
            root = operator.index(given.item() if isinstance(given, np.ndarray) else given)
        except (TypeError, ValueError):
            root = adata.n_obs
        if not -adata.n_obs <= root < adata.n_obs:
            raise ValueError(
                f"adata.uns['iroot'] is {given!r}, expected the number of a cell, "
                f"0 to {adata.n_obs - 1}"
            )
        return root % adata.n_obs
    profile: Any = adata.uns["xroot"] if "xroot" in adata.uns else adata.var.get("xroot")
    if profile is None:
        logging.warning(
            "no root cell, so no pseudotime: set adata.uns['iroot'] to the number of a cell, or "
            "adata.var['xroot'] to an expression profile"
        )
        return None
    point = np.asarray(profile, dtype=np.float64).ravel()
    if len(point) != adata.n_vars or not np.isfinite(point).all():
        raise ValueError(f"xroot must hold {adata.n_vars} finite values, one for each gene")
    (squared,) = lazy.compute(
        lazy.collect_rows(get_matrix(adata), row_distances, dtype=np.float64, point=point)
    )
    return int(np.argmin(squared))


def _pseudotime(distances: DiffusionDistances, root: int) -> NDArray[np.floating]:
    times = distances.row(root)
    longest = np.max(times[np.isfinite(times)])
    if longest > 0:
        times /= longest
    return times


def _store_groups(adata: AnnData, ordering: Ordering) -> None:
    categories = [str(group) for group in range(len(ordering.tips))]
    adata.obs["dpt_groups"] = pd.Categorical(ordering.labels.astype("U"), categories=categories)
    adata.uns["dpt_changepoints"] = ordering.changepoints
    adata.uns["dpt_grouptips"] = ordering.tips
    places = np.zeros(adata.n_obs, dtype=np.int64)
    places[ordering.indices] = np.arange(adata.n_obs)
    adata.obs["dpt_order"] = places
    adata.obs["dpt_order_indices"] = ordering.indices
