"""Leading components of many genes, by block Lanczos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import config, lazy
from lazyomics.errors import warn_user
from lazyomics.kernels.blas import one_blas_thread
from lazyomics.kernels.gram import KeptRows
from lazyomics.kernels.product import GramProduct, gram_product
from lazyomics.pp.components import Components
from lazyomics.pp.filter import row_cache_budget

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from lazyomics.pp.matrix_choice import RowBlocks

__all__ = [
    "MOST_PASSES",
    "GramOperator",
    "KrylovSpace",
    "inner",
    "krylov_components",
    "orthonormal",
    "subtract_product",
    "times_in_place",
]


BAND = 4096  # rows: a band of single precision is widened while it is in the cache
ILL_CONDITIONED = 1e-5


def inner(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """``a.T @ b``, summed in float64 in an order that does not depend on the threads."""
    if not a.shape[1] or not b.shape[1]:
        return np.zeros((a.shape[1], b.shape[1]))
    parts = _each_band(len(a), lambda band: _wide(a[band]).T @ _wide(b[band]))
    return np.asarray(sum(parts[1:], start=parts[0]))


def subtract_product(out: NDArray[Any], a: NDArray[Any], b: NDArray[np.float64]) -> None:
    """``out -= a @ b`` in place."""

    def one(band: slice) -> None:
        out[band] -= _wide(a[band]) @ b

    _each_band(len(out), one)


def times_in_place(out: NDArray[Any], right: NDArray[np.float64]) -> None:
    """Replace the first columns of ``out`` by ``out[:, :m] @ right``, m the rows of ``right``."""

    def one(band: slice) -> None:
        out[band, : right.shape[1]] = _wide(out[band, : len(right)]) @ right

    _each_band(len(out), one)


def orthonormal(
    block: NDArray[np.float64], negligible: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Orthonormal columns F and a matrix R with ``F @ R = block``.

    Directions of the block shorter than ``negligible`` are dropped. Cholesky factors of the inner
    products, taken twice, are as good as Householder's reflections unless the block is close to
    dependent; then these do it, with pivots.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.pp.krylov import orthonormal
    >>> f, r = orthonormal(np.array([[3.0, 6.0], [4.0, 8.0]]), 1e-9)
    >>> f.shape, np.allclose(f @ r, [[3, 6], [4, 8]])
    ((2, 1), True)
    """
    factors = np.eye(block.shape[1])
    out = block.copy()
    for _ in range(2):
        products = inner(out, out)
        sizes = np.sqrt(np.diag(products))
        if not sizes.size or sizes.min() <= negligible:
            return _pivoted(block, negligible)
        try:
            lower = np.linalg.cholesky(products / np.outer(sizes, sizes))
        except np.linalg.LinAlgError:
            return _pivoted(block, negligible)
        if np.diag(lower).min() < ILL_CONDITIONED:
            return _pivoted(block, negligible)
        upper = lower.T * sizes
        times_in_place(out, np.linalg.inv(upper))
        factors = upper @ factors
    return out, factors


