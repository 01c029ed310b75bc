"""Which cells × features matrix a verb works on: principal components, X, or any obsm entry."""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from lazyomics import config, lazy
from lazyomics.container import AnnData
from lazyomics.container.choose import check_numbers
from lazyomics.container.deferred import as_lazy_matrix, is_deferred
from lazyomics.container.values import is_ragged
from lazyomics.graph.points import row_blocks
from lazyomics.lazy.kinds import is_dask_array
from lazyomics.names import choices
from lazyomics.options import settings

__all__ = ["Representation", "check_finite", "choose_representation"]

Representation: TypeAlias = Any  # two-dimensional ndarray, or scipy sparse when X is sparse

CELLS_SHOWN = 5


def choose_representation(
    adata: AnnData,
    *,
    use_rep: str | None = None,
    n_pcs: int | None = None,
    finite: bool = False,
    on_disk: bool = False,
) -> Representation:
    """Return the representation that scanpy would choose, in memory.

    Parameters
    ----------
    adata
        Annotated matrix, ``n_obs`` × ``n_vars``.
    use_rep
        ``"X"`` or a key of ``adata.obsm``. By default ``X_pca``, or X where ``n_vars`` ≤ 50.
    n_pcs
        Use only the first ``n_pcs`` columns; 0 means X.
    finite
        Refuse NaN and infinity.
    on_disk
        Leave arrays and dense X on disk that would not fit ``lazyomics.memory``.

    Returns
    -------
    ndarray or scipy sparse matrix, shape (n_obs, n_features), or a lazy dense matrix
        If ``X_pca`` is needed and missing, it is computed first and set (with a warning).

    Raises
    ------
    ValueError
        If the representation is unknown, has fewer than ``n_pcs`` columns or is not finite.
    TypeError
        If it is no matrix of numbers.
    MemoryError
        If X is on disk and would not fit ``lazyomics.memory``, unless it is left there.

    Notes
    -----
    Passes over X: 0 for an obsm entry, 1 if X itself is the representation, those of
    :func:`lazyomics.pp.pca` if ``X_pca`` is missing. Peak memory: the returned matrix.
    """
    if n_pcs is not None and n_pcs < 0:
        raise ValueError(f"n_pcs must not be negative, found {n_pcs}")
    if use_rep is None and n_pcs == 0:
        use_rep = "X"
    chosen = _pca_or_small_x(adata, n_pcs) if use_rep is None else use_rep
    if chosen == "X" and (use_rep is None or "X" not in adata.obsm):
        name, found = "X", _load_x(adata, on_disk=on_disk)
    elif chosen in adata.obsm:
        name = f"obsm[{chosen!r}]"
        found = _first_columns(_entry(adata, chosen, on_disk=on_disk), name, n_pcs)
    else:
        raise ValueError(
            f"use_rep={use_rep!r} is neither 'X' nor in adata.obsm; "
            f"{choices(use_rep, adata.obsm, step='what computes it')}"
        )
    check_numbers(found, name)
    if finite:
        check_finite(found, name, adata.obs_names)
    return found


def check_finite(values: Representation, name: str, names: pd.Index) -> None:
    """Refuse NaN and infinity.

    Raises
    ------
    ValueError
        That names the cells.
    """
    if is_dask_array(values):
        for part, rows in row_blocks(values):
            check_finite(rows, name, names[part])
        return
    stored = values.data if sparse.issparse(values) else values
    if stored.dtype.kind != "f" or np.isfinite(stored).all():
        return
    if sparse.issparse(values):
        bad = np.unique(values.tocoo().row[~np.isfinite(values.tocoo().data)])
    else:
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    shown = ", ".join(repr(str(cell)) for cell in names[bad[:CELLS_SHOWN]])
    more = f" and {len(bad) - CELLS_SHOWN} more" if len(bad) > CELLS_SHOWN else ""
    raise ValueError(
        f"{name} is NaN or infinite for the cells {shown}{more}: leave these out, or compute it "
        "anew"
    )


def _pca_or_small_x(adata: AnnData, n_pcs: int | None) -> str:
    """The representation that is used where none is named."""
    if adata.n_vars <= settings.N_PCS:
        return "X"
    if "X_pca" not in adata.obsm:
        _compute_pca(adata, settings.N_PCS if n_pcs is None else n_pcs)
    return "X_pca"


def _compute_pca(adata: AnnData, n_comps: int) -> None:
    from lazyomics.pp.pca import pca

    warnings.warn(
        f"adata.obsm has no 'X_pca' and X has {adata.n_vars} variables: computing "
        f"pp.pca(adata, n_comps={n_comps}) first. To use X itself, pass use_rep='X'.",
        UserWarning,
        stacklevel=5,
    )
    pca(adata, n_comps=n_comps)


def _entry(adata: AnnData, key: str, *, on_disk: bool) -> Any:
    held = adata.obsm.stored()[key]
    if on_disk and is_deferred(held) and held.nbytes > config.memory():
        matrix = as_lazy_matrix(held)
        if matrix is not None:
            return matrix
    value = adata.obsm[key]
    is_plain = is_ragged(value) or isinstance(value, np.ndarray | pd.DataFrame)
    return value if is_plain or sparse.issparse(value) else lazy.materialize(value)


def _first_columns(value: Any, name: str, n_pcs: int | None) -> Representation:
    if is_ragged(value) or value.ndim != 2:
        raise TypeError(
            f"adata.{name} is a {type(value).__name__}, expected a matrix, cells × features"
        )
    width = int(value.shape[1])
    if n_pcs is not None and n_pcs > width:
        raise ValueError(
            f"adata.{name} has {width} columns, fewer than n_pcs={n_pcs}. "
            "Lower n_pcs, or compute more components."
        )
    if isinstance(value, pd.DataFrame):
        value = value.to_numpy()
    return value if n_pcs is None else value[:, :n_pcs]


def _load_x(adata: AnnData, *, on_disk: bool) -> Representation:
    x = adata.X
    if x is None:
        raise ValueError("adata.X is None: pass use_rep= with a key of adata.obsm")
    if isinstance(x, np.ndarray) or sparse.issparse(x):
        return x
    # The size is known before reading only as if every value were stored: an upper bound.
    needed = adata.n_obs * adata.n_vars * np.dtype(x.dtype).itemsize
    allowed = config.memory()
    if needed > allowed:
        if on_disk and isinstance(x._meta, np.ndarray):
            return x
        raise MemoryError(
            f"X as the representation means {adata.n_obs} × {adata.n_vars} values in memory, up "
            f"to {needed / 2**20:,.0f} MiB, and lazyomics.memory allows "
            f"{allowed / 2**20:,.0f} MiB. Use principal components (pp.pca, then "
            "use_rep='X_pca'), select fewer variables, or raise lazyomics.memory."
        )
    return lazy.materialize(x)


def as_dense(x: Representation) -> NDArray[Any]:
    """Return the representation as an ndarray (a copy only where it is sparse)."""
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x)
