"""Correct batch effects by ComBat."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container.categories import categorise
from lazyomics.container.choose import check_annotated
from lazyomics.kernels.regression import AdjustBatches, design_products
from lazyomics.names import choices
from lazyomics.pp.matrix_choice import assign_matrix, choose_matrix

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["combat"]

CONVERGED = 1e-4
# Below this share of the mean square, a variance is what rounding leaves of a constant gene.
ROUNDING = 1e-13


def combat(
    adata: AnnData,
    key: str = "batch",
    *,
    covariates: Collection[str] | None = None,
    inplace: bool = True,
) -> Any | None:
    """Correct batch effects by linear models whose parameters borrow strength across genes.

    The models are computed now, the corrected values when they are read.

    Parameters
    ----------
    adata
        Annotated data, shape (n_obs, n_vars).
    key
        Column of ``obs`` with the batches.
    covariates
        Other columns of ``obs``, whose effect is to stay: numbers, or categories.
    inplace
        Set X; otherwise return the corrected matrix.

    Returns
    -------
    None: sets X, dense, float64. If not ``inplace``: the lazy corrected matrix.

    Raises
    ------
    ValueError
        If a column does not exist, is named twice or has missing values, or a batch has fewer than
        two cells, or batches follow from covariates.

    Notes
    -----
    Passes over X: 1. In it the sums and sums of squares of each batch, and its products with the
    covariates, are added up in float64; all that ComBat iterates over follows from them. Peak
    memory: the blocks in flight and, for each, genes × batches × (2 + columns of covariates) × 8
    bytes. When the corrected values are read, every block is dense: n_vars × 8 bytes for each
    cell.

    Genes that are 0 everywhere stay 0. A variance of zero ends scanpy's iteration of all genes
    after its first step, and so it does here, because the results would differ otherwise: leave
    such genes out. Categories of covariates make scanpy's design singular, so that it fails; here
    they are fitted.

    References
    ----------
    Johnson, W. E., Li, C. & Rabinovic, A. (2007). Adjusting batch effects in microarray expression
    data using empirical Bayes methods. doi:10.1093/biostatistics/kxj037

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(40, 20)) + np.repeat([0, 5], 20)[:, None]
    >>> obs = pd.DataFrame({"batch": np.repeat(["a", "b"], 20)}, index=[f"c{k}" for k in range(40)])
    >>> adata = lo.AnnData(x, obs=obs)
    >>> lo.pp.combat(adata)
    >>> bool(abs(adata.X[:20].mean() - adata.X[20:].mean()) < 0.1)
    True
    """
    check_annotated(adata, "pp.combat")
    batches, table, free = _design(adata.obs, key, covariates)
    x = choose_matrix(adata)
    codes = batches.codes.astype(np.int32)
    properties = np.hstack([np.ones((len(codes), 1)), table])
    n_groups = len(batches.categories)
    # What each batch's cells have in common, for all genes: products of their properties.
    squares = np.stack([properties[codes == k].T @ properties[codes == k] for k in range(n_groups)])
    gram = _gram(squares)
    if np.linalg.matrix_rank(gram, hermitian=True) < free:
        raise ValueError(
            f"obs[{key!r}] and the covariates {list(covariates or ())} cannot be told apart: one "
            "follows from the others in all cells, so that what is due to a batch is not known. "
            "Leave one out"
        )
    fold = lazy.fold_rows(x, design_products, rows=(codes, properties), n_groups=n_groups)
    (state,) = lazy.compute(fold)
    with np.errstate(divide="ignore", invalid="ignore"):
        model = _Model.fit(state.n, state.products, state.squares, squares, gram)
        gamma, delta = _adjustments(model)
        scale = np.where(model.constant, 0.0, 1 / np.sqrt(delta))
        # A gene without variance becomes what is expected of it.
        shift = np.where(model.constant, 0.0, gamma * model.std / np.sqrt(delta))
    step = AdjustBatches(
        codes,
        scale.T,
        shift.T,
        model.mean,
        table if table.shape[1] else None,
        model.slopes.T if table.shape[1] else None,
    )
    corrected = lazy.map_rows(x, step)
    if not inplace:
        return corrected
    categorise(adata.obs, [key, *(covariates or ())])
    assign_matrix(adata, corrected)
    return None


def _design(
    obs: pd.DataFrame, key: str, covariates: Collection[str] | None
) -> tuple[pd.Categorical, NDArray[np.float64], int]:
    """Batches, every category used, the columns of the covariates, (n, c), and free numbers.

    So many numbers the model has for each gene, unless batches follow from covariates.
    """
    names = list(covariates or ())
    if key not in obs.columns:
        raise ValueError(f"Could not find the key {key!r} in adata.obs; {choices(key, obs)}")
    missing = [name for name in names if name not in obs.columns]
    if missing:
        said = choices(missing, obs)
        raise ValueError(f"Could not find the covariate(s) {missing!r} in adata.obs; {said}")
    if key in names:
        raise ValueError("Batch key and covariates cannot overlap")
    if len(set(names)) < len(names):
        raise ValueError("Covariates must be unique")
    for name in (key, *names):
        if obs[name].isna().any():
            raise ValueError(f"obs[{name!r}] has missing values; leave these cells out")
    batches = pd.Categorical(obs[key]).remove_unused_categories()
    small = [
        batch
        for batch, n in zip(batches.categories, np.bincount(batches.codes), strict=True)
        if n < 2
    ]
    if small:
        raise ValueError(
            f"Batches {small!r} have fewer than 2 cells. ComBat requires at least 2 cells per "
            "batch to estimate within-batch variance. Filter these batches before running combat."
        )
    parts = [np.empty((len(obs), 0))]
    free = len(batches.categories)
    for name in names:
        column = obs[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values = column.to_numpy(dtype=np.float64)[:, None]
            # About its mean and in units of its size, so that sums of squares keep their digits;
            # what is expected of a cell stays the same.
            values = values - values.mean()
            parts.append(values / (np.abs(values).max() or 1.0))
            free += 1
        else:
            groups = pd.Categorical(column).remove_unused_categories()
            free += len(groups.categories) - 1
            parts.append((groups.codes[:, None] == np.arange(len(groups.categories))) * 1.0)
    return batches, np.hstack(parts), free


def _gram(properties: NDArray[np.float64]) -> NDArray[np.float64]:
    """Products of the columns of the design: one for each batch, then those of the covariates.

    ``properties`` are those of the cells' properties in each batch, shape (g, m, m), the first of
    which is 1.
    """
    g, m, _ = properties.shape
    gram = np.zeros((g + m - 1, g + m - 1))
    gram[:g, :g] = np.diag(properties[:, 0, 0])
    gram[:g, g:] = properties[:, 0, 1:]
    gram[g:, :g] = gram[:g, g:].T
    gram[g:, g:] = properties[:, 1:, 1:].sum(axis=0)
    return gram


@dataclass(frozen=True, eq=False)
class _Model:
    """Linear model of each of p genes, and moments of the standardised values of g batches.

    Attributes
    ----------
    n
        Cells of each batch, shape (g, 1).
    mean
        What is expected of a cell without covariates, shape (p,).
    slopes
        Of the covariates, shape (c, p).
    std
        Pooled standard deviation, shape (p,).
    constant
        Whether it is zero, shape (p,).
    sums, squares
        Of the standardised values of each batch, shape (g, p).
    """

    n: NDArray[np.float64]
    mean: NDArray[np.float64]
    slopes: NDArray[np.float64]
    std: NDArray[np.float64]
    constant: NDArray[np.bool_]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        cells: NDArray[np.int64],
        products: NDArray[np.float64],
        squares: NDArray[np.float64],
        properties: NDArray[np.float64],
        gram: NDArray[np.float64],
    ) -> _Model:
        """Fit all genes.

        Parameters
        ----------
        cells, products, squares
            As in ``DesignProducts``.
        properties
            Products of the cells' properties with each other in each batch, shape (g, m, m).
        gram
            The same of the columns of the design, as `_gram` makes it of them.
        """
        n = cells.astype(np.float64)[:, None]
        g, m, p = products.shape
        right = np.concatenate([products[:, 0], products[:, 1:].sum(axis=0)])
        # Categories of batches and of covariates both add up to 1: of all solutions, that is the
        # shortest, and what is expected of a cell is the same in all.
        unit = 1 / np.sqrt(np.where(np.diag(gram) > 0, np.diag(gram), 1.0))
        inverse_gram = np.linalg.pinv(gram * np.outer(unit, unit), rcond=1e-12, hermitian=True)
        found = unit[:, None] * (inverse_gram @ (unit[:, None] * right))
        of_batch, slopes = found[:g], found[g:]
        # Sum of squares about the fit of each batch: each cell's fit is properties @ fitted.
        fitted = np.concatenate([of_batch[:, None], np.broadcast_to(slopes, (g, m - 1, p))], axis=1)
        residual = _about(squares, products, properties, fitted).sum(axis=0)
        variance = residual / n.sum()
        constant = variance <= ROUNDING * squares.sum(axis=0) / n.sum()
        mean = (n * of_batch).sum(axis=0) / n.sum()
        std = np.where(constant, 0.0, np.sqrt(np.maximum(variance, 0)))
        expected = np.concatenate([np.broadcast_to(mean, (g, 1, p)), fitted[:, 1:]], axis=1)
        inverse = np.divide(1, std, where=~constant, out=np.zeros(p))
        sums = products[:, 0] - np.einsum("gm,gmp->gp", properties[:, 0], expected)
        about = _about(squares, products, properties, expected)
        return cls(n, mean, slopes, std, constant, sums * inverse, about * inverse**2)


def _about(
    squares: NDArray[np.float64],
    products: NDArray[np.float64],
    properties: NDArray[np.float64],
    expected: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum of the squared differences of each batch from what is expected, shape (g, p)."""
    joint = np.einsum("gmp,gmp->gp", products, expected)
    own = np.einsum("gmp,gmk,gkp->gp", expected, properties, expected, optimize=True)
    return np.asarray(squares - 2 * joint + own)


