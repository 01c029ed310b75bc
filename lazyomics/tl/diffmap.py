"""``tl.diffmap``: diffusion components of the neighbour graph."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.errors import warn_user
from lazyomics.graph.diffusion import diffusion_map
from lazyomics.pp.stored_graph import stored_connectivities

__all__ = ["DiffusionMap", "computed_map", "diffmap"]

FEWEST_COMPONENTS = 3


def diffmap(
    adata: AnnData,
    n_comps: int = 15,
    *,
    neighbors_key: str | None = None,
    random_state: Any = 0,
    copy: bool = False,
) -> AnnData | None:
    """Embed the cells by the slowest modes of a random walk on the neighbour graph, eagerly.

    Parameters
    ----------
    adata
        Annotated matrix after :func:`lazyomics.pp.neighbors`.
    n_comps
        Number of components, at least 3; at most ``n_obs - 1`` are found.
    neighbors_key
        Key in ``uns`` that ``pp.neighbors`` wrote, by default ``"neighbors"``.
    random_state
        Seed, or a :class:`numpy.random.RandomState`.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy
        Sets ``adata.obsm["X_diffmap"]``, float32, shape (n_obs, n_comps), right eigenvectors of
        the transition matrix, and ``adata.uns["diffmap_evals"]``, its eigenvalues, float32, shape
        (n_comps,). The first component is the stationary state and tells nothing about the cells.

    Raises
    ------
    ValueError
        If ``n_comps`` is below 3, there is no neighbour graph, fewer than 2 cells, or weights are
        not finite.

    Warns
    -----
    UserWarning
        If the graph falls into more parts than half of the components.

    Notes
    -----
    Passes over X: 0. Peak memory: three copies of the graph, two of them in float64, and
    ``max(2 * n_comps + 1, 20)`` vectors of float64.

    Numbers and signs are scanpy's: the iteration begins with the vector that scanpy draws from the
    same seed. BLAS is held to one thread, so that they are the same on any number of threads. Where
    the graph falls into parts, the eigenvalue 1 has several eigenvectors, which may be mixed in
    another way than scanpy's.

    References
    ----------
    Coifman et al. (2005). doi:10.1073/pnas.0500334102;
    Haghverdi, Buettner and Theis (2015). doi:10.1093/bioinformatics/btv325

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.random.default_rng(0).normal(size=(30, 4)))
    >>> lo.pp.neighbors(adata, n_neighbors=8)
    >>> lo.tl.diffmap(adata, n_comps=4)
    >>> adata.obsm["X_diffmap"].shape, adata.uns["diffmap_evals"].shape
    ((30, 4), (4,))
    """
    check_annotated(adata, "tl.diffmap")
    if n_comps < FEWEST_COMPONENTS:
        raise ValueError(f"n_comps must be at least {FEWEST_COMPONENTS}, found {n_comps}")
    found = computed_map(adata, n_comps, neighbors_key, random_state)
    adata = adata.copy() if copy else adata
    found.store(adata)
    return adata if copy else None


class DiffusionMap(NamedTuple):
    """Diffusion components.

    Attributes
    ----------
    values
        Eigenvalues, shape (n_comps,).
    basis
        Eigenvectors, shape (n_obs, n_comps).
    """

    values: NDArray[np.floating]
    basis: NDArray[np.floating]

    def store(self, adata: AnnData) -> None:
        """Set ``obsm["X_diffmap"]`` and ``uns["diffmap_evals"]``."""
        adata.obsm["X_diffmap"] = self.basis
        adata.uns["diffmap_evals"] = self.values


def computed_map(
    adata: AnnData, n_comps: int, neighbors_key: str | None, random_state: Any
) -> DiffusionMap:
    """Compute diffusion components of the stored graph, and change nothing."""
    weights = stored_connectivities(adata, neighbors_key)
    if adata.n_obs < 2:
        raise ValueError(f"a diffusion map needs at least 2 cells, found {adata.n_obs}")
    found = DiffusionMap(*diffusion_map(weights, n_comps, random_state))
    n_parts = int(connected_components(weights, return_labels=False))
    if n_parts > len(found.values) / 2:
        warn_user(
            f"the neighbour graph falls into {n_parts} parts, so many of the {n_comps} components "
            "only tell these apart: take more neighbours or components"
        )
    return found
