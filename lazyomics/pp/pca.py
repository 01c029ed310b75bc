"""Principal components, out-of-core."""

from __future__ import annotations

import warnings
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import config, lazy, logging
from lazyomics.container.choose import bare_matrix, is_annotated
from lazyomics.errors import warn_user
from lazyomics.kernels.blas import one_blas_thread
from lazyomics.kernels.gram import Scatter, scatter_of_run
from lazyomics.lazy import low_rank
from lazyomics.options import settings
from lazyomics.pp.components import Components, coordinates, keep_budget, largest_eigenpairs
from lazyomics.pp.krylov import krylov_components
from lazyomics.pp.matrix_choice import RowBlocks, boolean_mask, checked_mask, choose_matrix

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from lazyomics.container import AnnData
    from lazyomics.lazy.low_rank import SparsePlusLowRank

__all__ = [
    "GENES_FOR_EXACT",
    "DefaultMask",
    "chosen_genes",
    "exact_components",
    "exact_fits",
    "pca",
]


GENES_FOR_EXACT = 6000
RUNS = 32  # to finish and merge a matrix takes as long as to add a block of rows to it


def exact_bytes(n_vars: int) -> int:
    """Memory of the scatter matrices: packed float64 and a product in flight for each thread."""
    return (lazy.threads() + 2) * n_vars**2 * 8


def exact_fits(n_vars: int) -> bool:
    """Whether the exact way is the better one for so many genes."""
    return n_vars <= GENES_FOR_EXACT and (n_vars <= 1000 or exact_bytes(n_vars) <= config.memory())


def exact_components(x: RowBlocks, k: int, *, zero_center: bool) -> Components:
    """First k components from one pass, in float64.

    Parameters
    ----------
    x
        Matrix of row blocks, shape (n, p).
    k
        Number of components.
    zero_center
        PCA if True, truncated SVD if False.
    """
    parts = low_rank.apart(x)
    found = None if parts is None else _of_sum(parts, k, zero_center=zero_center)
    if found is None:
        state = _scatter(x)
        found = _from_scatter(state.matrix(), state.mean, state, k, zero_center=zero_center)
    return found.with_fixed_signs()


def _scatter(x: RowBlocks) -> Scatter:
    keep = keep_budget(x, exact_bytes(x.shape[1]))
    (state,) = lazy.compute(lazy.fold_runs(x, scatter_of_run, runs=RUNS, keep_bytes_per_row=keep))
    if not np.isfinite(state.packed).all():
        raise ValueError("PCA needs finite values, but the data contains NaN or infinity.")
    return state


# Products of single precision round off about 1e-8 of what is added up.
LARGEST_CANCELLATION = 1e3


def _of_sum(parts: SparsePlusLowRank, k: int, *, zero_center: bool) -> Components | None:
    """Components of a matrix that is sparse values plus a product; None if these cancel out."""
    state = _scatter(parts.matrix)
    products, mean = state.matrix(), parts.mean(state.mean)
    raw = np.diag(products) + state.n * np.square(state.mean)
    matrix = parts.products(products)
    if parts.sizes(raw).max(initial=0) > LARGEST_CANCELLATION * np.diag(matrix).max(initial=0):
        return None
    found = _from_scatter(matrix, mean, state, k, zero_center=zero_center)
    return replace(found, parts=parts)


def _from_scatter(
    matrix: NDArray[np.float64],
    mean: NDArray[np.float64],
    state: Scatter,
    k: int,
    *,
    zero_center: bool,
) -> Components:
    total = max(float(np.trace(matrix)), np.finfo(np.float64).tiny)
    if zero_center:
        values, axes = largest_eigenpairs(matrix, k)
        values = np.maximum(values, 0)
        return Components(axes, values / max(state.n - 1, 1), values / total, mean, state.kept)
    _, axes = largest_eigenpairs(matrix + state.n * np.outer(mean, mean), k)
    # as scikit-learn's TruncatedSVD: variances of the coordinates, which have a mean
    spread = np.maximum(np.einsum("pk,pk->k", axes, matrix @ axes), 0)
    return Components(axes, spread / max(state.n, 1), spread / total, None, state.kept)


EXACT_SOLVERS = ("covariance_eigh", "full", "tsqr")
SOLVERS = (None, "auto", "arpack", "randomized", *EXACT_SOLVERS)


class DefaultMask(Enum):
    """Stands for: ``var["highly_variable"]`` if it exists."""

    HIGHLY_VARIABLE = "highly_variable"


