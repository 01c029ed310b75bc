"""Principal components of many genes by block Krylov iteration, without a p x p matrix."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from lazyomics import graph
from lazyomics.kernels.blas import one_blas_thread
from lazyomics.kernels.gram_product import GramProduct, gram_product
from lazyomics.pp.matrix_choice import RowBlocks
from lazyomics.pp.pca_components import Components, each_kept, keep_budget

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.kernels.kept_rows import KeptRows

__all__ = ["PASSES", "krylov_components"]

PASSES = 12  # at most, over a matrix that cannot be kept
PRODUCTS_IN_MEMORY = 150  # at most, over one that was
TOLERANCE_BY_PASSES = 1e-3  # residual / eigenvalue at which to stop
TOLERANCE_IN_MEMORY = 1e-6
BLOCKS_BEFORE_RESTART = 8
NEGLIGIBLE = 1e-12


def krylov_components(x: RowBlocks, k: int, *, zero_center: bool, seed: int) -> Components:
    """First k components by repeated products with the (implicitly centred) Gram matrix.

    The basis grows by the residuals of the current axes; Rayleigh-Ritz on all of it gives the
    next ones. If the rows fit the memory budget, the first pass keeps them and the iteration runs
    in memory until it is exact for practical purposes; otherwise each step is a pass over the
    matrix and ends when residuals are below 0.1 % of the eigenvalues.

    Parameters
    ----------
    x
        Matrix of row blocks, shape (n, p).
    k
        Number of components.
    zero_center
        PCA if True, truncated SVD if False.
    seed
        Of the random start.

    Warns
    -----
    UserWarning
        If the passes did not suffice.

    References
    ----------
    Musco, C. & Musco, C. (2015). Randomized block Krylov methods for stronger and faster
    approximate singular value decomposition. doi:10.48550/arXiv.1504.05477
    """
    n, p = x.shape
    width = min(k + max(14, k // 4), n, p)
    operator = _Operator(x, zero_center)
    basis = _Basis.empty(p)
    with one_blas_thread():
        block, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((p, width)))
        while block.shape[1]:
            basis = basis.extended(block, operator(block))
            values, axes, residual = basis.ritz(width)
            error = _relative_error(values[:k], residual[:, :k])
            if error <= operator.tolerance:
                break
            if operator.products >= operator.most_products:
                _warn(operator.products, error)
                break
            if basis.size + width > BLOCKS_BEFORE_RESTART * width:
                basis = basis.restarted(width)
            block = basis.new_directions(residual, values[0])
    return operator.components(axes[:, :k], values[:k]).with_fixed_signs()


def _relative_error(values: NDArray[np.float64], residual: NDArray[np.float64]) -> float:
    """Largest residual relative to its eigenvalue; where that is nothing, to the largest one."""
    largest = max(values[0], np.finfo(np.float64).tiny)
    sizes = np.linalg.norm(residual, axis=0)
    relative = sizes / np.maximum(values, NEGLIGIBLE * largest)
    return float(np.max(np.where(sizes <= NEGLIGIBLE * largest, 0.0, relative)))


def _warn(products: int, error: float) -> None:
    warnings.warn(
        f"PCA stopped after {products} products with residuals up to {error:.1e} of the "
        "variance; the last components are approximate. With more memory "
        "(lazyomics.memory) the iteration could go on without reading the file.",
        UserWarning,
        stacklevel=5,
    )


class _Operator:
    """The Gram matrix as something to multiply by: a pass over x, or over the kept rows."""

    def __init__(self, x: RowBlocks, zero_center: bool) -> None:
        self.x = x
        self.zero_center = zero_center
        self.products = 0
        self.kept: KeptRows | None = None
        self.state: GramProduct

    @property
    def tolerance(self) -> float:
        return TOLERANCE_BY_PASSES if self.kept is None else TOLERANCE_IN_MEMORY

    @property
    def most_products(self) -> int:
        return PASSES if self.kept is None else PRODUCTS_IN_MEMORY

    def __call__(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        self.state = self._product(vectors)
        self.products += 1
        mean = self.state.sums / max(self.state.n, 1)
        if not self.zero_center:
            return self.state.product
        return self.state.product - np.outer(self.state.sums, mean @ vectors)

    def _product(self, vectors: NDArray[np.float64]) -> GramProduct:
        kernel = partial(gram_product, vectors=vectors)
        if self.kept is not None:
            return reduce(add, each_kept(self.kept, kernel))
        keep = keep_budget(self.x, 4 * BLOCKS_BEFORE_RESTART * vectors.nbytes)
        keep = keep if self.products == 0 else 0.0
        fold = graph.fold_rows(self.x, gram_product, vectors=vectors, keep_bytes_per_row=keep)
        (state,) = graph.compute(fold)
        if not np.isfinite(state.squares):
            raise ValueError("PCA needs finite values, but the data contains NaN or infinity.")
        self.kept = state.kept
        return GramProduct(state.n, state.sums, state.squares, state.product)

    def components(self, axes: NDArray[np.float64], values: NDArray[np.float64]) -> Components:
        n, sums = self.state.n, self.state.sums
        mean = sums / max(n, 1)
        total = max(self.state.squares - float(sums @ mean), np.finfo(np.float64).tiny)
        values = np.maximum(values, 0)
        if self.zero_center:
            return Components(axes, values / max(n - 1, 1), values / total, mean, self.kept)
        spread = np.maximum(values - n * np.square(mean @ axes), 0)
        return Components(axes, spread / max(n, 1), spread / total, None, self.kept)


@dataclass(frozen=True, eq=False)
class _Basis:
    """Orthonormal vectors, shape (p, m), their images, and the Gram matrix seen within them."""

    vectors: NDArray[np.float64]
    images: NDArray[np.float64]
    within: NDArray[np.float64]

    @classmethod
    def empty(cls, p: int) -> _Basis:
        return cls(np.zeros((p, 0)), np.zeros((p, 0)), np.zeros((0, 0)))

    @property
    def size(self) -> int:
        return self.vectors.shape[1]

    def extended(self, block: NDArray[np.float64], image: NDArray[np.float64]) -> _Basis:
        vectors, images = np.hstack([self.vectors, block]), np.hstack([self.images, image])
        within = np.zeros((vectors.shape[1],) * 2)
        within[: self.size, : self.size] = self.within
        within[:, self.size :] = vectors.T @ image
        within[self.size :, : self.size] = within[: self.size, self.size :].T
        return _Basis(vectors, images, within)

    def ritz(self, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Best k eigenvalues (descending) and vectors within the basis, and the residuals."""
        values, turn = np.linalg.eigh((self.within + self.within.T) / 2)
        values, turn = values[::-1][:k], turn[:, ::-1][:, :k]
        axes = self.vectors @ turn
        return values, axes, self.images @ turn - axes * values

    def restarted(self, k: int) -> _Basis:
        """Only the best k directions, so that memory stays bounded."""
        _, turn = np.linalg.eigh((self.within + self.within.T) / 2)
        turn = turn[:, ::-1][:, : 2 * k]
        return _Basis(self.vectors @ turn, self.images @ turn, turn.T @ self.within @ turn)

    def new_directions(self, residual: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
        """Orthonormal part of the residuals outside the basis; negligible ones are dropped."""
        from scipy.linalg import qr

        for _ in range(2):  # twice is enough to be orthogonal to rounding
            residual = residual - self.vectors @ (self.vectors.T @ residual)
        block, sizes, _ = qr(residual, mode="economic", pivoting=True)
        used = np.abs(np.diag(sizes)) > NEGLIGIBLE * max(scale, 1e-300)
        block = block[:, used]
        block = block - self.vectors @ (self.vectors.T @ block)
        return np.asarray(np.linalg.qr(block)[0])
