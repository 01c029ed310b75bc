"""The ``raw`` of an AnnData, and vectors of one gene or cell."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container.deferred import cut_value
from lazyomics.container.frames import FrameSlot
from lazyomics.container.index import axis_selector, split_key
from lazyomics.container.mappings import AlignedMapping, align_tables
from lazyomics.container.slots import MatrixSlot
from lazyomics.lazy.indexer import Selector, length
from lazyomics.names import choices

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = [
    "Raw",
    "RawParts",
    "gene_values",
    "is_column",
    "vector_of",
]


def is_column(
    key: str, columns: Collection[str], names: pd.Index, *, table: str, others: str
) -> bool:
    """Whether a key is a column of a table; if not, it is a name of the other axis.

    Raises
    ------
    KeyError
        If it is neither.
    ValueError
        If it is both.
    """
    named = key in names
    if key in columns:
        if named:
            raise ValueError(f"{key!r} is a column of {table} and one of {others}; rename one")
        return True
    if not named:
        said = choices(key, [*columns, *names])
        raise KeyError(f"{key!r} is no column of {table} and not in {others}; {said}")
    return False


def vector_of(x: Any, rows: Selector, cols: Selector) -> NDArray[Any]:
    """Values of one row or one column of a matrix, read now."""
    values = lazy.materialize(cut_value(x, (rows, cols)))
    return np.ravel(values.toarray() if hasattr(values, "toarray") else np.asarray(values))


@dataclass
class RawParts:
    """What an object keeps of its raw matrix."""

    x: MatrixSlot
    var: FrameSlot
    varm: AlignedMapping

    @classmethod
    def of(cls, adata: AnnData) -> RawParts:
        """Freeze the present matrix and genes of an object.

        Raises
        ------
        ShapeError
            If a table of varm cannot have the present names of genes.
        """
        align_tables([(adata._varm, adata._var)])
        return cls(adata._x.copy(), adata._var.copy(), adata._varm.copy())

    def take(self, rows: Selector, cols: Selector, n_obs: int) -> RawParts:
        """Return the parts of a selection, of an object of ``n_obs`` cells."""
        var = self.var.take(cols, keep_categories=True)
        shape = (length(rows), len(var))
        varm = self.varm.take((rows, cols), shape)
        return RawParts(self.x.take(rows, cols, (n_obs, len(self.var))), var, varm)

    def copy(self) -> RawParts:
        """Return independent parts."""
        return RawParts(self.x.copy(), self.var.copy(), self.varm.copy())


class Raw:
    """A frozen matrix with its own genes, sharing the cells of its parent.

    Attributes
    ----------
    X
        Matrix of shape (n_obs, raw n_vars): lazy when it is in a file.
    var
        Table of its genes.
    varm
        Arrays of its genes.
    """

    def __init__(self, parts: RawParts, parent: AnnData) -> None:
        self._parts = parts
        self._parent = parent

    @property
    def X(self) -> Any:
        """Matrix of shape (n_obs, n_vars)."""
        return self._parts.x.value

    @property
    def var(self) -> pd.DataFrame:
        """Table of the genes."""
        return self._parts.var.frame

    @property
    def varm(self) -> AlignedMapping:
        """Arrays aligned to the genes."""
        return self._parts.varm.follow(self._parts.var)

    @property
    def n_obs(self) -> int:
        """Number of cells."""
        return self._parent.n_obs

    @property
    def n_vars(self) -> int:
        """Number of genes."""
        return len(self._parts.var)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        return self.n_obs, self.n_vars

    @property
    def var_names(self) -> pd.Index:
        """Names of the genes."""
        return self._parts.var.index

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells."""
        return self._parent.obs_names

    def __getitem__(self, key: Any) -> Raw:
        row_key, col_key = split_key(key)
        rows = axis_selector(row_key, self.n_obs, lambda: self.obs_names, "obs")
        cols = axis_selector(col_key, self.n_vars, lambda: self.var_names, "var")
        return Raw(self._parts.take(rows, cols, self.n_obs), self._parent[row_key])

    def to_adata(self) -> AnnData:
        """Return an AnnData of this matrix with the cells' annotation of the parent.

        Returns
        -------
        AnnData without layers; obs, obsm, obsp and uns are those of the parent. Lazy where the
        parent is; reads nothing.
        """
        parts = self._parts.copy()
        return self._parent._with_genes(parts.x, parts.var, parts.varm)

    is_view = False

    def copy(self) -> Raw:
        """Return an independent raw of the same object; what is lazy or stored is shared."""
        return Raw(self._parts.copy(), self._parent)

    def obs_vector(self, k: str) -> np.ndarray[Any, Any]:
        """Return the values of a gene for all cells, shape (n_obs,)."""
        return gene_values(self.X, self.var_names, k)

    def var_vector(self, k: str) -> Any:
        """Return a column of var, or a cell's values for all genes, shape (n_vars,)."""
        if is_column(k, self._parts.var.columns, self.obs_names, table="var", others="obs_names"):
            return self.var[k].values
        row = axis_selector(k, self.n_obs, lambda: self.obs_names, "obs")
        return vector_of(self.X, row, slice(0, self.n_vars, 1))

    def _repr_html_(self) -> str:
        """What a notebook shows. Reads no matrix."""
        from lazyomics.container.html import html_of_raw

        return html_of_raw(self)

    def __repr__(self) -> str:
        lines = [f"Raw AnnData with n_obs × n_vars = {self.n_obs} × {self.n_vars}"]
        for name, keys in (("var", self._parts.var.columns), ("varm", tuple(self._parts.varm))):
            if keys:
                lines.append(f"    {name}: {', '.join(repr(str(k)) for k in keys)}")
        return "\n".join(lines)


def gene_values(x: Any, names: pd.Index, k: str) -> np.ndarray[Any, Any]:
    """Values of one column of a matrix as a vector, read now."""
    col = axis_selector(k, len(names), lambda: names, "var")
    return vector_of(x, slice(0, x.shape[0], 1), col)
