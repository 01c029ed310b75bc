"""``tl.umap``: embed the neighbour graph in two (or more) dimensions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.by_kind import by_kind
from lazyomics.container.choose import check_annotated, is_annotated
from lazyomics.container.mudata import MuData
from lazyomics.errors import ShapeError, require
from lazyomics.graph.layout import curve, lay_out, strong_edges, usual_epochs
from lazyomics.graph.points import row_blocks
from lazyomics.graph.seeds import seed_of
from lazyomics.graph.spectral import spectral_positions
from lazyomics.kernels.blas import one_blas_thread
from lazyomics.names import choices
from lazyomics.pp.joint_representation import joint_representation
from lazyomics.pp.representation import as_dense, check_finite, choose_representation
from lazyomics.pp.stored_graph import neighbors_entry, stored_connectivities
from lazyomics.tl.group_places import places_around_groups

__all__ = ["load_umap", "umap", "umap_of_cells", "umap_of_modalities"]

METHODS = ("umap", "umap-learn")
STARTS = ("spectral", "pca", "random", "paga")
EXTENT = 10.0  # of the start along each axis, as in umap-learn
NOISE = 1e-4  # added to it, so that no two cells are in one place


def umap_of_cells(
    adata: AnnData,
    *,
    min_dist: float = 0.5,
    spread: float = 1.0,
    n_components: int = 2,
    maxiter: int | None = None,
    alpha: float = 1.0,
    gamma: float = 1.0,
    negative_sample_rate: int = 5,
    init_pos: str | NDArray[Any] | None = "spectral",
    random_state: Any = 0,
    a: float | None = None,
    b: float | None = None,
    method: str = "umap",
    key_added: str | None = None,
    neighbors_key: str = "neighbors",
    copy: bool = False,
) -> AnnData | None:
    """Embed the neighbour graph with UMAP, eagerly, in parallel.

    In each epoch all cells move at once, by forces from where the others were before, so that the
    same seed gives the same coordinates on any number of threads. They are not scanpy's, whose
    umap-learn moves pair after pair in one thread: pictures have the same groups and neighbours,
    and are turned and placed otherwise. ``method="umap-learn"`` gives scanpy's coordinates.

    Of a MuData the graph of all modalities together is embedded, with muon's order of parameters
    and its ``random_state=42``: ``lo.tl.umap.of_modalities``.

    Parameters
    ----------
    adata
        Annotated matrix after :func:`lazyomics.pp.neighbors`; or a MuData after it.
    min_dist
        Least distance between embedded cells, relative to ``spread``.
    spread
        Scale of the embedding.
    n_components
        Dimensions of the embedding.
    maxiter
        Epochs; by default 500 up to 10,000 cells, then 300 (200 of umap-learn's).
    alpha
        Initial learning rate.
    gamma
        Weight of negative samples.
    negative_sample_rate
        Negative samples for each positive one.
    init_pos
        ``"spectral"``; ``"pca"``, the principal components of the representation; ``"random"``;
        ``"paga"``, around the groups of ``adata.uns["paga"]`` where they were drawn; a key of
        ``adata.obsm``; or coordinates, float, shape (n_obs, n_components).
    random_state
        Seed, or a :class:`numpy.random.RandomState`.
    a, b
        Shape of the embedding's similarity; from ``min_dist`` and ``spread`` by default.
    method
        ``"umap"``, computed here; or ``"umap-learn"``, computed by that package as in scanpy.
    key_added
        Key in ``obsm`` and ``uns``; by default ``"X_umap"`` and ``"umap"``.
    neighbors_key
        Key in ``uns`` that ``pp.neighbors`` wrote.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy
        Sets ``adata.obsm["X_umap"]``, float32, shape (n_obs, n_components), and
        ``adata.uns["umap"]["params"]``.

    Raises
    ------
    ValueError
        If there is no neighbour graph, for an unknown method or initial position, and if weights,
        positions or the representation are not finite.
    MissingDependencyError
        If ``method="umap-learn"`` and it is not installed.

    Notes
    -----
    Passes over X: 0; 1 if X is the representation and the start is ``"pca"``, or the graph falls
    into more than ``2 * n_components`` parts, whose centroids then lay out the start. Peak memory:
    three copies of the graph, in float64 for a spectral start.

    References
    ----------
    McInnes, Healy and Melville (2018), UMAP. doi:10.48550/arXiv.1802.03426;
    Melville, uwot's batch mode. https://github.com/jlmelville/uwot

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.random.default_rng(0).normal(size=(30, 4)))
    >>> lo.pp.neighbors(adata, n_neighbors=5)
    >>> lo.tl.umap(adata)
    >>> adata.obsm["X_umap"].shape
    (30, 2)
    """
    check_annotated(adata, "tl.umap", or_modalities=True)
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, found {method!r}")
    begun = logging.info("computing UMAP")
    adata = adata.copy() if copy else adata
    entry = neighbors_entry(adata, neighbors_key)
    given = entry.get("params", {})
    _tell_of_other_weights(given, neighbors_key)
    weights = stored_connectivities(adata, neighbors_key)
    start = _initial_positions(adata, init_pos, n_components, random_state)
    if a is None or b is None:
        a, b = curve(spread, min_dist)
    options: dict[str, Any] = {"a": a, "b": b, "alpha": alpha, "gamma": gamma}
    options["n_negative"] = negative_sample_rate
    if method == "umap-learn":
        n_epochs = usual_epochs(adata.n_obs, of_many=200) if maxiter is None else maxiter
        embedding = _by_umap_learn(
            adata, weights, start, n_components, n_epochs, random_state, given, options
        )
    else:
        n_epochs = usual_epochs(adata.n_obs, of_many=300) if maxiter is None else maxiter
        seed = seed_of(random_state)
        random = np.random.default_rng(seed)
        if isinstance(start, str):
            start = _begin(adata, given, weights, start, n_components, n_epochs, random)
        start = _spread_out(start, random)
        embedding = lay_out(weights, start, n_epochs=n_epochs, seed=seed, **options)
    params = {"a": a, "b": b}
    if not (isinstance(random_state, int) and random_state == 0):
        params["random_state"] = random_state
    key_obsm, key_uns = ("X_umap", "umap") if key_added is None else (key_added, key_added)
    adata.obsm[key_obsm] = embedding
    adata.uns[key_uns] = {"params": params}
    deep = f"added\n    {key_obsm!r}, UMAP coordinates (adata.obsm)\n"
    deep += f"    {key_uns!r}, UMAP parameters (adata.uns)"
    logging.info("    finished", time=begun, deep=deep)
    return adata if copy else None


def umap_of_modalities(
    mdata: MuData,
    min_dist: float = 0.5,
    spread: float = 1.0,
    n_components: int = 2,
    maxiter: int | None = None,
    alpha: float = 1.0,
    gamma: float = 1.0,
    negative_sample_rate: int = 5,
    init_pos: str | NDArray[Any] | None = "spectral",
    random_state: Any = 42,
    a: float | None = None,
    b: float | None = None,
    copy: bool = False,
    method: str = "umap",
    neighbors_key: str | None = None,
    *,
    key_added: str | None = None,
) -> MuData | None:
    """Embed the neighbour graph of all modalities together with UMAP, eagerly, in parallel.

    ``lo.tl.umap(mdata)`` calls this function. Parameters, results and errors are those of
    ``lo.tl.umap(adata)``, but for their order and the default of ``random_state``, which are
    muon's. What is read of the representations, where a start needs them, are those of the
    modalities beside each other; cells that a modality lacks have the mean of the others.

    Parameters
    ----------
    mdata
        Modalities after ``lo.pp.neighbors(mdata)``, ``n_obs`` cells in all.
    min_dist, spread, n_components, maxiter, alpha, gamma, negative_sample_rate
        As of ``lo.tl.umap(adata)``.
    init_pos
        As there; a key is one of ``mdata.obsm``.
    random_state, a, b, copy
        As there.
    method
        ``"umap"``, computed here; or ``"umap-learn"``, whose coordinates are muon's.
    neighbors_key
        Key in ``mdata.uns`` that ``lo.pp.neighbors(mdata)`` wrote, by default ``"neighbors"``.
    key_added
        Key in ``obsm`` and ``uns``; by default ``"X_umap"`` and ``"umap"``.

    Returns
    -------
    None, or the copy
        Sets ``mdata.obsm["X_umap"]``, float32, shape (n_obs, n_components), and
        ``mdata.uns["umap"]["params"]``.

    Raises
    ------
    ValueError
        If there is no joint graph, and as ``lo.tl.umap(adata)``.
    ShapeError
        If modalities were changed since ``mdata.update()``.

    Notes
    -----
    Passes over X: as of ``lo.tl.umap(adata)``, of each modality whose X is the representation.

    Examples
    --------
    >>> import lazyomics as lo
    >>> random = np.random.default_rng(0)
    >>> mdata = lo.MuData({m: lo.AnnData(random.normal(size=(30, 4))) for m in ("rna", "adt")})
    >>> for adata in mdata.mod.values():
    ...     lo.pp.neighbors(adata, n_neighbors=5)
    >>> lo.pp.neighbors(mdata)
    >>> lo.tl.umap(mdata)
    >>> mdata.obsm["X_umap"].shape
    (30, 2)
    """
    mdata = mdata.copy() if copy else mdata
    umap_of_cells(
        mdata,  # type: ignore[arg-type]  # which has what is asked of an AnnData
        min_dist=min_dist,
        spread=spread,
        n_components=n_components,
        maxiter=maxiter,
        alpha=alpha,
        gamma=gamma,
        negative_sample_rate=negative_sample_rate,
        init_pos=init_pos,
        random_state=random_state,
        a=a,
        b=b,
        method=method,
        key_added=key_added,
        neighbors_key="neighbors" if neighbors_key is None else neighbors_key,
    )
    return mdata if copy else None


umap = by_kind("tl.umap", umap_of_cells, umap_of_modalities)


def _tell_of_other_weights(given: Any, neighbors_key: str) -> None:
    method = given.get("method", "umap")
    if method != "umap":
        warnings.warn(
            f"the graph of adata.uns[{neighbors_key!r}] was weighted by method {method!r}, "
            "not 'umap'",
            UserWarning,
            stacklevel=3,
        )


def _initial_positions(
    adata: AnnData, init_pos: str | NDArray[Any] | None, n_components: int, random_state: Any
) -> Any:
    """Coordinates, or the name of a way to make them."""
    if isinstance(init_pos, str) and init_pos in adata.obsm:
        init_pos = np.asarray(adata.obsm[init_pos])
    elif isinstance(init_pos, str) and init_pos == "paga":
        init_pos = places_around_groups(adata, random_state)
    if isinstance(init_pos, str):
        if init_pos not in STARTS:
            raise ValueError(
                f"init_pos={init_pos!r} is neither one of {STARTS} nor in adata.obsm; "
                f"{choices(init_pos, adata.obsm)}"
            )
        return init_pos
    if init_pos is None:
        return "spectral"
    coordinates = np.asarray(init_pos, dtype=np.float32)
    if coordinates.ndim != 2 or coordinates.shape[0] != adata.n_obs:
        raise ShapeError(
            f"init_pos has shape {coordinates.shape}, expected {adata.n_obs} rows (cells)"
        )
    if coordinates.shape[1] != n_components:
        raise ShapeError(
            f"init_pos has shape {coordinates.shape}, expected {n_components} columns "
            "(n_components)"
        )
    check_finite(coordinates, "init_pos", adata.obs_names)
    return coordinates


def _begin(
    adata: AnnData,
    given: Mapping[str, Any],
    weights: sparse.csr_matrix,
    way: str,
    n_components: int,
    n_epochs: int,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Coordinates by one of the ways to make them."""
    if way == "random":
        return random.uniform(-EXTENT, EXTENT, (adata.n_obs, n_components))
    if way == "pca":
        return _principal_axes(_representation(adata, given, on_disk=True), n_components)
    strong = strong_edges(weights, n_epochs)
    n_parts, part_of = connected_components(strong, directed=False)
    centroids = None
    if n_parts > 2 * n_components:
        centroids = _centroids(_representation(adata, given, on_disk=True), part_of)
    return spectral_positions(strong, n_components, part_of, centroids, random)