def pca(
    data: AnnData | Any,
    n_comps: int | None = None,
    *,
    layer: str | None = None,
    obsm: str | None = None,
    zero_center: bool = True,
    svd_solver: str | None = None,
    chunked: bool = False,
    chunk_size: int | None = None,
    random_state: Any = 0,
    tol: float | None = None,
    max_passes: int | None = None,
    return_info: bool = False,
    mask_var: NDArray[np.bool_] | str | DefaultMask | None = DefaultMask.HIGHLY_VARIABLE,
    use_highly_variable: bool | None = None,
    dtype: DTypeLike = "float32",
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | NDArray[Any] | tuple[NDArray[Any], ...] | None:
    """Principal component analysis, eagerly and out of core.

    Up to 6,000 genes: exact, from the scatter matrix of the genes, added up in float64. More
    genes: block Lanczos iteration with implicit centring, in memory if the selected genes fit the
    memory budget, otherwise by passes over the file (see Notes for accuracy). The entry of largest
    size of each axis is made positive, as in scikit-learn, so that coordinates agree with scanpy's
    in sign.

    Parameters
    ----------
    data
        Annotated data, shape (n_obs, n_vars); or a numpy, scipy or dask matrix.
    n_comps
        Number of components; by default 50, or the smaller dimension minus 1 if that is not more
        than 50.
    layer
        Layer to use instead of X.
    obsm
        Array of ``obsm`` to use instead of X.
    zero_center
        PCA if True, truncated SVD if False.
    svd_solver
        ``"covariance_eigh"`` and ``"full"`` are always exact, ``"randomized"`` always iterates;
        None, ``"auto"`` and ``"arpack"`` choose by the number of genes.
    chunked, chunk_size
        Accepted for compatibility: every solver works in blocks.
    random_state
        Seed of the iteration's start. The same seed gives the same result.
    tol
        For the iteration: residual of an axis, relative to its variance, at which to stop; by
        default 1e-5 in memory, 1e-3 by passes. Below 1e-6 products are taken in float64.
    max_passes
        For the iteration: how often the file may be read, at least 3, by default 10. What fits
        the memory budget is read once.
    return_info
        For a matrix: also return axes, variance ratio and variance.
    mask_var
        Genes to use: boolean array of shape (n_vars,) or column of ``var``; by default
        ``var["highly_variable"]`` if it exists. None for all genes.
    use_highly_variable
        Deprecated: use ``mask_var``.
    dtype
        Of the coordinates.
    key_added
        Name of the results in ``obsm``, ``varm`` and ``uns``.
    copy
        Return a changed copy and leave ``data`` as it is.

    Returns
    -------
    None, or the copy. Sets ``obsm["X_pca"]`` (shape (n_obs, n_comps)), ``varm["PCs"]`` (shape
    (n_vars, n_comps), zero for genes not used) and ``uns["pca"]`` with ``"variance"`` and
    ``"variance_ratio"`` (shape (n_comps,)) and ``"params"``; with ``obsm`` the axes are
    ``uns["pca"]["components"]``. For a matrix: the coordinates.

    Raises
    ------
    ValueError
        If ``n_comps`` is not below both dimensions, no gene is chosen, or values are not finite.
    TypeError
        If ``data`` is neither, or holds no numbers.

    Warns
    -----
    UserWarning
        If the passes did not suffice, how large the residuals are, and of which components.

    Notes
    -----
    Passes over X: 1 if the selected genes fit the memory budget (``lazyomics.memory``; about 6
    bytes a stored float32), otherwise 2 (exact), or up to ``max_passes`` (more than 6,000 genes)
    over the rows that do not fit. Peak memory: the blocks in flight and the results, and for exact
    PCA p² × 8 bytes for each thread (p genes) and the kept rows; for the iteration the budget,
    but at least about 1,500 bytes for each gene and thread (50 components).

    After ``scale``, ``regress_out`` or ``combat`` a sparse matrix from a file is dense, but exact
    PCA does not write it out: it computes with the sparse values, and with the few numbers of each
    cell and gene whose products were subtracted. Kept rows then take no more than sparse ones.

    Accuracy of the iteration: with v an axis and λ its eigenvalue, ‖XᵀX v - λ v‖ ≤ ``tol`` · λ for
    every component. Variances are then right to about ``tol``² times λ over the gap to the next
    eigenvalue, and axes to ``tol`` times λ over the gap: components that stand apart agree with
    an exact PCA to rounding, while those of a flat tail, where noise has nearly equal variance in
    every direction, may turn among themselves. By default that is 25 to 50 products in memory.
    10 passes leave residuals of 0.1 to 0.3 % with real counts and of 3 % in a flat tail; the
    components then hold 99.9 % or more of the variance that exact ones would.

    References
    ----------
    Chan, T. F., Golub, G. H. & LeVeque, R. J. (1983). Algorithms for computing the sample
    variance. doi:10.1080/00031305.1983.10483115

    Zhou, Y. & Saad, Y. (2008). Block Krylov-Schur method for large symmetric eigenvalue problems.
    doi:10.1007/s11075-008-9192-9

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0]]))
    >>> lo.pp.pca(adata, n_comps=1)
    >>> adata.uns["pca"]["variance_ratio"]
    array([1.])
    >>> adata.obsm["X_pca"].shape
    (3, 1)
    """
    options = {
        "zero_center": zero_center,
        "svd_solver": svd_solver,
        "random_state": random_state,
        "tol": tol,
        "max_passes": max_passes,
    }
    if not is_annotated(data):
        x = bare_matrix(data, "pp.pca", layer=layer, obsm=obsm)
        if mask_var is not None and not isinstance(mask_var, DefaultMask):
            x = x[:, np.flatnonzero(checked_mask(mask_var, x.shape[1], "the matrix"))]
        found, scores = _fit(x, n_comps, dtype, **options)
        info = (found.axes.T, found.variance_ratio, found.variance)
        return (scores, *info) if return_info else scores
    mask_name, mask = chosen_genes(data, mask_var, use_highly_variable, obsm)
    adata = data.copy() if copy else data
    x = choose_matrix(adata, layer=layer, obsm=obsm)
    if mask is not None:
        if not mask.any():
            raise ValueError("mask_var selects no gene")
        x = x[:, np.flatnonzero(mask)]
    found, adata.obsm[key_added or "X_pca"] = _fit(x, n_comps, dtype, **options)
    params = {
        "zero_center": zero_center,
        "use_highly_variable": isinstance(mask_name, str) and mask_name == "highly_variable",
        "mask_var": mask_name,
    }
    params |= {name: v for name, v in (("layer", layer), ("obsm", obsm)) if v is not None}
    _write(adata, found, params, mask, key_added, x.dtype)
    return adata if copy else None


def chosen_genes(
    adata: AnnData, mask_var: Any, use_highly_variable: bool | None, obsm: str | None = None
) -> tuple[Any, NDArray[np.bool_] | None]:
    """Return the mask of the genes to use as it was named, and as an array; None for all genes.

    Parameters
    ----------
    adata
        Annotated data, shape (n_obs, n_vars).
    mask_var, use_highly_variable, obsm
        As in ``pca``.

    Raises
    ------
    ValueError
        If they exclude each other, or the mask is none.
    """
    default = isinstance(mask_var, DefaultMask)
    if obsm is not None:
        if not default and mask_var is not None:
            raise ValueError("Argument `mask_var` is incompatible with `obsm`.")
        return None, None
    if use_highly_variable is not None:
        hint = 'Pass mask_var="highly_variable" for True, mask_var=None for False.'
        warn_user(f"Argument `use_highly_variable` is deprecated. {hint}", FutureWarning)
        if not default:
            raise ValueError(f"mask_var and use_highly_variable exclude each other. {hint}")
        mask_var = "highly_variable" if use_highly_variable else None
    elif default:
        mask_var = "highly_variable" if "highly_variable" in adata.var.columns else None
    return mask_var, None if mask_var is None else boolean_mask(adata, mask_var, "var")


def _fit(
    x: RowBlocks, n_comps: int | None, dtype: DTypeLike, **options: Any
) -> tuple[Components, NDArray[Any]]:
    begun = logging.info("computing PCA")
    with one_blas_thread():
        found = _components(x, n_comps, **options)
        scores = coordinates(x, found, dtype)
    logging.info("    finished", time=begun)
    return found, scores


def _components(
    x: RowBlocks,
    n_comps: int | None,
    *,
    zero_center: bool,
    svd_solver: Any,
    random_state: Any,
    **limits: Any,
) -> Components:
    smaller = min(x.shape)
    if n_comps is None:
        n_comps = min(settings.N_PCS, smaller - 1)
    logging.info(f"    with {n_comps=}")
    if svd_solver not in SOLVERS:
        warnings.warn(
            f"Ignoring {svd_solver=}; choose one of {SOLVERS}.", UserWarning, stacklevel=4
        )
        svd_solver = None
    most = smaller if svd_solver in EXACT_SOLVERS else smaller - 1
    if not 1 <= n_comps <= most:
        raise ValueError(
            f"n_comps={n_comps} must be at least 1 and at most {most} for a matrix of "
            f"{x.shape[0]} cells and {x.shape[1]} genes with {svd_solver=}"
        )
    exact = svd_solver in EXACT_SOLVERS or exact_fits(x.shape[1])
    if svd_solver == "randomized" and 4 * n_comps <= x.shape[1]:
        exact = False
    if exact:
        return exact_components(x, n_comps, zero_center=zero_center)
    seed = _seed(random_state)
    return krylov_components(x, n_comps, zero_center=zero_center, seed=seed, **limits)


def _seed(random_state: Any) -> int:
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(random_state.randint(np.iinfo(np.int32).max))


def _write(
    adata: AnnData,
    found: Components,
    params: dict[str, Any],
    mask: NDArray[np.bool_] | None,
    key_added: str | None,
    dtype: np.dtype[Any],
) -> None:
    info: dict[str, Any] = {
        "params": params,
        "variance": found.variance,
        "variance_ratio": found.variance_ratio,
    }
    if "obsm" in params:
        info["components"] = found.axes
    elif mask is not None:
        loadings = np.zeros((adata.n_vars, found.axes.shape[1]))
        loadings[mask] = found.axes
        adata.varm[key_added or "PCs"] = loadings
    else:
        floating = dtype if np.issubdtype(dtype, np.floating) else np.dtype(np.float64)
        adata.varm[key_added or "PCs"] = found.axes.astype(floating)
    adata.uns[key_added or "pca"] = info
