"""Neighbours of cells and the graph that they make."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from lazyomics import config, lazy
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated, check_numbers
from lazyomics.errors import ShapeError, require
from lazyomics.pp.representation import choose_representation

__all__ = [
    "Knn",
    "Metric",
    "as_graph",
    "choose_graph",
    "gauss",
    "given_distances",
    "indices_and_distances",
    "neighbors",
    "neighbors_entry",
    "search",
    "stored_connectivities",
    "umap",
]


def neighbors_entry(adata: AnnData, key: str | None = None) -> Mapping[str, Any]:
    """Return ``adata.uns[key]``, what ``pp.neighbors`` says about its result."""
    key = "neighbors" if key is None else key
    if key not in adata.uns:
        raise ValueError(f"adata.uns has no {key!r}: run pp.neighbors first, or name its key_added")
    entry: Mapping[str, Any] = adata.uns[key]
    return entry


def stored_connectivities(adata: AnnData, key: str | None = None) -> sparse.csr_matrix:
    """Return the weights that belong to ``adata.uns[key]``, in memory.

    Old files hold them in ``uns`` itself, without naming keys.
    """
    entry = neighbors_entry(adata, key)
    name = str(entry.get("connectivities_key", "connectivities"))
    if name in adata.obsp:
        return as_graph(adata.obsp[name], f"obsp[{name!r}]")
    if name in entry:
        return as_graph(entry[name], f"uns[{key or 'neighbors'!r}][{name!r}]")
    raise ValueError(
        f"adata.obsp has no {name!r}, which adata.uns[{key or 'neighbors'!r}] names: "
        "run pp.neighbors again"
    )


def choose_graph(
    adata: AnnData, *, obsp: str | None = None, neighbors_key: str | None = None
) -> sparse.csr_matrix:
    """Return ``adata.obsp[obsp]`` or the weights of a neighbour graph, in memory."""
    if obsp is None:
        return stored_connectivities(adata, neighbors_key)
    if neighbors_key is not None:
        raise ValueError("obsp and neighbors_key both name a graph: give one of them")
    if obsp not in adata.obsp:
        raise KeyError(f"adata.obsp has no {obsp!r}, only {sorted(adata.obsp)}")
    return as_graph(adata.obsp[obsp], f"obsp[{obsp!r}]")


def as_graph(matrix: Any, name: str) -> sparse.csr_matrix:
    """Return the weights of a graph in memory.

    Raises
    ------
    TypeError, ValueError
        If they are no finite numbers.
    """
    if not isinstance(matrix, np.ndarray) and not sparse.issparse(matrix):
        matrix = lazy.materialize(matrix)
    check_numbers(matrix, name)
    weights = sparse.csr_matrix(matrix)
    if not np.isfinite(weights.data).all():
        raise ValueError(f"weights in {name} are NaN or infinite: run pp.neighbors again")
    return weights


def umap(indices: NDArray[Any], lengths: NDArray[Any]) -> sparse.csr_matrix:
    """Fuzzy simplicial set of the neighbour tables.

    Parameters
    ----------
    indices
        int, shape (n_obs, n_neighbors); the first column is the cell itself.
    lengths
        float, shape (n_obs, n_neighbors): distances, nearest first.

    Returns
    -------
    csr_matrix, float32, shape (n_obs, n_obs)
        Symmetric, values in (0, 1].

    References
    ----------
    McInnes, Healy and Melville (2018), UMAP. doi:10.48550/arXiv.1802.03426
    """
    umap_ = load_umap("pp.neighbors(method='umap')")
    n_obs, n_neighbors = indices.shape
    # The data matrix is only asked for its number of rows when the neighbours are given.
    placeholder = sparse.coo_matrix((n_obs, 1))
    weights = umap_.fuzzy_simplicial_set(
        placeholder,
        n_neighbors,
        None,
        None,
        knn_indices=indices,
        knn_dists=lengths,
        set_op_mix_ratio=1.0,
        local_connectivity=1.0,
    )[0]
    return sparse.csr_matrix(weights.tocsr())


def load_umap(purpose: str) -> Any:
    """Import ``umap.umap_`` without its remark about TensorFlow, which is not used here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Tensorflow not installed")
        return require("umap.umap_", extra="cluster", purpose=purpose)


