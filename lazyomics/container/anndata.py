"""AnnData: matrices that stay in their file, annotated by tables of cells and genes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self

import numpy as np
import pandas as pd

from lazyomics import lazy
from lazyomics.container import summary
from lazyomics.container.anndata_methods import AnnDataMethods
from lazyomics.container.annotated import (
    AxisName,
    FileObject,
    refuse_other_format,
    writable_path,
)
from lazyomics.container.constructing import check_dimensions, inferred_shape, raw_parts
from lazyomics.container.frames import (
    FrameSlot,
    as_frame,
    check_same_names,
    make_index_unique,
)
from lazyomics.container.index import axis_selector, split_key
from lazyomics.container.mappings import (
    AlignedMapping,
    MappingName,
    Uns,
)
from lazyomics.container.parts import completed
from lazyomics.container.ports import Backing, Filters, OnConflict, ZarrWriter
from lazyomics.container.raw import RawParts, gene_values, is_column, vector_of
from lazyomics.container.slots import MatrixSlot, as_matrix
from lazyomics.container.storage import storage as files
from lazyomics.container.summary import describe

if TYPE_CHECKING:
    pass

__all__ = [
    "AnnData",
    "Raw",
    "StoredAnnData",
]


class StoredAnnData(FileObject):
    """The file side of AnnData."""

    def _twin(self: Any) -> Any:
        self._align_tables()
        return type(self)._assemble(
            x=self._x.copy(),
            obs=self._obs.copy(),
            var=self._var.copy(),
            uns=self._uns.copy(),
            mappings={m.name: m.copy() for m in self._mappings()},
            raw=None if self._raw is None else self._raw.copy(),
            backing=self._backing,
        )

    def _open(self, path: Path) -> Any:
        return files().open(path)

    def _zarr_writer(self) -> ZarrWriter:
        return files()

    def write_h5ad(
        self: Any,
        filename: str | Path | None = None,
        *,
        convert_strings_to_categoricals: bool = True,
        compression: str | int | None = None,
        compression_opts: Any = None,
        as_dense: Sequence[str] = (),
        shuffle: bool | None = None,
        chunk_bytes: int | str | None = None,
        overwrite_x: bool = False,
        storage: str | None = None,
        on_conflict: OnConflict = "raise",
    ) -> None:
        """Stream to a new file, or save into the opened one.

        Parameters
        ----------
        filename
            New file: written beside the target block by block and renamed when it is complete.
            None saves what changed or is new into the opened file.
        convert_strings_to_categoricals
            Whether columns of obs and var that hold fewer texts than rows become categories, in
            the file only. A table that was not looked at since it was opened stays as it is.
        compression
            HDF5 filter of new matrices and arrays: ``"gzip"`` and ``"lzf"``, which every HDF5 has;
            ``"zstd"``, ``"lz4"`` and ``"blosc"`` (LZ4 inside), for which this and any program that
            reads the file needs hdf5plugin (``pip install 'lazyomics[codecs]'``); ``"none"``; or
            the number of a filter, as anndata takes it. By default what is copied from a file
            keeps its filter and what is new has none.
        compression_opts
            Level: 0 to 9 of gzip (4) and blosc (5), -131072 to 22 of zstd (3); for lz4 the bytes
            of a block, for a filter by number its values.
        as_dense
            Sparse matrices that are to be dense in a new file: ``"X"``, ``"raw/X"`` and
            ``"layers/NAME"``.
        shuffle
            Store first bytes, second bytes, … of a chunk together before compressing. By default
            integers only, such as the column positions of sparse matrices: they shrink by a third
            and are read faster, while counts and their logarithms grow.
        chunk_bytes
            Decoded bytes of a chunk of a matrix, such as ``"256 KiB"``: smaller ones serve few
            scattered cells, larger ones (by default 1 MiB) whole passes. Everything is then written
            anew, without a filter unless ``compression`` names one.
        overwrite_x
            Saving into the opened file leaves X and raw.X as they are there, with a warning if
            they were changed; True replaces them.
        storage
            ``"csr"`` or ``"csc"``: store X, layers and raw.X that are sparse by rows or by columns
            in a new file, transposed out of core where they are not. By default as they are.
        on_conflict
            What a save into the opened file does about elements that were changed here and,
            differently, by others in the file: ``"raise"`` an error that names them, write
            ``"mine"``, or keep ``"theirs"``. What only others changed stays in any case, and the
            object shows it afterwards.

        Raises
        ------
        ConflictError
            If others changed the same elements of the file since it was opened; names them.
            Nothing is changed then.
        StaleFileError
            If rows or columns of the file were replaced or re-ordered since it was opened, or
            something that is still to be read; nothing is changed then.
        ValueError
            Without a filename on an object that is not opened from a file; for ``storage`` and
            ``as_dense`` when saving into the opened file; for an unknown filter, level or matrix.
        MissingDependencyError
            If the filter is a plugin of HDF5 and hdf5plugin is not installed.
        BlockingIOError
            If another process saves or writes the file for longer than ``lazyomics.lock-timeout``
            (30 seconds), or has it open for writing; names it. Nothing is changed then.

        Warns
        -----
        XNotWrittenWarning
            If X or raw.X was changed and not written.

        Notes
        -----
        Passes over X: one for a new file, none for a save that leaves X; two for a matrix that
        ``storage`` transposes, also where row-wise steps are recorded on one that is stored by
        columns (``transpose_storage`` has the details). Peak memory: a window of blocks, or
        ``lazyomics.memory`` while transposing.

        Examples
        --------
        >>> import tempfile
        >>> import dask
        >>> import lazyomics as lo
        >>> folder = tempfile.TemporaryDirectory()
        >>> lo.AnnData(obs={"n": [1, 2]}).write_h5ad(f"{folder.name}/a.h5ad", compression="gzip")
        >>> adata = lo.read_h5ad(f"{folder.name}/a.h5ad")
        >>> adata.obs["n"] = [3, 4]
        >>> adata.write()

        An error at once, where another process is saving the file just now:

        >>> with dask.config.set({"lazyomics.lock-timeout": 0}):
        ...     adata.write()
        >>> folder.cleanup()
        """
        refuse_other_format(filename, "h5ad", "h5mu")
        filters: Filters = {
            "compression": compression,
            "compression_opts": compression_opts,
            "shuffle": shuffle,
            "chunk_bytes": chunk_bytes,
        }
        if on_conflict not in ("raise", "mine", "theirs"):
            raise ValueError(f"on_conflict is 'raise', 'mine' or 'theirs', found {on_conflict!r}")
        self._align_tables(strict=True)
        text = {"convert_strings_to_categoricals": convert_strings_to_categoricals}
        if self._saves_in_place(filename, storage=storage, as_dense=as_dense or None):
            files().save(self, overwrite_x=overwrite_x, on_conflict=on_conflict, **text, **filters)
        else:
            files().write(
                self,
                writable_path(str(filename)),
                storage=storage,
                as_dense=as_dense,
                **text,
                **filters,
            )

    write = write_h5ad


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

        title = f"Raw, {self.n_obs:,} cells × {self.n_vars:,} genes"
        parts = self._parts
        return html_of_raw(title, parts.x.held, parts.var, parts.varm)

    def __repr__(self) -> str:
        lines = [f"Raw AnnData with n_obs × n_vars = {self.n_obs} × {self.n_vars}"]
        for name, keys in (("var", self._parts.var.columns), ("varm", tuple(self._parts.varm))):
            if keys:
                lines.append(f"    {name}: {', '.join(repr(str(k)) for k in keys)}")
        return "\n".join(lines)


completed(Raw, "var", "varm")


class AnnData(AnnDataMethods, StoredAnnData):
    """Annotated matrix of cells × genes.

    ``X``, ``layers``, ``raw.X``, ``obsp`` and ``varp`` of an opened file are dask arrays; ``obs``
    and ``var`` are pandas tables read on first access; ``obsm``, ``varm`` and ``uns`` are read
    entry by entry when asked for. Everything can be changed freely: nothing touches the file
    until ``write()``.

    Parameters
    ----------
    X
        Matrix of shape (n_obs, n_vars): ndarray, scipy sparse, dask array, or None. Another
        AnnData gives all its parts.
    obs, var
        Tables of length n_obs and n_vars; or mappings of columns, of which ``"obs_names"`` or
        ``"row_names"``, and ``"var_names"`` or ``"col_names"``, are the names.
    uns
        Unstructured annotation.
    obsm, varm
        Arrays or tables whose first axis follows the cells or genes.
    layers
        Matrices of the shape of X.
    raw
        ``Raw`` of another object, or a mapping with ``X``, ``var`` and ``varm``.
    shape
        (n_obs, n_vars) where nothing else gives it.
    filename
        Open this .h5ad file, as ``read_h5ad`` does, instead of making an object of parts.
    filemode
        ``"r"`` or ``"r+"``, which are the same: nothing is written before ``write()``.
    obsp, varp
        Square matrices over the cells or genes.

    Examples
    --------
    >>> import numpy as np
    >>> adata = AnnData(np.eye(3, dtype="float32"), obs={"batch": ["a", "b", "b"]})
    >>> adata[adata.obs["batch"] == "b"].shape
    (2, 3)
    """

    def __init__(
        self,
        X: Any = None,
        obs: Any = None,
        var: Any = None,
        uns: Mapping[str, Any] | None = None,
        obsm: Mapping[str, Any] | None = None,
        varm: Mapping[str, Any] | None = None,
        layers: Mapping[str, Any] | None = None,
        raw: Raw | Mapping[str, Any] | None = None,
        *,
        shape: tuple[int, int] | None = None,
        filename: str | os.PathLike[str] | None = None,
        filemode: Literal["r", "r+"] | None = None,
        obsp: Mapping[str, Any] | None = None,
        varp: Mapping[str, Any] | None = None,
    ) -> None:
        if filename is not None or isinstance(X, AnnData):
            parts = [X, obs, var, uns, obsm, varm, layers, raw, shape, obsp, varp]
            self._take_whole(parts, filename, filemode)
            return
        labels: list[tuple[str, pd.Index]] = []
        if isinstance(X, pd.DataFrame):
            labels = [("obs", X.index)] if obs is not None else []
            labels += [("var", X.columns)] if var is not None else []
            obs = pd.DataFrame(index=X.index) if obs is None else obs
            var = pd.DataFrame(index=X.columns) if var is None else var
        check_dimensions(X)
        x = as_matrix(X)
        size: tuple[int | None, int | None] = shape or (None, None)
        if x is not None:
            size = (x.shape[0], x.shape[1])
        elif shape is None:
            size = inferred_shape((obs, var), layers, (obsm, varm), (obsp, varp))
        self._obs = FrameSlot(as_frame(obs, size[0], "obs"), "obs")
        self._var = FrameSlot(as_frame(var, size[1], "var"), "var")
        for axis, names in labels:
            check_same_names(names, self.obs if axis == "obs" else self.var, axis)
        self._x = MatrixSlot(x)
        self._uns = Uns(uns)
        self._layers = AlignedMapping("layers", self.shape, layers)
        self._obsm = AlignedMapping("obsm", self.shape, obsm)
        self._varm = AlignedMapping("varm", self.shape, varm)
        self._obsp = AlignedMapping("obsp", self.shape, obsp)
        self._varp = AlignedMapping("varp", self.shape, varp)
        self._backing: Backing | None = None
        self._raw = None
        self._align_tables(strict=True)
        self.raw = raw

    def _take_whole(
        self, parts: list[Any], filename: str | os.PathLike[str] | None, filemode: str | None
    ) -> None:
        """Become a file's object, or a copy of another object; no part may be given beside."""
        whole, *others = parts if filename is None else [None, *parts]
        if any(part is not None for part in others):
            source = "filename" if filename is not None else "an AnnData as X"
            raise ValueError(f"{source} gives all parts of the object: give no other part")
        if filemode not in (None, "r", "r+"):
            raise ValueError(f"filemode is 'r' or 'r+', found {filemode!r}")
        self._become(self._open(Path(filename)) if filename is not None else whole.copy())

    def _with_genes(self, x: MatrixSlot, var: FrameSlot, varm: AlignedMapping) -> Self:
        """Return the same cells with another matrix and other genes."""
        shape = (self.n_obs, len(var))
        mappings: dict[MappingName, AlignedMapping] = {"varm": varm}
        for source in (self._obsm, self._obsp):
            copied = AlignedMapping(source.name, shape)
            copied._values = source.copy().stored()
            mappings[source.name] = copied
        return type(self)._assemble(
            x=x,
            obs=self._obs.copy(),
            var=var,
            uns=self._uns.copy(),
            mappings=mappings,
            backing=None,
        )

    # -- names ----------------------------------------------------------------------------

    def _rename(self, axis: AxisName, names: Any) -> None:
        """Give new names to the cells or genes, also in tables of obsm or varm."""
        if axis == "obs":
            self._obs.index = names
            self._obsm.rename(0, self._obs.index)
            self._obs.note_names()
        else:
            self._var.index = names
            self._varm.rename(1, self._var.index)
            self._var.note_names()

    def obs_names_make_unique(self, join: str = "-") -> None:
        """Append numbers to repeated names of cells."""
        self.obs_names = make_index_unique(self.obs_names, join)

    def var_names_make_unique(self, join: str = "-") -> None:
        """Append numbers to repeated names of genes."""
        self.var_names = make_index_unique(self.var_names, join)

    # -- raw ------------------------------------------------------------------------------

    @property
    def raw(self) -> Raw | None:
        """The matrix and genes before filtering, or None."""
        return None if self._raw is None else Raw(self._raw, self)

    @raw.setter
    def raw(self, value: Any) -> None:
        self._raw = raw_parts(value, self.n_obs, AnnData)

    @raw.deleter
    def raw(self) -> None:
        self._raw = None

    # -- selection ------------------------------------------------------------------------

    def _inplace_subset_obs(self, key: Any) -> None:
        """Keep only some cells of this object."""
        self._become(self[key])

    def _inplace_subset_var(self, key: Any) -> None:
        """Keep only some genes of this object."""
        self._become(self[:, key])

    def to_df(self, layer: str | None = None) -> pd.DataFrame:
        """Return X or a layer as a dense table of shape (n_obs, n_vars), read now."""
        values = lazy.materialize(self.X if layer is None else self.layers[layer])
        if values is None:
            raise ValueError("the object has no X; name a layer")
        dense = values.toarray() if hasattr(values, "toarray") else values
        return pd.DataFrame(dense, index=self.obs_names, columns=self.var_names)

    def __eq__(self, other: object) -> NoReturn:
        raise NotImplementedError(
            "objects are not compared with ==; compare their parts, e.g. a.obs.equals(b.obs), or "
            "use `a is b`"
        )

    __hash__ = object.__hash__  # an object is a key of what is remembered of it

    def __contains__(self, key: object) -> NoReturn:
        raise AttributeError(
            "an AnnData does not say what is in it: look in obs, obs_names, var, var_names, …"
        )

    # -- description ----------------------------------------------------------------------

    def __repr__(self) -> str:
        return describe(self)

    def _repr_html_(self) -> str:
        """What a notebook shows. Reads no matrix."""
        from lazyomics.container.page import html_of_anndata

        return html_of_anndata(self)

    def __sizeof__(self) -> int:
        return summary.held_bytes(self)

    @property
    def nbytes(self) -> int:
        """Bytes that the object takes once it is loaded; known without loading it."""
        return summary.loaded_bytes(self)

    def obs_keys(self) -> list[str]:
        """Names of the columns of obs."""
        return list(self._obs.columns)

    def var_keys(self) -> list[str]:
        """Names of the columns of var."""
        return list(self._var.columns)

    def obsm_keys(self) -> list[str]:
        """Keys of obsm."""
        return list(self._obsm)

    def varm_keys(self) -> list[str]:
        """Keys of varm."""
        return list(self._varm)

    def uns_keys(self) -> list[str]:
        """Keys of uns."""
        return sorted(self._uns)


completed(AnnData, "raw")
