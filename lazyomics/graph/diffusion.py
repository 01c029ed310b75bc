"""Diffusion on a graph: eigenvectors of its random walk, and distances along them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lazyomics.graph.seeds import seed_of
from lazyomics.kernels.blas import one_blas_thread

__all__ = ["STATIONARY", "DiffusionDistances", "diffusion_map", "symmetric_walk"]

STATIONARY = 0.9994  # eigenvalues from here on count as 1: they have the precision of float32


def symmetric_walk(weights: sparse.csr_matrix) -> sparse.csr_matrix:
    """Make the transitions of a random walk on a graph, in symmetric form.

    Weights are first divided by the density of cells at both ends, so that the walk follows the
    shape of the data, not how densely it was sampled.

    Parameters
    ----------
    weights
        Symmetric, shape (n_obs, n_obs).

    Returns
    -------
    Matrix of the type of the weights, if that is a floating point type, else float64. Cells
    without neighbours have empty rows.

    References
    ----------
    Coifman and Lafon (2006), Diffusion maps. doi:10.1016/j.acha.2006.04.006

    Examples
    --------
    >>> from scipy import sparse
    >>> symmetric_walk(sparse.csr_matrix([[0.0, 2.0], [2.0, 0.0]])).toarray()
    array([[0., 1.],
           [1., 0.]])
    """
    if weights.dtype.kind != "f":
        weights = weights.astype(np.float64)
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    density = _inverse(np.asarray(weights.sum(axis=0)).ravel())
    even = _scaled(weights, rows, density)
    degrees = np.sqrt(np.asarray(even.sum(axis=0)).ravel())
    return _scaled(even, rows, _inverse(degrees))


def _inverse(sums: NDArray[Any]) -> NDArray[Any]:
    """Return 1 / sums, and 0 where nothing was to be summed."""
    return np.divide(1, sums, out=np.zeros_like(sums), where=sums != 0)


def _scaled(
    matrix: sparse.csr_matrix, rows: NDArray[np.intp], factors: NDArray[Any]
) -> sparse.csr_matrix:
    values = factors[rows] * matrix.data * factors[matrix.indices]
    return sparse.csr_matrix((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def diffusion_map(
    weights: sparse.csr_matrix, n_components: int, random_state: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find the largest eigenvalues of the random walk on a graph, and their eigenvectors.

    Parameters
    ----------
    weights
        Symmetric, shape (n_obs, n_obs).
    n_components
        How many; at most ``n_obs - 1``.
    random_state
        Seed of the vector that the Lanczos iteration of ARPACK begins with.

    Returns
    -------
    Eigenvalues, float32, shape (n_components,), those of the largest absolute value, in falling
    order; and eigenvectors, float32, shape (n_obs, n_components).

    Notes
    -----
    The signs of eigenvectors follow from the first vector. BLAS is held to one thread, so that
    the same seed gives the same bits on any number of threads. Peak memory: two copies of the
    graph in float64, and ``max(2 * n_components + 1, 20)`` vectors.
    """
    from scipy.sparse.linalg import eigsh

    walk = symmetric_walk(weights).astype(np.float64)
    start = _standard_normal(random_state, walk.shape[0])
    with one_blas_thread():
        values, vectors = eigsh(walk, k=min(walk.shape[0] - 1, n_components), which="LM", v0=start)
    # In C order, as rows are what is read of them.
    basis = np.ascontiguousarray(vectors[:, ::-1], dtype=np.float32)
    return values[::-1].astype(np.float32), basis


def _standard_normal(random_state: Any, n: int) -> NDArray[np.float64]:
    """Draw what scanpy draws for the same number or RandomState."""
    if not isinstance(random_state, np.random.RandomState):
        random_state = np.random.RandomState(seed_of(random_state) % 2**32)
    drawn: NDArray[np.float64] = random_state.standard_normal(n)
    return drawn


class DiffusionDistances:
    """Distances between cells in a diffusion map, computed row by row.

    Parameters
    ----------
    values
        Eigenvalues, shape (n_components,).
    basis
        Eigenvectors, shape (n_obs, n_components).
    part_of
        Part of the graph that each cell is in, shape (n_obs,); None if all are in one. Cells of
        different parts are infinitely far from each other.

    References
    ----------
    Haghverdi et al. (2016), equation 15 of the supplement. doi:10.1038/nmeth.3971;
    Wolf et al. (2019), PAGA. doi:10.1186/s13059-019-1663-x

    Examples
    --------
    >>> import numpy as np
    >>> distances = DiffusionDistances(np.array([0.5]), np.array([[0.0], [1.0], [3.0]]), None)
    >>> distances.row(0)
    array([0., 1., 3.])
    """

    def __init__(
        self,
        values: NDArray[np.floating],
        basis: NDArray[np.floating],
        part_of: NDArray[np.integer] | None,
    ) -> None:
        self._values, self._basis, self._part_of = values, basis, part_of

    @property
    def n_obs(self) -> int:
        """Number of cells."""
        return self._basis.shape[0]

    def row(self, cell: int) -> NDArray[np.floating]:
        """Return the distances of all cells from one, shape (n_obs,).

        Terms are added in scanpy's order, in the type of eigenvalues and eigenvectors.
        """
        far = self._values < STATIONARY
        squared = np.zeros(self.n_obs, dtype=np.result_type(self._values, self._basis))
        for k in np.flatnonzero(far).tolist():
            value = self._values[k]
            squared += (value / (1 - value) * self._steps(cell, k)) ** 2
        stationary = np.zeros(self.n_obs, dtype=self._basis.dtype)
        for k in np.flatnonzero(~far).tolist():
            stationary += self._steps(cell, k) ** 2
        squared = squared + stationary
        if self._part_of is not None:
            squared[self._part_of != self._part_of[cell]] = np.inf
        return np.sqrt(squared)

    def _steps(self, cell: int, k: int) -> NDArray[np.floating]:
        steps: NDArray[np.floating] = self._basis[cell, k] - self._basis[:, k]
        return steps
