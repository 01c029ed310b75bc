"""Deferred values: elements of a file that are read when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.container.values import is_nested, native_columns
from lazyomics.lazy.indexer import Selector, compose, is_whole, length
from lazyomics.lazy.kinds import is_dask_array
from lazyomics.lazy.recipe import Recipe

__all__ = [
    "Cut",
    "CutFrame",
    "Deferred",
    "DeferredFrame",
    "as_lazy_matrix",
    "compute_inside",
    "computed",
    "cut_frame",
    "cut_value",
    "defer_cut",
    "deferred_recipe",
    "is_deferred",
]


class Deferred:
    """Base of stored elements that are read when asked for.

    What others hand over may have a ``load`` and ``nbytes``, too (xarray's objects do): only
    instances of this class are still in the file.
    """

    def load(self) -> Any:
        """Read the element."""
        raise NotImplementedError

    @property
    def nbytes(self) -> int:
        """Bytes it would take in memory."""
        raise NotImplementedError


class DeferredFrame(Protocol):
    """A stored table; its column names and length are known without reading it."""

    def load(self) -> pd.DataFrame:
        """Read the table."""

    def index(self) -> pd.Index:
        """Read the row names only."""

    def column(self, name: str) -> pd.Series[Any]:
        """Read one column only."""

    def kinds(self) -> dict[str, str]:
        """What each column holds, in words; no values are read."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns."""

    @property
    def length(self) -> int:
        """Number of rows."""

    @property
    def nbytes(self) -> int:
        """Bytes it would take in memory."""


@dataclass(frozen=True, eq=False)
class Cut(Deferred):
    """A deferred element of which some positions per axis are kept."""

    base: Deferred
    selectors: tuple[Selector, ...]
    share: float

    def load(self) -> Any:
        return cut_value(self.base.load(), self.selectors)

    @property
    def nbytes(self) -> int:
        return int(self.base.nbytes * self.share)


@dataclass(frozen=True, eq=False)
class CutFrame(Deferred):
    """A deferred table of which some rows, and all or the used categories, are kept."""

    base: DeferredFrame
    rows: Selector
    keeps_categories: bool = False

    def load(self) -> pd.DataFrame:
        return self.of(self.base.load())

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Cut the table that ``base`` stands for."""
        return cut_frame(frame, self.rows, keep_categories=self.keeps_categories)

    def index(self) -> pd.Index:
        return self.base.index()[self.rows]

    def kinds(self) -> dict[str, str]:
        return self.base.kinds()

    def column(self, name: str) -> pd.Series[Any]:
        return self.of(self.base.column(name).to_frame())[name]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.base.columns

    @property
    def length(self) -> int:
        return length(self.rows)

    @property
    def nbytes(self) -> int:
        return int(self.base.nbytes * self.length / max(1, self.base.length))


def is_deferred(value: Any) -> bool:
    """Whether a value is still in the file."""
    return isinstance(value, Deferred)


def as_lazy_matrix(value: Any) -> Any:
    """Return a stored array, or a cut of one, as a lazy matrix; None where that is not what it is.

    Arrays are read as a whole when they are asked for. This is for those too large for memory.
    """
    base = value.base if isinstance(value, Cut) else value
    matrix = base.as_matrix() if is_deferred(base) and hasattr(base, "as_matrix") else None
    if matrix is None or not isinstance(value, Cut):
        return matrix
    return lazy.take(matrix, value.selectors[0], slice(0, matrix.shape[1], 1))


def deferred_recipe(value: Any) -> Recipe | None:
    """Return what is read to have a stored matrix, or a cut of one; None for other elements."""
    base = value.base if isinstance(value, Cut) else value
    if not is_deferred(base) or not hasattr(base, "recipe"):
        return None
    recipe: Recipe = base.recipe()
    return recipe.select(*value.selectors) if isinstance(value, Cut) else recipe


def defer_cut(base: Deferred, selectors: tuple[Selector, ...], sizes: tuple[int, ...]) -> Deferred:
    """Cut a deferred element; a cut of a cut stays one cut."""
    if all(is_whole(s, n) for s, n in zip(selectors, sizes, strict=True)):
        return base
    share = float(np.prod([length(s) / max(1, n) for s, n in zip(selectors, sizes, strict=True)]))
    if isinstance(base, Cut):
        joined = tuple(compose(a, b) for a, b in zip(base.selectors, selectors, strict=True))
        return Cut(base.base, joined, base.share * share)
    return Cut(base, selectors, share)


def cut_value(value: Any, selectors: tuple[Selector, ...]) -> Any:
    """Keep positions of the first axes of a loaded or lazy value; never a view of it."""
    if isinstance(value, pd.DataFrame):
        return cut_frame(value, selectors[0])
    if isinstance(value, pd.Series):
        return value.iloc[selectors[0]].copy()
    if is_dask_array(value) or sp.issparse(value):
        return _cut_matrix(value, selectors)
    for axis, selector in enumerate(selectors):
        value = value[(slice(None),) * axis + (selector,)]
    return value.copy() if isinstance(value, np.ndarray) else value


def _cut_matrix(value: Any, selectors: tuple[Selector, ...]) -> Any:
    if value.ndim != 2:
        return value[selectors]
    cols = selectors[1] if len(selectors) == 2 else slice(0, value.shape[1], 1)
    cut = lazy.take(value, selectors[0], cols)
    return cut.copy() if cut is value and sp.issparse(value) else cut


def cut_frame(
    frame: pd.DataFrame, rows: Selector, *, keep_categories: bool = False
) -> pd.DataFrame:
    """Keep some rows; categories that no row uses any more are dropped, as anndata does.

    anndata keeps them in raw.var, mudata in obs and var of the whole: ``keep_categories``.
    """
    cut = native_columns(frame).iloc[rows].copy()
    if keep_categories:
        return cut
    for name, column in cut.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            cut[name] = column.cat.remove_unused_categories()
    return cut


def computed(value: Any) -> Any:
    """Return a value with the dask arrays in it computed, at any depth of mappings in mappings.

    An AnnData in it is loaded.

    Examples
    --------
    >>> import dask.array as da
    >>> computed({"a": {"b": da.ones(2)}, "c": 1})
    {'a': {'b': array([1., 1.])}, 'c': 1}
    """
    if is_dask_array(value):
        from lazyomics.lazy import materialize

        return materialize(value)
    if isinstance(value, Mapping):
        changed = {key: computed(item) for key, item in value.items()}
        return value if all(changed[key] is item for key, item in value.items()) else changed
    return _in_memory(value) if is_nested(value) else value


_LOADING: ContextVar[tuple[int, ...]] = ContextVar("_LOADING", default=())


def _in_memory(adata: Any) -> Any:
    """Load an AnnData, whose file may be the one that is saved; one that holds itself stays."""
    above = _LOADING.get()
    of_ours = hasattr(adata, "_backing")
    if not of_ours or id(adata) in above or not (adata.isbacked or adata._lazy_parts()):
        return adata
    token = _LOADING.set((*above, id(adata)))
    try:
        return adata.to_memory()
    finally:
        _LOADING.reset(token)


def compute_inside(values: MutableMapping[str, Any]) -> None:
    """Replace the dask arrays among the values of a mapping, and in mappings there, by arrays."""
    for key, value in values.items():
        found = computed(value)
        if found is not value:
            values[key] = found