def gauss(
    distances: sparse.csr_matrix | NDArray[Any],
    indices: NDArray[Any],
    lengths: NDArray[Any],
) -> sparse.csr_matrix | NDArray[Any]:
    """Gaussian kernel whose width adapts to each cell.

    Parameters
    ----------
    distances
        CSR (n_obs, n_obs) of neighbour distances, or dense distances between all pairs.
    indices, lengths
        Neighbour tables, shape (n_obs, n_neighbors), of the sparse ``distances``.

    Returns
    -------
    csr_matrix or ndarray, shape (n_obs, n_obs)
        Sparse and dense as ``distances``.

    References
    ----------
    Coifman et al. (2005), doi:10.1073/pnas.0500334102;
    Haghverdi et al. (2016), doi:10.1038/nmeth.3971
    """
    if isinstance(distances, np.ndarray):
        return _gauss_all_pairs(distances, n_neighbors=indices.shape[1])
    neighbors = indices[:, 1:]
    sigmas_sq = np.median(np.square(lengths[:, 1:]), axis=1)
    rows = np.repeat(np.arange(distances.shape[0]), np.diff(distances.indptr))
    weights = _kernel(np.square(distances.data), sigmas_sq[rows], sigmas_sq[distances.indices])
    kernel = sparse.csr_matrix(
        (weights, distances.indices, distances.indptr), shape=distances.shape
    )
    return _mirror(kernel, rows, neighbors)


def _kernel(d_sq: NDArray[Any], a_sq: NDArray[Any], b_sq: NDArray[Any]) -> NDArray[Any]:
    total = a_sq + b_sq
    widths = np.sqrt(2 * np.sqrt(a_sq) * np.sqrt(b_sq) / total)
    weights: NDArray[Any] = widths * np.exp(-d_sq / total)
    return weights