def _representation(adata: AnnData, given: Mapping[str, Any], *, on_disk: bool = False) -> Any:
    n_pcs, use_rep = given.get("n_pcs"), given.get("use_rep")
    if isinstance(use_rep, Mapping):
        return joint_representation(adata, given)  # type: ignore[arg-type]  # a MuData's
    if not is_annotated(adata) and use_rep not in adata.obsm:
        raise ValueError(
            f"the representation {use_rep!r} of the neighbours is not in mdata.obsm: use "
            f"init_pos='random', or run lo.pp.neighbors again; {choices(use_rep, adata.obsm)}"
        )
    return choose_representation(adata, use_rep=use_rep, n_pcs=n_pcs, finite=True, on_disk=on_disk)


def _dense_blocks(data: Any) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    return ((part, as_dense(rows).astype(np.float64)) for part, rows in row_blocks(data))


def _centroids(data: Any, part_of: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    sizes = np.bincount(part_of)
    sums = np.zeros((len(sizes), data.shape[1]))
    for part, rows in _dense_blocks(data):
        members = sparse.csr_matrix(
            (np.ones(len(rows)), (part_of[part], np.arange(len(rows)))), (len(sizes), len(rows))
        )
        sums += members @ rows
    return sums / sizes[:, None]


def _principal_axes(data: Any, n_components: int) -> NDArray[np.float64]:
    """Scores on the first axes, each with the side up whose largest loading is positive."""
    n_obs, width = data.shape
    if width < n_components:
        raise ValueError(
            f"init_pos='pca' needs {n_components} columns of the representation, which has {width}"
        )
    mean = sum((rows.sum(axis=0) for _, rows in _dense_blocks(data)), np.zeros(width)) / n_obs
    products, scores = np.zeros((width, width)), np.empty((n_obs, n_components))
    with one_blas_thread():
        for _, rows in _dense_blocks(data):
            rows -= mean
            products += rows.T @ rows
        axes = np.linalg.eigh(products)[1][:, : -n_components - 1 : -1]
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(n_components)])
        for part, rows in _dense_blocks(data):
            scores[part] = (rows - mean) @ axes
    return scores


