"""``pp.neighbors`` of a MuData: cells that are near in several modalities together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazyomics.container import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.errors import ShapeError
from lazyomics.graph.modalities import Side, affinity_weights, bandwidths, joint_neighbors
from lazyomics.graph.search import as_matrix
from lazyomics.graph.seeds import seed_of
from lazyomics.graph.weights import fuzzy
from lazyomics.names import choices
from lazyomics.pp.representation import as_dense, choose_representation
from lazyomics.pp.stored_graph import as_graph

__all__ = ["asks_for_arrays_of_the_whole", "neighbors_of_modalities", "rows_in_modality"]


def asks_for_arrays_of_the_whole(mdata: MuData, given: Mapping[str, Any]) -> bool:
    """Whether scanpy's parameters name a representation of the whole, or its distances."""
    return any(given.get(name) is not None for name in ("use_rep", "distances"))


def neighbors_of_modalities(
    mdata: MuData,
    n_neighbors: int | None = None,
    n_bandwidth_neighbors: int = 20,
    n_multineighbors: int = 200,
    neighbor_keys: Mapping[str, str | None] | None = None,
    metric: str = "euclidean",
    low_memory: bool | None = None,
    key_added: str | None = None,
    weight_key: str | None = "mod_weight",
    add_weights_to_modalities: bool = False,
    eps: float = 1e-4,
    copy: bool = False,
    random_state: Any = 42,
    *,
    recall: float = 0.99,
) -> MuData | None:
    """Find the nearest neighbours of each cell in all modalities together, eagerly, as muon does.

    ``lo.pp.neighbors(mdata)`` calls this function. Each modality weighs as much, for each cell, as
    its own neighbours predict the cell better than those of other modalities do. Candidates are
    the nearest cells in each modality; those whose weighted kernels are largest are neighbours.

    Parameters
    ----------
    mdata
        Modalities after :func:`lazyomics.pp.neighbors` of each, ``n_obs`` cells in all.
    n_neighbors
        Neighbours of each cell: one more is stored, as by muon. By default the mean of what the
        modalities have, rounded.
    n_bandwidth_neighbors
        Cells that set the width of a cell's kernel.
    n_multineighbors
        Nearest others of each cell in each modality that are candidates.
    neighbor_keys
        Key in the modality's ``uns`` for each modality that takes part, None for
        ``"neighbors"``; by default all take part.
    metric
        Name of a distance of :func:`scipy.spatial.distance.cdist`, with which candidates are
        compared. They are found with the euclidean one.
    low_memory
        Without a meaning here: for scripts that were written for muon.
    key_added
        Name of the result, ``"neighbors"`` by default.
    weight_key
        Name of the columns of weights; None for no columns.
    add_weights_to_modalities
        Set them in each ``mod.obs``, not in ``mdata.obs``.
    eps
        Added to the best prediction by another modality, by which that of the own is divided.
    copy
        Return a changed copy and leave ``mdata`` as it is.
    random_state
        Seed of the search for candidates among many cells.
    recall
        Share of the true candidates that is to be found, as in ``lo.pp.neighbors(adata)``.

    Returns
    -------
    None, or the copy
        Sets ``mdata.obsp["distances"]`` and ``mdata.obsp["connectivities"]`` (CSR, float32, n_obs
        × n_obs; prefixed by ``key_added + "_"`` if given), ``mdata.uns["neighbors"]`` (or
        ``mdata.uns[key_added]``) with ``connectivities_key``, ``distances_key`` and ``params``,
        and for each modality ``mdata.obs["<modality>:mod_weight"]``, float64, 0 for cells that it
        does not have.

    Raises
    ------
    ValueError
        If a modality has no neighbours, or a cell none in a modality; if a cell is in none of the
        modalities; for numbers of neighbours that cannot be; if a representation is not finite.
    ShapeError
        If modalities were changed since ``mdata.update()``.
    MemoryError
        If X is the representation of a modality, on disk, and would not fit ``lazyomics.memory``.

    Notes
    -----
    Passes over X: 0 with obsm representations, 1 of each modality whose X is the representation.
    Peak memory: the representations (dense), 4 × n_obs × n_multineighbors bytes for each modality,
    and the graphs twice.

    Where cells have enough candidates the result is muon's but for the following. Neighbours are
    searched exactly up to 20,000 cells, or five times the square of ``n_multineighbors``; muon's
    search is always approximate. Shared neighbours are counted in any order of the stored graph:
    muon counts too few unless indices are sorted, which those of scanpy are not. Cells with fewer
    than ``n_bandwidth_neighbors`` others that share a neighbour take those there are, as Seurat
    does; muon fills up with arbitrary ones. Modalities may hold different cells in different
    orders, where muon fails: what a cell lacks has the weight 0, and two cells are alike in the
    modalities that both have.

    References
    ----------
    Hao et al. (2021), weighted nearest neighbours. doi:10.1016/j.cell.2021.04.048;
    Swanson et al. (2021). doi:10.7554/eLife.63632

    Examples
    --------
    >>> import lazyomics as lo
    >>> random = np.random.default_rng(0)
    >>> mdata = lo.MuData({m: lo.AnnData(random.normal(size=(30, 4))) for m in ("rna", "adt")})
    >>> for adata in mdata.mod.values():
    ...     lo.pp.neighbors(adata, n_neighbors=5)
    >>> lo.pp.neighbors(mdata)
    >>> mdata.obsp["distances"].nnz
    180
    >>> bool((mdata.obs["rna:mod_weight"] + mdata.obs["adt:mod_weight"]).round(6).eq(1).all())
    True
    """
    _check(mdata, n_bandwidth_neighbors, n_multineighbors, neighbor_keys, recall)
    keys = dict.fromkeys(mdata.mod) if neighbor_keys is None else dict(neighbor_keys)
    found = {mod: _parts_of(mdata, mod, key or "neighbors") for mod, key in keys.items()}
    if n_neighbors is None:
        n_neighbors = _mean_number(found)
    _check_numbers(mdata.n_obs, n_neighbors, n_multineighbors)
    sides = [part.side for part in found.values()]
    _check_members(mdata, sides)
    widths = [bandwidths(side, n_bandwidth_neighbors) for side in sides]
    weights = affinity_weights(sides, widths, eps)
    indices, lengths = joint_neighbors(
        sides,
        widths,
        weights,
        n_neighbors + 1,
        n_candidates=n_multineighbors,
        metric=metric,
        recall=recall,
        seed=seed_of(random_state),
    )
    mdata = mdata.copy() if copy else mdata
    if weight_key:
        for column, (mod, part) in zip(weights.T, found.items(), strict=True):
            if add_weights_to_modalities:
                mdata.mod[mod].obs[weight_key] = column[part.side.cells]
            else:
                mdata.obs[f"{mod}:{weight_key}"] = column
    prefix = "" if key_added is None else f"{key_added}_"
    mdata.obsp[f"{prefix}distances"] = as_matrix(indices, lengths)
    mdata.obsp[f"{prefix}connectivities"] = fuzzy(indices, lengths)
    mdata.uns["neighbors" if key_added is None else key_added] = {
        "connectivities_key": f"{prefix}connectivities",
        "distances_key": f"{prefix}distances",
        "params": {
            "n_neighbors": n_neighbors,
            "n_multineighbors": n_multineighbors,
            "metric": metric,
            "eps": eps,
            "random_state": random_state,
            # -1 for what no file can hold, as muon has it
            "use_rep": {mod: -1 if p.use_rep is None else p.use_rep for mod, p in found.items()},
            "n_pcs": {mod: -1 if p.n_pcs is None else p.n_pcs for mod, p in found.items()},
            "method": "umap",
        },
    }
    return mdata if copy else None


