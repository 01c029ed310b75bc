"""Methods of AnnData that anndata has, too, and most programs need seldom."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container.anndata_parts import AnnDataParts
from lazyomics.container.annotated import writable_path
from lazyomics.container.categories import categorise, rename_in_records, renamed_categories
from lazyomics.container.index import axis_selector
from lazyomics.container.mappings import AlignedMapping, MappingName
from lazyomics.container.raw import is_column, vector_of
from lazyomics.container.slots import MatrixSlot
from lazyomics.container.storage import storage
from lazyomics.errors import warn_user
from lazyomics.lazy.indexer import Selector, positions
from lazyomics.lazy.kinds import is_dask_array

__all__ = [
    "AnnDataMethods",
    "transposed",
    "write_csvs",
]


BECOMES: dict[MappingName, MappingName] = {
    "layers": "layers",
    "obsm": "varm",
    "varm": "obsm",
    "obsp": "varp",
    "varp": "obsp",
}


def transposed(adata: AnnDataParts) -> Any:
    """Return an object whose cells are the genes of this one; nothing is read."""
    shape = (adata.n_vars, adata.n_obs)
    mappings = {}
    for mapping in adata._mappings():
        copied = mapping.copy()
        turned = AlignedMapping(BECOMES[mapping.name], shape)
        turned._values = dict(copied.stored())
        if mapping.name == "layers":
            turned._values = {key: _turned(mapping[key]) for key in mapping}
        mappings[turned.name] = turned
    return type(adata)._assemble(
        x=MatrixSlot(_turned(adata.X)),
        obs=adata._var.copy(),
        var=adata._obs.copy(),
        uns=adata._uns.copy(),
        mappings=mappings,
    )


def _turned(matrix: Any) -> Any:
    if matrix is None or is_dask_array(matrix):
        return None if matrix is None else lazy.transpose(matrix)
    return matrix.T.copy()


ROWS_OF_A_CHUNK = 6000


class AnnDataMethods(AnnDataParts):
    """Methods of anndata's AnnData that read or change several parts."""

    def to_anndata(self: Any, *, lazy: bool = False) -> Any:
        """Return an ``anndata.AnnData``. Needs the package anndata.

        Parameters
        ----------
        lazy
            By default everything is loaded and the result shares nothing with this object. If
            True, lazy matrices become dask arrays whose blocks are ``scipy.sparse.csr_matrix`` (or
            ndarray of dense ones), which is what scanpy's functions for dask take. What is in
            memory is shared: arrays of obsm and varm, matrices that were assigned, and with
            pandas 3, which copies columns when they change, obs and var.

        Returns
        -------
        ``anndata.AnnData``. Passes over X: one; with ``lazy`` none, obs, var, obsm, varm, obsp,
        varp and uns are read. Peak memory: the result.
        """
        from lazyomics.container.interop import to_anndata

        return to_anndata(self, lazy=lazy)

    def apply(self: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of scanpy, or another package of scverse, on this object.

        The function gets what ``to_anndata(lazy=True)`` returns. What it changes there of obs,
        var, obsm, varm, obsp, varp, uns and layers is taken over; X and raw if it replaced them.

        Parameters
        ----------
        function
            Called as ``function(anndata_object, *args, **kwargs)``.
        args, kwargs
            Handed on.

        Returns
        -------
        What the function returns; an ``anndata.AnnData`` as an object of this class.

        Raises
        ------
        ShapeError
            If the function removed or added cells or genes. Nothing is taken over then.

        Notes
        -----
        Passes over X: those of the function. Peak memory: what it needs, and what of this object
        is not a lazy matrix. Values in memory are compared by checksums before and after
        (8 GB/s), so that arrays that were changed where they are count, too.

        Examples
        --------
        >>> import scanpy as sc  # doctest: +SKIP
        >>> adata.apply(sc.tl.paga, groups="leiden")  # doctest: +SKIP
        """
        from lazyomics.container.applying import apply_to_anndata

        return apply_to_anndata(self, type(self).from_anndata, function, args, kwargs)

    @classmethod
    def from_anndata(cls, other: Any) -> Self:
        """Return a lazyomics object of an ``anndata.AnnData``, sharing its matrices.

        X and raw.X of an object that anndata opened with ``backed=`` are lazy matrices of its
        file; tables of ``anndata.experimental.read_lazy`` are loaded, its matrices stay lazy.
        """
        from lazyomics.container.interop import parts_of_anndata

        return cls(**parts_of_anndata(other, cls.from_anndata, storage().open))

    def transpose(self: Any) -> Any:
        """Return an object of genes × cells; what is lazy or stored stays so.

        Notes
        -----
        Passes over X: 0. A matrix that is stored by rows is read as one that is stored by columns,
        and the other way round; one with recorded steps (``pp.normalize_total``) becomes a plain
        dask array. ``raw`` is left out. The result belongs to no file.
        """
        return transposed(self)

    T = property(transpose)

    def chunked_X(self: Any, chunk_size: int | None = None) -> Iterator[tuple[Any, int, int]]:
        """Read X some rows at a time.

        Parameters
        ----------
        chunk_size
            Number of rows, by default 6,000.

        Yields
        ------
        The rows in memory (ndarray or scipy matrix), and the positions of the first of them and of
        the one after the last.
        """
        size = ROWS_OF_A_CHUNK if chunk_size is None else int(chunk_size)
        if size < 1:
            raise ValueError(f"chunk_size is a number of rows, found {chunk_size!r}")
        for start in range(0, self.n_obs, size):
            stop = min(start + size, self.n_obs)
            yield _rows_of(self, slice(start, stop, 1)), start, stop

    def chunk_X(
        self: Any, select: int | Sequence[int] | NDArray[Any] = 1000, *, replace: bool = True
    ) -> NDArray[Any]:
        """Return some rows of X as an ndarray.

        Parameters
        ----------
        select
            Number of rows that are drawn with numpy's global random state, or their positions.
        replace
            Whether a row may be drawn more than once.
        """
        if isinstance(select, int | np.integer) and not isinstance(select, bool):
            count = min(int(select), self.n_obs)
            chosen: Any = np.random.choice(self.n_obs, count, replace)  # noqa: NPY002
        elif isinstance(select, Sequence | np.ndarray):
            chosen = np.asarray(select)
        else:
            raise ValueError(f"select is a number of rows or their positions, found {select!r}")
        rows = _rows_of(self, positions(chosen, self.n_obs, "obs"))
        return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)

    def strings_to_categoricals(self: Any, df: pd.DataFrame | None = None) -> None:
        """Turn columns of text that repeats into categories, in natural order of their names.

        Parameters
        ----------
        df
            Table to change; by default obs and var of the object.
        """
        for frame in (self.obs, self.var) if df is None else (df,):
            categorise(frame)

    def rename_categories(self: Any, key: str, categories: Sequence[Any]) -> None:
        """Give the categories of a column other names.

        Parameters
        ----------
        key
            Column of obs or, if there is none, of var.
        categories
            New names, in the order of the old ones.

        Raises
        ------
        ValueError
            If there is no such column, it has no categories, or another number of them.

        Notes
        -----
        Record arrays in uns that were made for this column, as by ``rank_genes_groups`` of scanpy,
        get the new names too.
        """
        if isinstance(categories, Mapping):
            raise ValueError("categories are a list of new names, found a mapping")
        frame = next((f for f in (self.obs, self.var) if key in f.columns), None)
        if frame is None:
            raise ValueError(
                f"{key!r} is a column neither of obs ({list(self.obs.columns)}) nor of var "
                f"({list(self.var.columns)})"
            )
        old = getattr(frame[key], "cat", pd.Series(dtype="category").cat).categories
        frame[key] = renamed_categories(frame[key], categories)
        rename_in_records(self.uns, key, list(old), list(categories))

    def concatenate(
        self: Any,
        *adatas: Any,
        join: str = "inner",
        batch_key: str = "batch",
        batch_categories: Sequence[Any] | None = None,
        uns_merge: Any = None,
        index_unique: str | None = "-",
        fill_value: Any = None,
    ) -> Any:
        """Join objects under each other as anndata's deprecated method does; see ``lo.concat``.

        Parameters
        ----------
        *adatas
            Objects that come after this one.
        join
            ``"inner"`` or ``"outer"``, of the genes; obs keeps all columns of all objects.
        batch_key
            Column of obs that says which object a cell comes from.
        batch_categories
            Names of the objects; by default 0, 1, ….
        uns_merge, index_unique, fill_value
            As ``lo.concat`` takes them.

        Returns
        -------
        An object without varm. Columns of var that the objects agree about are kept, others once
        for each object, as ``"column-batch"``.
        """
        from lazyomics.container.concat.anndata import concatenate

        warnings.warn(
            "AnnData.concatenate is deprecated, use lazyomics.concat", FutureWarning, stacklevel=2
        )
        if not adatas:
            return self.copy()
        if len(adatas) == 1 and isinstance(adatas[0], list | tuple):
            adatas = tuple(adatas[0])
        return concatenate(
            (self, *adatas),
            join=join,
            batch_key=batch_key,
            batch_categories=batch_categories,
            uns_merge=uns_merge,
            index_unique=index_unique,
            fill_value=fill_value,
        )

    def write_csvs(
        self: Any, dirname: str | os.PathLike[str], *, skip_data: bool = True, sep: str = ","
    ) -> None:
        """Write the annotation to text files: obs.csv, var.csv, obsm.csv, varm.csv, ``uns/*.csv``.

        Parameters
        ----------
        dirname
            Folder, made if it does not exist.
        skip_data
            False writes X too, dense and without names.
        sep
            Text between two values.

        Warns
        -----
        UserWarning
            If an entry of uns is no table.

        Notes
        -----
        Passes over X: 0, or 1 with ``skip_data=False``. The object cannot be read from these files
        again: use ``write`` for that.
        """
        write_csvs(self, dirname, skip_data=skip_data, sep=sep)

    def write_loom(
        self: Any, filename: str | os.PathLike[str], *, write_obsm_varm: bool = False
    ) -> None:
        """Write X, layers, obs and var to a .loom file, without loompy.

        Parameters
        ----------
        filename
            The new file, which appears when it is complete.
        write_obsm_varm
            Whether arrays of obsm and varm become attributes of several columns.

        Raises
        ------
        ValueError
            If there is no X, or two attributes would have the same name.
        UnsupportedError
            If values are neither numbers nor text.

        Warns
        -----
        UserWarning
            If the object has parts that a .loom file has no place for; names them.

        Notes
        -----
        Passes over X: 1 (of a matrix stored by columns one for each window). Peak memory: a
        window of cells, dense, of a sixteenth of ``lazyomics.memory``. Matrices are dense in a
        .loom file.
        """
        storage().write_loom(self, writable_path(str(filename)), write_obsm_varm=write_obsm_varm)

    def obs_vector(self: Any, k: str, *, layer: str | None = None) -> NDArray[Any]:
        """Return a column of obs as pandas holds it, or a gene's values for all cells, (n_obs,).

        Raises
        ------
        KeyError
            If there is neither.
        ValueError
            If there are both.
        """
        if is_column(k, self._obs.columns, self.var_names, table="obs", others="var_names"):
            return self.obs[k].values
        column = axis_selector(k, self.n_vars, lambda: self.var_names, "var")
        return vector_of(_layer_or_x(self, layer), slice(0, self.n_obs, 1), column)

    def var_vector(self: Any, k: str, *, layer: str | None = None) -> NDArray[Any]:
        """Return a column of var as pandas holds it, or a cell's values for all genes, (n_vars,).

        Raises
        ------
        KeyError
            If there is neither.
        ValueError
            If there are both.
        """
        if is_column(k, self._var.columns, self.obs_names, table="var", others="obs_names"):
            return self.var[k].values
        row = axis_selector(k, self.n_obs, lambda: self.obs_names, "obs")
        return vector_of(_layer_or_x(self, layer), row, slice(0, self.n_vars, 1))


def _rows_of(adata: Any, rows: Selector) -> Any:
    if adata.X is None:
        raise ValueError("the object has no X")
    return lazy.materialize(lazy.take(adata.X, rows, slice(0, adata.n_vars, 1)))


def _layer_or_x(adata: Any, layer: str | None) -> Any:
    in_x = layer is None or (layer == "X" and "X" not in adata.layers)
    x = adata.X if in_x else adata.layers[layer]
    if x is None:
        raise ValueError(f"the object has no X; name a layer: {list(adata.layers)}")
    return x


TABLES = ("obs", "var", "obsm", "varm")


def write_csvs(
    adata: AnnDataMethods, dirname: str | os.PathLike[str], *, skip_data: bool, sep: str
) -> None:
    """Write obs, var, obsm, varm and uns of an object, and X if it is not to be skipped."""
    folder = Path(dirname)
    if folder.suffix == ".csv":
        folder = folder.with_suffix("")
    (folder / "uns").mkdir(parents=True, exist_ok=True)
    adata.obs.to_csv(folder / "obs.csv", sep=sep)
    adata.var.to_csv(folder / "var.csv", sep=sep)
    for name in ("obsm", "varm"):
        getattr(adata, name).to_df().to_csv(folder / f"{name}.csv", sep=sep, index=False)
    if not skip_data:
        _write_matrix(adata, folder / "X.csv", sep)
    for key, value in adata.uns.items():
        within = folder if key in (*TABLES, "X") else folder / "uns"
        _write_value(key, value, within / f"{key}.csv", sep)


def _write_matrix(adata: AnnDataMethods, path: Path, sep: str) -> None:
    with path.open("w", newline="") as file:
        for rows, _, _ in adata.chunked_X():
            dense = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
            pd.DataFrame(dense).to_csv(file, sep=sep, header=False, index=False)


def _write_value(key: str, value: Any, path: Path, sep: str) -> None:
    if sp.issparse(value) or is_dask_array(value):
        warn_user(f"uns[{key!r}] is a matrix that is not written as text; it is left out")
        return
    try:
        table = value
        if not isinstance(value, pd.DataFrame):
            table = pd.DataFrame(np.atleast_1d(np.asarray(value)))
    except ValueError:
        warn_user(f"uns[{key!r}] of type {type(value).__name__} is no table; it is left out")
        return
    table.to_csv(path, sep=sep, header=False, index=False)