def _spread_out(start: NDArray[Any], random: np.random.Generator) -> NDArray[np.float64]:
    """Scale each axis to the extent of umap-learn's, and part cells that are in one place."""
    extent = np.ptp(start, axis=0)
    scaled = EXTENT * (start - start.min(axis=0)) / np.where(extent > 0, extent, 1)
    moved: NDArray[np.float64] = scaled + random.normal(scale=NOISE, size=start.shape)
    return moved


def _by_umap_learn(
    adata: AnnData,
    weights: sparse.csr_matrix,
    start: Any,
    n_components: int,
    n_epochs: int,
    random_state: Any,
    given: Mapping[str, Any],
    options: Mapping[str, Any],
) -> NDArray[np.float32]:
    from sklearn.utils import check_random_state

    umap_ = load_umap("tl.umap(method='umap-learn')")
    embedding: NDArray[np.float32] = umap_.simplicial_set_embedding(
        data=_data_for_layout(adata, given, weights, start, n_components, n_epochs),
        graph=weights.tocoo(copy=True),  # umap-learn zeroes weak edges in place
        n_components=n_components,
        initial_alpha=options["alpha"],
        a=options["a"],
        b=options["b"],
        gamma=options["gamma"],
        negative_sample_rate=options["n_negative"],
        n_epochs=n_epochs,
        init=start,
        random_state=check_random_state(random_state),
        metric=given.get("metric", "euclidean"),
        metric_kwds=given.get("metric_kwds", {}),
        densmap=False,
        densmap_kwds={},
        output_dens=False,
        verbose=False,
    )[0]
    return embedding


def _data_for_layout(
    adata: AnnData,
    given: Mapping[str, Any],
    weights: sparse.csr_matrix,
    start: Any,
    n_components: int,
    n_epochs: int,
) -> Any:
    """Return the representation where umap-learn reads it, else an empty stand-in.

    It does so to find principal components, and to place the parts of a graph that falls into many:
    asking first saves a pass over X where X is the representation.
    """
    if isinstance(start, str) and start == "pca":
        return _representation(adata, given)
    if isinstance(start, str) and start == "spectral":
        strong = strong_edges(weights, n_epochs)
        parts = int(connected_components(strong, directed=False, return_labels=False))
        if parts > 2 * n_components:
            return _representation(adata, given)
    return np.empty((adata.n_obs, 0), dtype=np.float32)


def load_umap(purpose: str) -> Any:
    """Import ``umap.umap_`` without its remark about TensorFlow, which is not used here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Tensorflow not installed")
        return require("umap.umap_", extra="umap", purpose=purpose)