def _pivoted(
    block: NDArray[np.float64], negligible: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy.linalg import qr

    if not block.shape[1]:
        return block, np.zeros((0, 0))
    columns, factors, order = qr(block, mode="economic", pivoting=True)
    used = np.abs(np.diag(factors)) > negligible
    sorted_back = np.empty_like(factors)
    sorted_back[:, order] = factors
    return np.ascontiguousarray(columns[:, used]), sorted_back[used]


def _wide(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.astype(np.float64, copy=False)


def _each_band(n: int, work: Callable[[slice], Any]) -> list[Any]:
    bands = [slice(start, start + BAND) for start in range(0, n, BAND)]

    def one(band: slice) -> Any:
        with one_blas_thread():
            return work(band)

    if len(bands) == 1:
        return [one(bands[0])]
    with ThreadPoolExecutor(lazy.threads()) as pool:
        return list(pool.map(one, bands))


class KrylovSpace:
    """Block Lanczos with thick restarts for a symmetric operator A of size p.

    Holds vectors Q (p, m), a next block F (p, b) orthogonal to them, and small T and C so that
    ``A @ Q = Q @ T + F @ C``: images need not be stored, and the residual of what Q approximates
    is known from C.

    Parameters
    ----------
    start
        Any vectors, float64, shape (p, b).
    room
        Most columns of Q.
    dtype
        To store Q in; products with it are taken in float64.
    """

    def __init__(self, start: NDArray[np.float64], room: int, dtype: DTypeLike) -> None:
        p = len(start)
        self.room = min(room, p)
        self.stored: NDArray[Any] = np.zeros((p, self.room), dtype=dtype)
        self.within = np.zeros((0, 0))
        self.scale = 0.0  # largest eigenvalue seen
        longest = float(np.linalg.norm(start, axis=0).max(initial=0.0))
        self.next, _ = orthonormal(start, 1e-12 * longest)
        self.coupling = np.zeros((self.next.shape[1], 0))

    @property
    def size(self) -> int:
        """Columns of Q."""
        return len(self.within)

    @property
    def vectors(self) -> NDArray[Any]:
        """Q."""
        return self.stored[:, : self.size]

    def fill(self, rng: np.random.Generator, width: int) -> None:
        """Go on at random, where the images led nowhere new."""
        width = min(width, self.room - self.size)
        block = rng.standard_normal((len(self.stored), width))
        self._project_out(block, self.vectors)
        self.next, _ = orthonormal(block, 0.0)
        self.coupling = np.zeros((self.next.shape[1], self.size))

    def extend(self, image: NDArray[np.float64], negligible: float) -> None:
        """Take in the next block, given its image (which is overwritten), and make a new one.

        Directions shorter than ``negligible`` times the largest eigenvalue are dropped.
        """
        m, b = self.size, self.next.shape[1]
        self.stored[:, m : m + b] = self.next
        q = self.stored[:, : m + b]
        along = inner(q, image)
        within = np.zeros((m + b, m + b))
        within[:m, :m] = self.within
        within[m:, :m], within[:m, m:] = self.coupling, self.coupling.T
        within[m:, m:] = (along[m:] + along[m:].T) / 2
        self.within = within
        self.scale = max(self.scale, float(np.abs(np.diag(within)).max(initial=0.0)))
        subtract_product(image, q, along)
        subtract_product(image, q, inner(q, image))  # twice is enough to be orthogonal
        block, factors = orthonormal(image, negligible * self.scale)
        if block.shape[1] < b:  # of a block close to dependent, rounding was magnified
            self._project_out(block, q)
            block = orthonormal(block, 0.5)[0] if block.shape[1] else block
            factors = inner(block, image)
        self.next = block
        self.coupling = np.zeros((block.shape[1], m + b))
        self.coupling[:, m:] = factors

    def ritz(self, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Best k eigenvalues (descending), their vectors in terms of Q, sizes of the residuals."""
        with one_blas_thread():
            values, turn = np.linalg.eigh(self.within)
            values, turn = values[::-1][:k], turn[:, ::-1][:, :k]
            return values, turn, np.linalg.norm(self.coupling @ turn, axis=0)

    def combined(self, turn: NDArray[np.float64]) -> NDArray[np.float64]:
        """``Q @ turn`` in float64."""
        out = np.zeros((len(self.stored), turn.shape[1]))
        subtract_product(out, self.vectors, -turn)
        return out

    def restart(self, keep: int) -> None:
        """Keep the best directions only."""
        values, turn, _ = self.ritz(keep)
        times_in_place(self.stored, np.ascontiguousarray(turn))
        self.within, self.coupling = np.diag(values), self.coupling @ turn

    @staticmethod
    def _project_out(block: NDArray[np.float64], q: NDArray[Any]) -> None:
        for _ in range(2):
            subtract_product(block, q, inner(q, block))


# In memory narrow blocks take the fewest operations; where each product is a pass over a file,
# wide ones take the fewest passes.
WIDTH_IN_MEMORY = 32
WIDTH_BY_PASSES = 64
PRODUCTS_IN_MEMORY = 500
KEPT_AT_ONCE = 16  # blocks whose products are summed in the precision of the vectors


class GramOperator:
    """Multiply by the (implicitly centred) Gram matrix of x.

    The first pass keeps as many of the leading rows as fit the memory budget, so that each product
    reads the others only.

    Parameters
    ----------
    x
        Matrix of row blocks, shape (n, p).
    k
        Number of components that are wanted.
    zero_center
        Whether to subtract the mean of each column.
    max_passes
        Over rows that are not kept, the first one and one for coordinates included.
    """

    def __init__(self, x: RowBlocks, k: int, *, zero_center: bool, max_passes: int) -> None:
        self.x, self.zero_center = x, zero_center
        self.products = 0
        self.kept: tuple[Any, ...] = ()
        self.rest: RowBlocks | None = x
        narrow = WIDTH_IN_MEMORY if k > WIDTH_IN_MEMORY // 2 else WIDTH_IN_MEMORY // 2
        self._plan(k, narrow, max(256, 4 * k + 6 * narrow))
        self.allowances, whole = row_cache_budget(x, self._left())
        self.reads = not (whole or lazy.memory_source(x))
        self.most_products = max_passes - 2 if self.reads else PRODUCTS_IN_MEMORY
        if self.reads:
            wide = max(WIDTH_BY_PASSES, -(-5 * k // 2 // 16) * 16)
            self._plan(k, min(wide, self._affordable(k)), wide * self.most_products)
            self.allowances, _ = row_cache_budget(x, self._left())

    @property
    def exhausted(self) -> bool:
        """Whether no further product is allowed."""
        return self.products >= self.most_products

    def start(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Keep rows, sum columns, and return the product with vectors in single precision."""
        (state,) = lazy.compute(
            lazy.fold_runs(
                self.x,
                gram_product,
                rows=(self.allowances,),
                vectors=vectors.astype(np.float32),
                first=True,
            )
        )
        if not np.isfinite(state.squares):
            raise ValueError("PCA needs finite values, but the data contains NaN or infinity.")
        self.kept = tuple(takewhile(lambda rows: rows is not None, state.kept))
        n_kept = sum(rows.shape[0] for rows in self.kept)
        self.rest = self.x[n_kept:] if n_kept < self.x.shape[0] else None
        self.n, self.squares, self.sums = state.n, state.squares, state.sums
        self.mean = state.sums / max(state.n, 1)
        image = self._centred(state.product, state.totals)
        return image if np.isfinite(image).all() else vectors

    def __call__(self, block: NDArray[np.float64], dtype: DTypeLike) -> NDArray[np.float64]:
        """Product with a block, shape (p, b), taken in float32 or float64."""
        self.products += 1
        offset = self.mean @ block if self.zero_center else None
        options: dict[str, Any] = {"vectors": block.astype(dtype), "offset": offset}
        product, totals = np.zeros(block.shape), np.zeros(block.shape[1])
        for state in self._states(options):
            product += state.product
            totals += state.totals
        return self._centred(product, totals)

    def components(self, axes: NDArray[np.float64], values: NDArray[np.float64]) -> Components:
        """Components of the whole, given eigenvectors and eigenvalues."""
        n, mean = self.n, self.mean
        total = max(self.squares - float(self.sums @ mean), np.finfo(np.float64).tiny)
        values = np.maximum(values, 0)
        kept = KeptRows(self.kept) if self.kept else None
        if self.zero_center:
            return Components(axes, values / max(n - 1, 1), values / total, mean, kept)
        spread = np.maximum(values - n * np.square(mean @ axes), 0)
        return Components(axes, spread / max(n, 1), spread / total, None, kept)

    def _states(self, options: dict[str, Any]) -> Iterator[GramProduct]:
        """Products over groups of kept rows in order, then over the others."""
        length = min(KEPT_AT_ONCE, -(-len(self.kept) // KEPT_AT_ONCE))
        groups = [self.kept[a : a + length] for a in range(0, len(self.kept), max(1, length))]
        with ThreadPoolExecutor(lazy.threads()) as pool:
            yield from pool.map(
                lambda group: gram_product(((rows,) for rows in group), **options), groups
            )
        if self.rest is not None:
            yield lazy.compute(lazy.fold_runs(self.rest, gram_product, **options))[0]

    def _centred(self, product: NDArray[Any], totals: NDArray[np.float64]) -> NDArray[np.float64]:
        wide = np.asarray(product, dtype=np.float64)
        return wide - np.outer(self.mean, totals) if self.zero_center else wide

    def _plan(self, k: int, width: int, room: int) -> None:
        """Width of blocks, and columns of the basis: at most a quarter of the memory."""
        n, p = self.x.shape
        self.width = min(width, n, p)
        least = k + 3 * self.width
        self.room = max(least, min(room, config.memory() // 4 // (4 * p)))

    def _state_bytes(self) -> int:
        """Of one column, in all the states that may exist at a time."""
        return (2 * lazy.threads() + 4) * self.x.shape[1] * 4

    def _affordable(self, k: int) -> int:
        return max(k + 14, config.memory() // 4 // max(1, self._state_bytes()))

    def _left(self) -> int:
        """Bytes that basis and states leave of the budget."""
        used = self.x.shape[1] * 4 * (self.room + 6 * self.width)
        return max(0, config.memory() - used - self.width * self._state_bytes())


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
