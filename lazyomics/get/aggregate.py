"""``get.aggregate``: sums, means and more of groups of cells as an object of groups × genes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics import config, lazy
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated, check_numbers, get_matrix
from lazyomics.container.index import aligned_mask
from lazyomics.errors import warn_user
from lazyomics.kernels.group_medians import Medians, group_medians
from lazyomics.kernels.group_moments import GroupMoments, group_moments
from lazyomics.kernels.group_sums import (
    GroupSums,
    column_group_medians,
    column_group_sums,
    group_sums,
)
from lazyomics.lazy.gene_values import GenePart, by_gene
from lazyomics.names import choices

__all__ = ["aggregate"]


Statistic: TypeAlias = Literal["count_nonzero", "mean", "sum", "var", "median"]
STATISTICS = ("count_nonzero", "mean", "sum", "var", "median")
DENSE_BYTES = 256 << 20  # of a layer; larger ones of sparse matrices are sparse
STATE_BYTES = 4 * 28  # of a group and gene, in the states that are merged at the same time


def aggregate(
    adata: AnnData,
    by: str | Collection[str],
    func: Statistic | Iterable[Statistic],
    *,
    axis: Literal["obs", 0, "var", 1] | None = None,
    mask: NDArray[np.bool_] | str | None = None,
    dof: int = 1,
    layer: str | None = None,
    obsm: str | None = None,
    varm: str | None = None,
) -> AnnData:
    """Aggregate the cells of each group, eagerly: pseudobulks, for instance.

    Parameters
    ----------
    adata
        Annotated data, shape (n_obs, n_vars).
    by
        One column or several, whose combinations are groups. Cells without a value have none.
    func
        What to compute: "sum", "mean", "var", "count_nonzero", "median", or several of them.
    axis
        Aggregate cells, "obs" (default), or genes, "var" (default with ``varm``).
    mask
        Cells (or genes) that take part: of their number, or the name of a boolean column.
    dof
        Degrees of freedom that the variance is short of.
    layer, obsm, varm
        Matrix to use instead of X; ``obsm`` for cells only, ``varm`` for genes only.

    Returns
    -------
    AnnData, n_groups × n_vars (n_obs × n_groups along "var"), a layer for each statistic and no X.
    ``obs`` holds the columns of ``by`` for each group that occurs, in the order of the categories,
    and ``n_obs_aggregated``, the number of its cells. Layers are ndarrays of float64; sums of
    sparse integers and counts of sparse matrices are int64. Layers of sparse matrices that would
    take more than 256 MiB are CSR matrices.

    Raises
    ------
    KeyError
        If a column or matrix does not exist.
    ValueError
        If a statistic is unknown, or the matrix does not belong to the axis.
    TypeError
        If more than one matrix is named.

    Warns
    -----
    RuntimeWarning
        If groups have no more cells than ``dof``, so that their variance is NaN.

    Notes
    -----
    Passes over the matrix: 1, for all statistics and as many groups as fit in memory: groups ×
    genes × 112 bytes in ``lazyomics.memory``, or groups × genes × 8 bytes in 256 MiB. With more
    groups of a sparse matrix, and for "median", values are put together by gene: that takes 1 pass
    for each part of the genes whose values fit in ``lazyomics.memory``, and 1 that counts them; of
    a matrix stored by columns, without recorded steps, 1 in all.

    Peak memory: the layers, twice where they are sparse, and ``lazyomics.memory``.

    As scanpy 1.12: the mean of masked cells is taken over these, cells without a group are left out
    and ``n_obs_aggregated`` is there, where scanpy 1.11 does otherwise.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"donor": pd.Categorical(list("xxy"))}, index=["c1", "c2", "c3"])
    >>> adata = lo.AnnData(np.array([[1.0, 0], [3, 0], [0, 5]]), obs=obs)
    >>> bulk = lo.get.aggregate(adata, "donor", "sum")
    >>> bulk.layers["sum"]
    array([[4., 0.],
           [0., 5.]])
    """
    check_annotated(adata, "get.aggregate")
    statistics = {func} if isinstance(func, str) else set(func)
    if unknown := statistics - set(STATISTICS):
        raise ValueError(f"func {unknown} is not one of {set(STATISTICS)}")
    if sum(name is not None for name in (varm, obsm, layer)) > 1:
        raise TypeError("Please only provide one (or none) of varm, obsm, or layer")
    if axis not in (None, 0, 1, "obs", "var"):
        raise ValueError(f"axis must be 'obs', 'var', 0 or 1, found {axis!r}")
    of_genes = varm is not None if axis is None else axis in (1, "var")
    if varm is not None and not of_genes:
        raise ValueError("varm can only be used when axis is 1")
    if obsm is not None and of_genes:
        raise ValueError("obsm can only be used when axis is 0")
    frame = adata.var if of_genes else adata.obs
    groups = _Groups.of(frame, by, _kept(frame, mask, "var" if of_genes else "obs"))
    if varm is None and obsm is None:
        x, other = get_matrix(adata, layer=layer), adata.obs if of_genes else adata.var
    else:
        x, other = _side_matrix(adata, obsm, varm)
    if of_genes and varm is None:
        layers = _of_columns(x, groups, statistics, dof)
    else:
        layers = _of_rows(x, groups, statistics, dof)
    labels = groups.labels.assign(n_obs_aggregated=groups.cells)
    if of_genes:
        turned = {k: np.ascontiguousarray(v.T) if varm else v for k, v in layers.items()}
        return AnnData(layers=turned, obs=other.copy(), var=labels)
    return AnnData(layers=layers, obs=labels, var=other.copy())


def _kept(frame: pd.DataFrame, mask: Any, axis: str) -> NDArray[np.bool_]:
    if mask is None:
        return np.ones(len(frame), dtype=np.bool_)
    if isinstance(mask, str):
        if mask not in frame:
            raise KeyError(f"the mask {mask!r} is no column; {choices(mask, frame.columns)}")
        mask = frame[mask]
    values = np.asarray(mask)
    if values.shape != (len(frame),) or values.dtype != np.bool_:
        raise ValueError(
            f"the mask must hold {len(frame)} booleans, found {values.dtype} of {values.shape}"
        )
    if isinstance(mask, pd.Series):
        values = aligned_mask(values, mask.index, lambda: frame.index, axis)
    return values


@dataclass(frozen=True, eq=False)
class _Groups:
    """Group of each cell, −1 for none, their labels, and how many cells of each take part."""

    codes: NDArray[np.int64]
    labels: pd.DataFrame
    cells: NDArray[np.int64]

    @classmethod
    def of(cls, frame: pd.DataFrame, by: str | Collection[str], kept: NDArray[np.bool_]) -> _Groups:
        """Combine columns; only combinations that occur are groups."""
        names = [by] if isinstance(by, str) else list(by)
        missing = [name for name in names if name not in frame]
        if missing or not names:
            raise KeyError(
                f"{missing or 'no column'} to group by; {choices(missing, frame.columns)}"
            )
        parts = [pd.Categorical(frame[name]).remove_unused_categories() for name in names]
        codes = np.zeros(len(frame), dtype=np.int64)
        none = np.zeros(len(frame), dtype=np.bool_)
        for part in parts:
            codes = codes * len(part.categories) + part.codes
            none |= part.codes < 0
        found, mine = np.unique(codes[~none], return_inverse=True)
        columns: dict[str, pd.Categorical[Any]] = {}
        rest = found
        for name, part in zip(reversed(names), reversed(parts), strict=True):
            rest, code = np.divmod(rest, len(part.categories))
            columns[name] = pd.Categorical.from_codes(code, part.categories)
        texts = [np.asarray(columns[name]).astype(str).astype(object) for name in names]
        index = pd.Index(["_".join(labels) for labels in zip(*texts, strict=True)], dtype=object)
        labels = pd.DataFrame({name: columns[name] for name in names}, index=index.astype(str))
        group = np.full(len(frame), -1, dtype=np.int64)
        group[~none] = mine
        group[~kept] = -1
        cells = np.bincount(group[group >= 0], minlength=len(found)).astype(np.int64)
        return cls(group, labels, cells)

    def __len__(self) -> int:
        return len(self.labels)


def _side_matrix(adata: AnnData, obsm: str | None, varm: str | None) -> tuple[Any, pd.DataFrame]:
    """Matrix of ``obsm`` or ``varm``, and a frame that names its columns."""
    name, mapping = ("obsm", adata.obsm) if varm is None else ("varm", adata.varm)
    key = obsm or varm or ""
    if key not in mapping:
        raise KeyError(f"{name}[{key!r}] does not exist; {choices(key, mapping)}")
    values = mapping[key]
    if isinstance(values, pd.DataFrame):
        columns, values = values.columns, values.to_numpy()
    else:
        columns = pd.RangeIndex(values.shape[1]).astype(str)
    check_numbers(values, f"{name}[{key!r}]")
    return lazy.as_lazy(values), pd.DataFrame(index=columns)


def _is_sparse(x: Any) -> bool:
    return not isinstance(x._meta, np.ndarray)


def _of_rows(x: Any, groups: _Groups, statistics: set[Any], dof: int) -> dict[str, Any]:
    """Layers of groups of rows, shape (n_groups, n_cols)."""
    sparse = _is_sparse(x) and 8 * len(groups) * x.shape[1] > DENSE_BYTES
    layers: dict[str, Any] = {}
    state = None
    if statistics - {"median"}:
        if sparse and STATE_BYTES * len(groups) * x.shape[1] > config.memory():
            parts = _parts_by_gene(x, groups, statistics)
        else:
            folded = lazy.fold_rows(x, group_sums, rows=(groups.codes,), n_groups=len(groups))
            (state,) = lazy.compute(folded)
            state = state.whole()
            parts = _parts_of(state, statistics, sparse=sparse)
        layers = _statistics(parts, groups.cells, statistics, dof, x, groups)
    if "median" in statistics:
        layers["median"] = _medians(x, groups, state, sparse=sparse)
    return layers


def _parts_of(state: GroupSums, statistics: set[Any], *, sparse: bool) -> dict[str, Any]:
    """Arrays of what the statistics are made of, shape (n_groups, n_cols)."""
    parts: dict[str, Any] = {"sums": state.as_csr("sums") if sparse else state.sums()}
    if "var" in statistics:
        parts["m2"] = state.as_csr("m2") if sparse else state.m2()
    if "count_nonzero" in statistics:
        parts["nonzero"] = state.as_csr("nonzero") if sparse else state.nonzero()
    return parts


def _parts_by_gene(x: Any, groups: _Groups, statistics: set[Any]) -> dict[str, Any]:
    """The same as sparse matrices, of so many groups that their states would not fit in memory."""
    wanted = {"m2": "var" in statistics, "nonzero": "count_nonzero" in statistics}

    def moments(part: GenePart) -> GroupMoments:
        return group_moments(part.values, part.groups, part.start, groups.cells, **wanted)

    found: list[GroupMoments] = by_gene(x, groups.codes, moments, n_codes=len(groups))
    names = ["seen", "groups", "sums", *(name for name, asked in wanted.items() if asked)]
    held = {name: [getattr(some, name) for some in found] for name in names}
    del found
    shape = len(groups), x.shape[1]
    ends = np.concatenate([[0], np.cumsum(np.concatenate(held.pop("seen")))])
    rows = np.concatenate(held.pop("groups"))
    parts = {}
    while held:  # what is copied is let go of
        name, arrays = held.popitem()
        values = np.concatenate(arrays)
        del arrays
        parts[name] = sp.csc_matrix((values, rows, ends), shape=shape).tocsr()
    return parts


def _of_columns(x: Any, groups: _Groups, statistics: set[Any], dof: int) -> dict[str, Any]:
    """Layers of groups of columns, shape (n_rows, n_groups)."""
    n = len(groups)
    options: dict[str, Any] = {"codes": groups.codes, "n_groups": n}
    wanted = []
    if statistics - {"median"}:
        wanted.append(
            lazy.collect_rows(x, column_group_sums, dtype=np.float64, columns=3 * n, **options)
        )
    if "median" in statistics:
        wanted.append(
            lazy.collect_rows(x, column_group_medians, dtype=np.float64, columns=n, **options)
        )
    found = list(lazy.compute(*wanted))
    layers: dict[str, Any] = {}
    if statistics - {"median"}:
        sums, m2, nonzero = np.split(found.pop(0), 3, axis=1)
        parts = {"sums": sums.T, "m2": m2.T, "nonzero": nonzero.T.astype(np.int64)}
        turned = _statistics(parts, groups.cells, statistics, dof, x, groups)
        layers = {name: np.ascontiguousarray(values.T) for name, values in turned.items()}
    if "median" in statistics:
        layers["median"] = found.pop(0)
    return layers


def _statistics(
    parts: dict[str, Any],
    cells: NDArray[np.int64],
    statistics: set[Any],
    dof: int,
    x: Any,
    groups: _Groups,
) -> dict[str, Any]:
    layers: dict[str, Any] = {}
    if "sum" in statistics:
        whole = _is_sparse(x) and np.issubdtype(x.dtype, np.integer)
        layers["sum"] = parts["sums"].astype(np.int64) if whole else parts["sums"]
    if "mean" in statistics:
        layers["mean"] = _divided(parts["sums"], cells)
    if "count_nonzero" in statistics:
        counts = parts["nonzero"]
        layers["count_nonzero"] = counts if _is_sparse(x) else counts.astype(np.float64)
    if "var" in statistics:
        divisors = np.where(cells > dof, cells - dof, np.nan) if dof else cells.astype(np.float64)
        small = np.isnan(divisors)
        if small.any():
            warn_user(
                f"groups {groups.labels.index[small].tolist()[:5]} have no more than {dof} "
                "members, so that their variance is NaN",
                RuntimeWarning,
            )
        layers["var"] = _divided(parts["m2"], divisors)
    return layers


def _divided(values: Any, divisors: NDArray[Any]) -> Any:
    """Divide each row by a number; of sparse matrices, what is stored."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if sp.issparse(values):
            data = values.data / np.repeat(divisors, np.diff(values.indptr))
            return sp.csr_matrix((data, values.indices, values.indptr), shape=values.shape)
        return values / divisors[:, None]


def _medians(x: Any, groups: _Groups, state: GroupSums | None, *, sparse: bool) -> Any:
    """Medians of groups of rows, from the values of each gene together."""
    stored = None if state is None else state.stored_by_column()
    spread_nan = not _is_sparse(x)

    def medians(part: GenePart) -> Medians:
        found = group_medians(
            part.values, part.groups, part.start, groups.cells, spread_nan=spread_nan
        )
        return found.from_gene(part.first)

    found: list[Medians] = by_gene(x, groups.codes, medians, n_codes=len(groups), stored=stored)
    shape = len(groups), x.shape[1]
    floating = not _is_sparse(x) and np.issubdtype(x.dtype, np.floating)
    dtype = x.dtype if floating else np.dtype(np.float64)
    if not sparse:
        dense = np.zeros(shape, dtype=dtype)
        for some in found:
            dense[some.groups, some.genes] = some.values
        return dense
    places = [np.concatenate([getattr(m, axis) for m in found]) for axis in ("groups", "genes")]
    values = np.concatenate([some.values for some in found])
    return sp.csr_matrix((values, tuple(places)), shape=shape)