class Parts(NamedTuple):
    """What is known of the neighbours in one modality."""

    side: Side
    use_rep: str | None
    n_pcs: int | None
    n_neighbors: int


def _check(
    mdata: MuData,
    n_bandwidth_neighbors: int,
    n_multineighbors: int,
    neighbor_keys: Mapping[str, str | None] | None,
    recall: float,
) -> None:
    if mdata.axis != 0:
        raise ValueError(f"modalities must share cells, found a MuData of axis={mdata.axis}")
    if not mdata.mod or (neighbor_keys is not None and not neighbor_keys):
        raise ValueError("pp.neighbors needs at least one modality, found none")
    unknown = [mod for mod in neighbor_keys or () if mod not in mdata.mod]
    if unknown:
        raise ValueError(f"neighbor_keys names {unknown}; modalities are {list(mdata.mod)}")
    if not 0 < recall <= 1:
        raise ValueError(f"recall is a share of neighbours above 0 and up to 1, found {recall}")
    for name, value in (
        ("n_bandwidth_neighbors", n_bandwidth_neighbors),
        ("n_multineighbors", n_multineighbors),
    ):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, found {value}")


def _check_numbers(n_obs: int, n_neighbors: int, n_multineighbors: int) -> None:
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, found {n_neighbors}")
    if n_neighbors + 2 > n_obs:
        raise ValueError(
            f"n_neighbors={n_neighbors} and the one more that is stored are not to be found "
            f"among {n_obs} cells: lower it"
        )