def _mirror(
    kernel: sparse.csr_matrix, rows: NDArray[Any], neighbors: NDArray[Any]
) -> sparse.csr_matrix:
    """Add j → i with the weight of i → j where cell i is not among the neighbours of cell j."""
    n_obs = kernel.shape[0]
    # A pair as one number, so that membership is a search in a sorted array.
    stored = rows.astype(np.int64) * n_obs + kernel.indices
    forward = (np.arange(n_obs)[:, None] * n_obs + neighbors).ravel()
    backward = forward % n_obs * n_obs + forward // n_obs
    missing = ~np.isin(backward, forward) & ~np.isin(backward, stored)
    order = np.argsort(stored)
    weights = kernel.data[order[np.searchsorted(stored[order], forward[missing])]]
    pairs = np.concatenate([stored, backward[missing]])
    values = np.concatenate([kernel.data, weights])
    full = sparse.coo_matrix((values, (pairs // n_obs, pairs % n_obs)), shape=kernel.shape)
    result = sparse.csr_matrix(full.tocsr())
    result.sort_indices()
    return result


def _gauss_all_pairs(distances: NDArray[Any], n_neighbors: int) -> NDArray[Any]:
    d_sq = np.square(distances)
    # The distance to the n-th neighbour: the kernel decays beyond it.
    sigmas_sq = np.partition(d_sq, n_neighbors - 1, axis=1)[:, n_neighbors - 1] / 4
    weights = _kernel(d_sq, sigmas_sq[:, None], sigmas_sq[None, :])
    weights[weights <= 1e-14] = 0
    return weights


Metric: TypeAlias = "str | Callable[[NDArray[Any], NDArray[Any]], float]"

# Below these numbers of cells the exact search is used, as in scanpy.
EXACT_EUCLIDEAN_BELOW = 8192
EXACT_BELOW = 4096


@dataclass(frozen=True)
class Knn:
    """Neighbours of each cell; the first column of both tables is the cell itself.

    Attributes
    ----------
    distances
        CSR matrix (n_obs, n_obs) of neighbour distances, or the dense matrix of all of them.
    indices
        int, shape (n_obs, n_neighbors).
    lengths
        float, shape (n_obs, n_neighbors): the distances that belong to ``indices``.
    """

    distances: sparse.csr_matrix | NDArray[Any]
    indices: NDArray[Any]
    lengths: NDArray[Any]


def search(
    x: Any,
    n_neighbors: int,
    *,
    knn: bool = True,
    transformer: Any = None,
    metric: Metric = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    random_state: Any = 0,
) -> Knn:
    """Find the nearest neighbours of each row of ``x``.

    Parameters
    ----------
    x
        ndarray or scipy sparse, shape (n_obs, n_features).
    n_neighbors
        Neighbours of each cell, itself included.
    knn
        False keeps the distances between all pairs, dense.
    transformer
        None (exact for few cells, else pynndescent), ``"sklearn"``, ``"pynndescent"``, or an
        object with scikit-learn's transformer interface.
    metric, metric_kwds
        Name or function of the distance, and its options.
    random_state
        Seed of the approximate search.
    """
    n_obs = int(x.shape[0])
    kwds = dict(metric_kwds or {})
    exact = not knn or _is_exact(n_obs, transformer, metric)
    if exact:
        if not knn:
            _check_all_pairs_fit(n_obs)
        wanted = min(n_obs - 1, n_neighbors) if knn else n_obs - 1
        searcher = _exact_searcher(wanted, metric, kwds)
    elif transformer is None or isinstance(transformer, str):
        tuning = _umap_tuning(n_obs) if transformer is None else {}
        searcher = _approximate_searcher(n_neighbors, metric, kwds, random_state, tuning)
    else:
        searcher = transformer
    found = sparse.csr_matrix(searcher.fit_transform(x))
    indices, lengths = indices_and_distances(found, n_neighbors)
    if not exact:
        return Knn(found, indices, lengths)
    return _tidy_exact(found, indices, lengths, dense=not knn)


def given_distances(distances: Any, n_obs: int, n_neighbors: int) -> Knn:
    """Read the nearest neighbours off distances that are known.

    Parameters
    ----------
    distances
        Dense or scipy sparse, shape (n_obs, n_obs); what is not stored is no neighbour. Stays as
        it is.
    n_obs, n_neighbors
        Cells, and neighbours of each, itself included.

    Raises
    ------
    ShapeError
        If they are of another number of cells.
    """
    if tuple(distances.shape) != (n_obs, n_obs):
        raise ShapeError(f"distances have shape {distances.shape}, expected {(n_obs, n_obs)}")
    if sparse.issparse(distances):
        held = sparse.csr_matrix(distances, copy=True)
        held.setdiag(0)
        held.eliminate_zeros()
        return Knn(held, *_nearest_stored(held, n_neighbors))
    full = np.array(distances)
    np.fill_diagonal(full, 0)
    order = full.copy()
    np.fill_diagonal(order, -1)  # the cell itself comes first, before others at distance 0
    indices = np.argsort(order, axis=1, kind="stable")[:, :n_neighbors]
    return Knn(full, indices, np.take_along_axis(full, indices, axis=1))


def _nearest_stored(d: sparse.csr_matrix, n_neighbors: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Tables of the nearest neighbours of rows that store them in any order and number."""
    nearest = _equalize(d, n_neighbors)
    shape = d.shape[0], n_neighbors
    return nearest.indices.reshape(shape), nearest.data.reshape(shape)


def _is_exact(n_obs: int, transformer: Any, metric: Metric) -> bool:
    if transformer is None:
        return n_obs < (EXACT_EUCLIDEAN_BELOW if metric == "euclidean" else EXACT_BELOW)
    if isinstance(transformer, str) and transformer not in ("sklearn", "pynndescent"):
        raise ValueError(
            "transformer must be None, 'sklearn', 'pynndescent' or an object with "
            f"fit_transform, found {transformer!r}"
        )
    return isinstance(transformer, str) and transformer == "sklearn"


def _check_all_pairs_fit(n_obs: int) -> None:
    # Distances in float64, their squares, the weights and one temporary.
    needed, allowed = n_obs * n_obs * 8 * 4, config.memory()
    if needed > allowed:
        raise MemoryError(
            f"knn=False on {n_obs} cells needs about {needed / 2**20:,.0f} MiB for distances "
            f"between all pairs, and lazyomics.memory allows {allowed / 2**20:,.0f} MiB. "
            "Use knn=True."
        )


def _exact_searcher(n_neighbors: int, metric: Metric, kwds: dict[str, Any]) -> Any:
    neighbors = require("sklearn.neighbors", extra="cluster", purpose="pp.neighbors")
    return neighbors.KNeighborsTransformer(
        algorithm="brute", n_jobs=1, n_neighbors=n_neighbors, metric=metric, metric_params=kwds
    )


def _approximate_searcher(
    n_neighbors: int,
    metric: Metric,
    kwds: dict[str, Any],
    random_state: Any,
    tuning: dict[str, int],
) -> Any:
    pynndescent = require("pynndescent", extra="cluster", purpose="pp.neighbors on many cells")
    return pynndescent.PyNNDescentTransformer(
        n_neighbors=n_neighbors,
        metric=metric,
        metric_kwds=kwds,
        random_state=random_state,
        **tuning,
    )


def _umap_tuning(n_obs: int) -> dict[str, int]:
    """Return the search effort that umap-learn chooses for this many cells.

    One thread, because pynndescent's result depends on their number: the same data and seed
    then give the same graph on every machine.
    """
    return {
        "n_jobs": 1,
        "n_trees": min(64, 5 + round(n_obs**0.5 / 20.0)),
        "n_iters": max(5, round(np.log2(n_obs))),
    }


def indices_and_distances(
    d: sparse.csr_matrix, n_neighbors: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read a neighbour matrix as two tables of ``n_neighbors`` columns, the first the cell itself.

    Parameters
    ----------
    d
        CSR, shape (n_obs, n_obs); the stored values of a row are its neighbours, nearest first,
        with or without the row itself.
    n_neighbors
        Columns of the tables.
    """
    counts = np.diff(d.indptr)
    if counts.size and (counts != counts[0]).any():
        d = _equalize(d, n_neighbors)
        counts = np.diff(d.indptr)
    n_obs = d.shape[0]
    width = int(counts[0]) if counts.size else 0
    indices = d.indices.reshape(n_obs, width)
    lengths = d.data.reshape(n_obs, width)
    own = np.arange(n_obs)[:, None]
    # One row that starts with itself shows that all do: duplicates of a cell may come before it.
    if width == 0 or not (indices[:, :1] == own).any():
        indices = np.hstack([own, indices])
        lengths = np.hstack([np.zeros((n_obs, 1)), lengths])
    return indices[:, :n_neighbors], lengths[:, :n_neighbors]


def _equalize(d: sparse.csr_matrix, n_neighbors: int) -> sparse.csr_matrix:
    """Keep the nearest ``n_neighbors - 1`` others of each row and put the row itself first."""
    indices = np.empty((d.shape[0], n_neighbors), dtype=np.int64)
    lengths = np.zeros((d.shape[0], n_neighbors), dtype=d.dtype)
    for row in range(d.shape[0]):
        part = slice(d.indptr[row], d.indptr[row + 1])
        others, values = d.indices[part], d.data[part]
        others, values = others[others != row], values[others != row]
        nearest = np.argsort(values, kind="stable")[: n_neighbors - 1]
        if nearest.size < n_neighbors - 1:
            raise ValueError(
                f"the neighbour search found {nearest.size} neighbours of cell {row}, expected "
                f"at least {n_neighbors - 1}. Lower n_neighbors, or use transformer='sklearn'."
            )
        indices[row] = np.r_[row, others[nearest]]
        lengths[row, 1:] = values[nearest]
    return _as_matrix(indices, lengths)


def _tidy_exact(
    found: sparse.csr_matrix, indices: NDArray[Any], lengths: NDArray[Any], *, dense: bool
) -> Knn:
    """Set a cell's distance to itself to exactly 0 and store only its other neighbours."""
    n_obs = found.shape[0]
    own = np.arange(n_obs)[:, None]
    lengths = np.where(indices == own, lengths.dtype.type(0), lengths)
    if not dense:
        return Knn(_as_matrix(indices[:, 1:], lengths[:, 1:]), indices, lengths)
    full = found.toarray()
    np.fill_diagonal(full, 0)
    return Knn(full, indices, lengths)


def _as_matrix(indices: NDArray[Any], lengths: NDArray[Any]) -> sparse.csr_matrix:
    n_obs, width = indices.shape
    indptr = np.arange(0, n_obs * width + 1, width) if width else np.zeros(n_obs + 1, dtype=int)
    # Zeros of duplicated cells stay stored: they are neighbours.
    return sparse.csr_matrix((lengths.ravel(), indices.ravel(), indptr), shape=(n_obs, n_obs))


METHODS = ("umap", "gauss")


def neighbors(
    adata: AnnData,
    n_neighbors: int = 15,
    n_pcs: int | None = None,
    *,
    distances: Any = None,
    use_rep: str | None = None,
    knn: bool = True,
    method: str = "umap",
    transformer: Any = None,
    metric: Metric | None = None,
    metric_kwds: Mapping[str, Any] | None = MappingProxyType({}),
    random_state: Any = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Find the nearest neighbours of each cell and weigh the graph, eagerly.

    The search is exact (scikit-learn, brute force) below 8,192 cells for the euclidean metric
    and below 4,096 for others, and approximate (pynndescent, one thread, so that the result is
    the same on every machine) above.

    Parameters
    ----------
    adata
        Annotated matrix, ``n_obs`` × ``n_vars``.
    n_neighbors
        Neighbours of each cell, itself included. With ``knn=False`` the rank of the neighbour
        that sets the width of the Gaussian kernel.
    n_pcs
        Use only the first ``n_pcs`` columns of the representation; 0 means X.
    distances
        Distances between cells that are known already, dense or sparse, shape (n_obs, n_obs):
        the graph is made of these, and nothing is searched for.
    use_rep
        ``"X"`` or a key of ``adata.obsm``. By default ``X_pca`` (computed with a warning if it
        is missing), or X where ``n_vars`` ≤ 50.
    knn
        False computes weights of all pairs, dense; only with ``method="gauss"`` and few cells.
    method
        ``"umap"``: fuzzy simplicial set; ``"gauss"``: Gaussian kernels of adaptive width.
    transformer
        None, ``"sklearn"`` (exact), ``"pynndescent"``, or an object with the interface of
        :class:`sklearn.neighbors.KNeighborsTransformer`, whose own settings then hold.
    metric
        Name of a distance, or a function of two vectors; by default ``"euclidean"``. With
        ``distances`` the name that is noted with the graph; by default none is.
    metric_kwds
        Options of the distance.
    random_state
        Seed of the approximate search.
    key_added
        Name of the result, ``"neighbors"`` by default.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy
        Sets ``adata.obsp["distances"]`` and ``adata.obsp["connectivities"]`` (CSR, n_obs ×
        n_obs, float; prefixed by ``key_added + "_"`` if given), and
        ``adata.uns["neighbors"]`` (or ``adata.uns[key_added]``) with ``connectivities_key``,
        ``distances_key`` and ``params``.

    Raises
    ------
    ValueError
        For an unknown method, transformer or representation; if this has NaN or infinite values,
        naming the cells (NaN may be there with the metric ``"nan_euclidean"``).
    MemoryError
        If X is on disk and would not fit ``lazyomics.memory``, or ``knn=False`` would not.
    MissingDependencyError
        If scikit-learn, umap-learn or pynndescent is needed and not installed.

    Notes
    -----
    Passes over X: 0 with an obsm representation, 1 if X is the representation. Peak memory: the
    representation, its float32 copy, and 2 × n_obs × n_neighbors values for each matrix.

    References
    ----------
    McInnes, Healy and Melville (2018), UMAP. doi:10.48550/arXiv.1802.03426;
    Dong, Moses and Li (2011), NN-descent. doi:10.1145/1963405.1963487;
    Haghverdi et al. (2016), Gaussian kernels. doi:10.1038/nmeth.3971

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[0.0, 0], [0, 1], [1, 0], [9, 9], [9, 8]]))
    >>> lo.pp.neighbors(adata, n_neighbors=3, use_rep="X")
    >>> adata.obsp["distances"].shape, adata.obsp["distances"].nnz
    ((5, 5), 10)
    """
    check_annotated(adata, "pp.neighbors")
    _check(n_neighbors, knn=knn, method=method, transformer=transformer)
    n_neighbors = _fitting(adata.n_obs, n_neighbors, transformer)
    adata = adata.copy() if copy else adata
    if distances is None:
        metric = "euclidean" if metric is None else metric
        own = transformer is not None and not isinstance(transformer, str)
        finite = metric != "nan_euclidean" and not own
        found = search(
            choose_representation(adata, use_rep=use_rep, n_pcs=n_pcs, finite=finite),
            n_neighbors,
            knn=knn,
            transformer=transformer,
            metric=metric,
            metric_kwds=metric_kwds,
            random_state=random_state,
        )
    else:
        _refuse_search(n_pcs, use_rep, knn, transformer, metric)
        found = given_distances(distances, adata.n_obs, n_neighbors)
    _check_lengths(found, adata.obs_names)
    params: dict[str, Any] = {
        "n_neighbors": n_neighbors,
        "method": method,
        "random_state": random_state,
    }
    given = {
        "metric": metric,
        "metric_kwds": metric_kwds or None,
        "use_rep": use_rep,
        "n_pcs": n_pcs,
    }
    params.update({name: value for name, value in given.items() if value is not None})
    weights = _weights(found, method)
    if method == "gauss" and isinstance(found.distances, sparse.csr_matrix):
        # UMAP's stay nearest first, as the search returned them; these in order of columns.
        found.distances.sort_indices()
    _store(adata, found, weights, params, key_added)
    return adata if copy else None


def _refuse_search(n_pcs: Any, use_rep: Any, knn: bool, transformer: Any, metric: Any) -> None:
    options = {"n_pcs": n_pcs, "use_rep": use_rep, "transformer": transformer}
    given = [name for name, value in options.items() if value is not None]
    given += [] if knn else ["knn"]
    if given:
        raise ValueError(f"distances are given: nothing is searched for by {', '.join(given)}")
    if callable(metric):
        raise TypeError("with distances, metric is only the name that is noted with the graph")


def _check_lengths(found: Knn, names: pd.Index) -> None:
    bad = np.flatnonzero(~np.isfinite(found.lengths).all(axis=1))
    if len(bad):
        raise ValueError(
            f"distances of {len(bad)} cells are NaN or infinite, first of {names[bad[0]]!r}: "
            "such cells have no neighbours; leave them out"
        )


def _check(n_neighbors: int, *, knn: bool, method: str, transformer: Any) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, found {method!r}")
    if n_neighbors < 2:
        raise ValueError(f"n_neighbors counts the cell itself and must be ≥ 2, found {n_neighbors}")
    if not knn and (method != "gauss" or transformer is not None):
        raise ValueError("knn=False needs method='gauss' and transformer=None")


def _fitting(n_obs: int, n_neighbors: int, transformer: Any) -> int:
    """Return the number of neighbours that the data or the given transformer allows."""
    if transformer is not None and not isinstance(transformer, str):
        return int(transformer.get_params()["n_neighbors"])
    if n_obs < 2:
        raise ValueError(f"pp.neighbors needs at least 2 cells, found {n_obs}")
    if n_neighbors <= n_obs:
        return n_neighbors
    fewer = 1 + n_obs // 2
    warnings.warn(
        f"n_neighbors={n_neighbors} is more than the {n_obs} cells; using {fewer}",
        UserWarning,
        stacklevel=3,
    )
    return fewer


def _weights(found: Knn, method: str) -> Any:
    if method == "umap":
        return umap(found.indices, found.lengths)
    return gauss(found.distances, found.indices, found.lengths)


def _store(
    adata: AnnData, found: Knn, weights: Any, params: dict[str, Any], key_added: str | None
) -> None:
    prefix = "" if key_added is None else f"{key_added}_"
    adata.uns["neighbors" if key_added is None else key_added] = {
        "connectivities_key": f"{prefix}connectivities",
        "distances_key": f"{prefix}distances",
        "params": params,
    }
    adata.obsp[f"{prefix}distances"] = found.distances
    adata.obsp[f"{prefix}connectivities"] = weights