def _adjustments(model: _Model) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shift and variance of each gene in each batch, by empirical Bayes; shape (g, p) both."""
    gamma_hat = model.sums / model.n
    delta_hat = (model.squares - model.n * gamma_hat**2) / (model.n - 1)
    delta_hat = np.where(model.constant, 0.0, delta_hat)
    found = [_batch(model, k, gamma_hat[k], delta_hat[k]) for k in range(len(gamma_hat))]
    return np.stack([gamma for gamma, _ in found]), np.stack([delta for _, delta in found])


def _batch(
    model: _Model, k: int, gamma_hat: NDArray[np.float64], delta_hat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n, sums, squares = float(model.n[k, 0]), model.sums[k], model.squares[k]
    at, spread = gamma_hat.mean(), gamma_hat.var()
    # The prior of the variances is an inverse gamma distribution of their mean and variance,
    # which is taken as by pandas, with one less in the denominator.
    middle, width = delta_hat.mean(), delta_hat.var(ddof=1)
    shape = (2 * width + middle**2) / width
    rate = (middle * width + middle**3) / width
    gamma, delta = gamma_hat, delta_hat
    change = 1.0
    while change > CONVERGED:
        new = (spread * n * gamma_hat + delta * at) / (spread * n + delta)
        about = squares - 2 * new * sums + n * new**2
        variance = (0.5 * about + rate) / (n / 2 + shape - 1)
        # Python's max of NaN ends the loop, of which scanpy's results with constant genes are made.
        moved = (np.abs(new - gamma) / gamma).max(), (np.abs(variance - delta) / delta).max()
        change = max(float(moved[0]), float(moved[1]))
        gamma, delta = new, variance
    return gamma, delta