def _parts_of(mdata: MuData, mod: str, key: str) -> Parts:
    adata: AnnData = mdata.mod[mod]
    if key not in adata.uns:
        raise ValueError(
            f"mdata.mod[{mod!r}].uns has no {key!r}: run lo.pp.neighbors on each modality "
            f"first, or name its key_added in neighbor_keys; {choices([], adata.uns)}"
        )
    entry = adata.uns[key]
    params = entry.get("params", {})
    name = str(entry.get("distances_key", "distances"))
    if name not in adata.obsp:
        raise ValueError(
            f"mdata.mod[{mod!r}].obsp has no {name!r}, which its uns[{key!r}] names: run "
            "pp.neighbors again"
        )
    graph = as_graph(adata.obsp[name], f"mod[{mod!r}].obsp[{name!r}]").sorted_indices()
    alone = np.flatnonzero(np.diff(graph.indptr) == 0)
    if len(alone):
        raise ValueError(
            f"{len(alone)} cells have no neighbours in the modality {mod!r}, first of "
            f"{adata.obs_names[alone[0]]!r}: cells were selected after pp.neighbors; run it again "
            "on those that are left"
        )
    use_rep, n_pcs = params.get("use_rep"), params.get("n_pcs")
    use_rep = None if use_rep is None else str(use_rep)
    n_pcs = None if n_pcs is None else int(n_pcs)
    x = as_dense(choose_representation(adata, use_rep=use_rep, n_pcs=n_pcs, finite=True))
    points = np.ascontiguousarray(x if x.dtype.kind == "f" else x.astype(np.float64))
    side = Side(points, graph, rows_in_modality(mdata, mod))
    return Parts(side, use_rep, n_pcs, int(params.get("n_neighbors", 0)))


def rows_in_modality(mdata: MuData, mod: str) -> NDArray[np.int64]:
    """Return the position of each cell of the whole in a modality, −1 where it is absent.

    Raises
    ------
    ShapeError
        If cells of the modality were selected, added or re-ordered since the last update.
    """
    rows = np.asarray(mdata.obsmap[mod]).astype(np.int64).ravel() - 1
    held = np.flatnonzero(rows >= 0)
    names = mdata.mod[mod].obs_names
    if len(held) != len(names) or not np.array_equal(names[rows[held]], mdata.obs_names[held]):
        raise ShapeError(f"cells of the modality {mod!r} were changed: call mdata.update() first")
    return rows


def _mean_number(found: Mapping[str, Parts]) -> int:
    numbers = [part.n_neighbors for part in found.values() if part.n_neighbors > 0]
    if not numbers:
        raise ValueError(
            "the modalities do not say how many neighbours they have: pass n_neighbors"
        )
    return round(float(np.mean(numbers)))


def _check_members(mdata: MuData, sides: list[Side]) -> None:
    absent = np.flatnonzero(np.all([side.rows < 0 for side in sides], axis=0))
    if len(absent):
        raise ValueError(
            f"{len(absent)} cells are in none of the modalities that take part, first "
            f"{mdata.obs_names[absent[0]]!r}: select the others first, mdata[cells]"
        )
