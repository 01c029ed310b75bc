"""``tl.umap``: embed the neighbour graph in two (or more) dimensions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.errors import ShapeError, require
from lazyomics.pp.representation import check_finite, choose_representation
from lazyomics.pp.stored_graph import neighbors_entry, stored_connectivities

__all__ = ["umap"]


def umap(
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
    """Embed the neighbour graph with UMAP, eagerly.

    Parameters
    ----------
    adata
        Annotated matrix after :func:`lazyomics.pp.neighbors`.
    min_dist
        Least distance between embedded cells, relative to ``spread``.
    spread
        Scale of the embedding.
    n_components
        Dimensions of the embedding.
    maxiter
        Epochs; by default 500 up to 10,000 cells, then 200.
    alpha
        Initial learning rate.
    gamma
        Weight of negative samples.
    negative_sample_rate
        Negative samples for each positive one.
    init_pos
        ``"spectral"``, ``"random"``, a key of ``adata.obsm``, or coordinates, float, shape
        (n_obs, n_components).
    random_state
        Seed, or a :class:`numpy.random.RandomState`.
    a, b
        Shape of the embedding's similarity; from ``min_dist`` and ``spread`` by default.
    method
        Only ``"umap"``.
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
        If umap-learn is not installed.

    Notes
    -----
    Passes over X: 0; 1 if X is the representation and the graph falls into more than
    ``2 * n_components`` parts, whose centroids then lay out the start. Peak memory: three copies
    of the graph.

    References
    ----------
    McInnes, Healy and Melville (2018), UMAP. doi:10.48550/arXiv.1802.03426

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
    check_annotated(adata, "tl.umap")
    if method != "umap":
        raise ValueError(f"method must be 'umap', found {method!r}")
    adata = adata.copy() if copy else adata
    entry = neighbors_entry(adata, neighbors_key)
    umap_ = load_umap()
    seeding = require("sklearn.utils", extra="cluster", purpose="tl.umap")
    given = entry.get("params", {})
    _tell_of_other_weights(given, neighbors_key)
    weights = stored_connectivities(adata, neighbors_key)
    if a is None or b is None:
        a, b = umap_.find_ab_params(spread, min_dist)
    n_epochs = (500 if adata.n_obs <= 10000 else 200) if maxiter is None else maxiter
    start = _initial_positions(adata, init_pos, n_components)
    embedding, _ = umap_.simplicial_set_embedding(
        data=_data_for_layout(adata, given, weights, start, n_components, n_epochs),
        graph=weights.tocoo(copy=True),  # umap-learn zeroes weak edges in place
        n_components=n_components,
        initial_alpha=alpha,
        a=a,
        b=b,
        gamma=gamma,
        negative_sample_rate=negative_sample_rate,
        n_epochs=n_epochs,
        init=start,
        random_state=seeding.check_random_state(random_state),
        metric=given.get("metric", "euclidean"),
        metric_kwds=given.get("metric_kwds", {}),
        densmap=False,
        densmap_kwds={},
        output_dens=False,
        verbose=False,
    )
    params = {"a": a, "b": b}
    if not (isinstance(random_state, int) and random_state == 0):
        params["random_state"] = random_state
    adata.obsm["X_umap" if key_added is None else key_added] = embedding
    adata.uns["umap" if key_added is None else key_added] = {"params": params}
    return adata if copy else None


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
    adata: AnnData, init_pos: str | NDArray[Any] | None, n_components: int
) -> Any:
    if isinstance(init_pos, str) and init_pos in adata.obsm:
        init_pos = np.asarray(adata.obsm[init_pos])
    if isinstance(init_pos, str):
        if init_pos not in ("spectral", "random"):
            raise ValueError(
                f"init_pos={init_pos!r} is neither 'spectral' nor 'random' nor in adata.obsm, "
                f"which has {sorted(adata.obsm)}"
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


def _data_for_layout(
    adata: AnnData,
    given: Any,
    weights: sparse.csr_matrix,
    start: Any,
    n_components: int,
    n_epochs: int,
) -> Any:
    """Return the representation where umap-learn reads it, else an empty stand-in.

    It does so only to place the parts of a graph that falls into many: asking first saves a pass
    over X where X is the representation.
    """
    if isinstance(start, str) and start == "spectral":
        epochs = n_epochs if n_epochs > 10 else (500 if adata.n_obs <= 10000 else 200)
        strong = weights.copy()
        strong.data[strong.data < strong.data.max(initial=0) / epochs] = 0
        strong.eliminate_zeros()
        parts = int(connected_components(strong, return_labels=True)[0])
        if parts > 2 * n_components:
            return choose_representation(
                adata, use_rep=given.get("use_rep"), n_pcs=given.get("n_pcs"), finite=True
            )
    return np.empty((adata.n_obs, 0), dtype=np.float32)


def load_umap() -> Any:
    """Import ``umap.umap_`` without its remark about TensorFlow, which is not used here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Tensorflow not installed")
        return require("umap.umap_", extra="umap", purpose="tl.umap(method='umap-learn')")
