"""Principal components of many genes by block Krylov iteration, without a p x p matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lazyomics.errors import warn_user
from lazyomics.kernels.blas import one_blas_thread
from lazyomics.pp.gram_operator import GramOperator
from lazyomics.pp.krylov_space import KrylovSpace
from lazyomics.pp.pca_components import Components
from lazyomics.pp.tall_products import orthonormal

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from lazyomics.pp.matrix_choice import RowBlocks

__all__ = ["MOST_PASSES", "krylov_components"]

MOST_PASSES = 10
TOLERANCE_BY_PASSES = 1e-3
TOLERANCE_IN_MEMORY = 1e-5
SINGLE_PRECISION_FLOOR = 5e-7  # residual / largest eigenvalue that products in float32 reach
SQUARES_IN_SINGLE_PRECISION = (1e-20, 1e30)  # others would under- or overflow
# Directions this much shorter than the largest eigenvalue are rounding, not data.
NEGLIGIBLE = {np.dtype(np.float32): 1e-9, np.dtype(np.float64): 1e-13}
ZERO = 1e-12


def krylov_components(
    x: RowBlocks,
    k: int,
    *,
    zero_center: bool,
    seed: int,
    tol: float | None = None,
    max_passes: int | None = None,
) -> Components:
    """First k components by block Lanczos iteration on the (implicitly centred) Gram matrix.

    The first pass starts at random, sums the columns and keeps the rows that fit the memory
    budget. If those are all, the iteration runs in memory; otherwise each step is a pass over the
    others. Products are taken in float32 around the mean, or in float64 where that does not reach
    the tolerance.

    Parameters
    ----------
    x
        Matrix of row blocks, shape (n, p).
    k
        Number of components, below n and p.
    zero_center
        PCA if True, truncated SVD if False.
    seed
        Of the random start.
    tol
        Largest residual of an eigenvector relative to its eigenvalue at which to stop; by default
        1e-5 in memory, 1e-3 by passes.
    max_passes
        Over rows that do not fit, the one for coordinates included; by default 10.

    Returns
    -------
    Components, with all or the leading rows kept.

    Raises
    ------
    ValueError
        If values are not finite, or ``tol`` or ``max_passes`` is too small.

    Warns
    -----
    UserWarning
        If the passes did not suffice, by how much and for which components.

    Notes
    -----
    Passes over X: 1 if the rows fit, otherwise at most ``max_passes`` - 1, and one more is left
    for coordinates. Peak memory: ``lazyomics.memory`` and the blocks in flight.

    References
    ----------
    Musco, C. & Musco, C. (2015). Randomized block Krylov methods for stronger and faster
    approximate singular value decomposition. doi:10.48550/arXiv.1504.05477

    Zhou, Y. & Saad, Y. (2008). Block Krylov-Schur method for large symmetric eigenvalue problems.
    doi:10.1007/s11075-008-9192-9
    """
    max_passes = MOST_PASSES if max_passes is None else max_passes
    if max_passes < 3:
        raise ValueError(f"max_passes must be at least 3, found {max_passes}")
    if tol is not None and not 0 < tol < 1:
        raise ValueError(f"tol must be between 0 and 1, found {tol}")
    operator = GramOperator(x, k, zero_center=zero_center, max_passes=max_passes)
    rng = np.random.default_rng(seed)
    with one_blas_thread():
        start = operator.start(rng.standard_normal((x.shape[1], operator.width)))
        if tol is None:
            tol = TOLERANCE_BY_PASSES if operator.reads else TOLERANCE_IN_MEMORY
        low, high = SQUARES_IN_SINGLE_PRECISION
        single = tol >= 2 * SINGLE_PRECISION_FLOOR and low < operator.squares < high
        found = _iterate(operator, start, k, tol, np.float32 if single else np.float64, rng)
        if single and found.floor > tol and not operator.exhausted:
            found = _iterate(operator, found.wider_axes, k, tol, np.float64, rng)
        axes, _ = orthonormal(found.wider_axes[:, :k], 0.0)
    if found.errors.max() > tol:
        _warn(operator, found.errors, tol)
    return operator.components(axes, found.values).with_fixed_signs()


@dataclass(frozen=True, eq=False)
class _Found:
    """Eigenvalues, descending, vectors (a few more than asked for), and relative residuals."""

    values: NDArray[np.float64]
    wider_axes: NDArray[np.float64]
    errors: NDArray[np.float64]

    @property
    def floor(self) -> float:
        """Relative residual below which rounding in float32 may hide."""
        smallest = max(float(self.values[-1]), ZERO * float(self.values[0]))
        return SINGLE_PRECISION_FLOOR * float(self.values[0]) / smallest if smallest > 0 else 0.0


def _iterate(
    operator: GramOperator,
    start: NDArray[np.float64],
    k: int,
    tol: float,
    dtype: DTypeLike,
    rng: np.random.Generator,
) -> _Found:
    """Extend a space of images until the best k vectors in it are good enough."""
    space = KrylovSpace(start, operator.room, dtype)
    while True:
        width = space.next.shape[1]
        if width == 0:
            space.fill(rng, operator.width)
        elif space.size + width > space.room:
            space.restart(min(k + operator.width, space.room - width))
        space.extend(operator(space.next, dtype), NEGLIGIBLE[np.dtype(dtype)])
        if space.size < k:
            continue
        values, _, sizes = space.ritz(k)
        errors = _relative(values, sizes)
        if errors.max() <= tol or operator.exhausted:
            _, wider, _ = space.ritz(k + operator.width // 4)
            return _Found(values, space.combined(wider), errors)


def _relative(values: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Residuals relative to eigenvalues; where these are nothing, to the largest one."""
    largest = max(values[0], np.finfo(np.float64).tiny)
    relative = sizes / np.maximum(values, ZERO * largest)
    return np.where(sizes <= ZERO * largest, 0.0, relative)


def _warn(operator: GramOperator, errors: NDArray[np.float64], tol: float) -> None:
    late = np.flatnonzero(errors > tol) + 1
    what = f"component {late[0]}" if len(late) == 1 else f"{len(late)} components from {late[0]} on"
    done = f"{operator.products + 1} passes" if operator.reads else f"{operator.products} products"
    warn_user(
        f"PCA stopped after {done} with residuals up to {errors.max():.1e} of the variance, above "
        f"tol={tol:g}, in {what}; components are approximate. Allow more passes (max_passes), "
        "or more memory (lazyomics.memory), so that the rows need not be read again."
    )
