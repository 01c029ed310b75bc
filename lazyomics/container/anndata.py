"""AnnData: matrices that stay in their file, annotated by tables of cells and genes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self

import pandas as pd

from lazyomics import lazy
from lazyomics.container import ports, summary
from lazyomics.container.anndata_methods import AnnDataMethods
from lazyomics.container.annotated import (
    AnnotatedObject,
    AxisName,
    FileObject,
    LazyCollection,
    refuse_other_format,
    writable_path,
)
from lazyomics.container.constructing import check_dimensions, inferred_shape, raw_parts
from lazyomics.container.deferred import compute_inside, is_deferred
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
    align_tables,
    show_aligned,
)
from lazyomics.container.ports import Backing
from lazyomics.container.raw import Raw, RawParts
from lazyomics.container.slots import MatrixSlot, as_matrix, assigned_matrix
from lazyomics.container.summary import describe
from lazyomics.lazy.indexer import Selector, is_whole
from lazyomics.lazy.kinds import is_dask_array, to_memory_format

if TYPE_CHECKING:
    import dask.array as da

__all__ = [
    "AlignedParts",
    "AnnData",
    "LazyParts",
    "StoredAnnData",
]


class AlignedParts(AnnotatedObject):
    """X, obs, var, layers, obsm, varm, obsp and varp: what they hold, and checks of new values."""

    _x: MatrixSlot
    _obs: FrameSlot
    _raw: RawParts | None
    _var: FrameSlot
    _layers: AlignedMapping
    _obsm: AlignedMapping
    _varm: AlignedMapping
    _obsp: AlignedMapping
    _varp: AlignedMapping

    @property
    def X(self) -> Any:
        """Matrix of shape (n_obs, n_vars): a dask array when lazy, else ndarray or scipy.

        Assigning takes a matrix of that shape as it is, also on a selection, which shares nothing
        with what it was selected from; the values of the only cell or gene; or a number, which
        fills the matrix.
        """
        return self._x.value

    @X.setter
    def X(self, value: Any) -> None:
        self._x = MatrixSlot(assigned_matrix(value, self.shape, self._x))

    @X.deleter
    def X(self) -> None:
        self._x = MatrixSlot(None)

    @property
    def obs(self) -> pd.DataFrame:
        """Table of the cells, read on first access."""
        return self._obs.frame

    @obs.setter
    def obs(self, value: Any) -> None:
        self._obs.replace(as_frame(value, self.n_obs, "obs"))

    @obs.deleter
    def obs(self) -> None:
        self._obs.replace(pd.DataFrame(index=self.obs_names))

    @property
    def var(self) -> pd.DataFrame:
        """Table of the genes, read on first access."""
        return self._var.frame

    @var.setter
    def var(self, value: Any) -> None:
        self._var.replace(as_frame(value, self.n_vars, "var"))

    @var.deleter
    def var(self) -> None:
        self._var.replace(pd.DataFrame(index=self.var_names))

    @property
    def layers(self) -> AlignedMapping:
        """Matrices of the shape of X, each lazy when it is in a file."""
        return self._layers

    @layers.setter
    def layers(self, value: Mapping[str, Any]) -> None:
        self._layers = self._layers.succeeded(value)

    @layers.deleter
    def layers(self) -> None:
        self._layers = AlignedMapping("layers", self.shape)

    @property
    def obsm(self) -> AlignedMapping:
        """Arrays of the cells, read entry by entry."""
        return show_aligned(self._obsm, self._obs)

    @obsm.setter
    def obsm(self, value: Mapping[str, Any]) -> None:
        self._obsm = self.obsm.succeeded(value)

    @obsm.deleter
    def obsm(self) -> None:
        self._obsm = AlignedMapping("obsm", self.shape)

    @property
    def varm(self) -> AlignedMapping:
        """Arrays of the genes, read entry by entry."""
        return show_aligned(self._varm, self._var)

    @varm.setter
    def varm(self, value: Mapping[str, Any]) -> None:
        self._varm = self.varm.succeeded(value)

    @varm.deleter
    def varm(self) -> None:
        self._varm = AlignedMapping("varm", self.shape)

    @property
    def obsp(self) -> AlignedMapping:
        """Square matrices of the cells, lazy when they are in a file."""
        return self._obsp.follow(self._obs)

    @obsp.setter
    def obsp(self, value: Mapping[str, Any]) -> None:
        self._obsp = self.obsp.succeeded(value)

    @obsp.deleter
    def obsp(self) -> None:
        self._obsp = AlignedMapping("obsp", self.shape)

    @property
    def varp(self) -> AlignedMapping:
        """Square matrices of the genes, lazy when they are in a file."""
        return self._varp.follow(self._var)

    @varp.setter
    def varp(self, value: Mapping[str, Any]) -> None:
        self._varp = self.varp.succeeded(value)

    @varp.deleter
    def varp(self) -> None:
        self._varp = AlignedMapping("varp", self.shape)

    def _align_tables(self, *, strict: bool = False) -> None:
        """Let tables in obsm and varm have the names of the cells and genes as they are now."""
        aligned = [(self._obsm, self._obs), (self._varm, self._var)]
        if self._raw is not None:
            aligned.append((self._raw.varm, self._raw.var))
        align_tables(aligned, strict=strict)

    def _mappings(self) -> tuple[AlignedMapping, ...]:
        return self._layers, self._obsm, self._varm, self._obsp, self._varp


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
        return ports.storage().open(path)

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
        on_conflict: ports.OnConflict = "raise",
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
        filters: ports.Filters = {
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
            ports.storage().save(
                self, overwrite_x=overwrite_x, on_conflict=on_conflict, **text, **filters
            )
        else:
            ports.storage().write(
                self,
                writable_path(str(filename)),
                storage=storage,
                as_dense=as_dense,
                **text,
                **filters,
            )

    write = write_h5ad


Place = tuple[str, str]  # mapping name and key; ("X", "") and ("raw", "") for the matrices


class LazyParts(LazyCollection):
    """The dask side of AnnData."""

    def explain(self: Any) -> Any:
        """Say what one pass over each lazy matrix costs, see ``lo.explain``. Reads no values."""
        from lazyomics.container.explain import explain

        return explain(self)

    def _held_parts(self: Any) -> dict[Place, Any]:
        """Return every matrix that is lazy or stored, by its place and as it is held."""
        parts = {("X", ""): self._x.held}
        if self._raw is not None:
            parts["raw", ""] = self._raw.x.held
        for mapping in self._mappings():
            is_matrix = mapping.name in ("layers", "obsp", "varp")
            for key, value in mapping.stored().items():
                if is_matrix or not is_deferred(value):
                    parts[mapping.name, key] = value
        return {k: v for k, v in parts.items() if is_dask_array(v) or is_deferred(v)}

    def _lazy_parts(self: Any) -> dict[Place, da.Array]:
        """Return every lazy matrix by its place. Stored ones are opened, not read."""
        parts = {place: self._opened(*place) for place in self._held_parts()}
        return {place: x for place, x in parts.items() if is_dask_array(x)}

    def _opened(self: Any, name: str, key: str) -> Any:
        """Return the matrix in a place; a stored one is opened there."""
        if name == "X":
            return self.X
        return self._raw.x.value if name == "raw" else getattr(self, f"_{name}")[key]

    def _sharing(self: Any) -> Any:
        """Return another object that holds the same matrices, arrays and columns."""
        self._align_tables()
        raw = self._raw
        return type(self)._assemble(
            x=MatrixSlot(self._x.held),
            obs=_same_columns(self._obs),
            var=_same_columns(self._var),
            uns=Uns(self._uns.stored()),
            mappings={m.name: _same_values(m) for m in self._mappings()},
            raw=None
            if raw is None
            else RawParts(MatrixSlot(raw.x.held), _same_columns(raw.var), _same_values(raw.varm)),
            backing=self._backing,
        )

    def _with_parts(self: Any, values: Mapping[Place, Any]) -> Any:
        """Return a copy with some of its matrices replaced."""
        made = self.copy()
        made._put_parts(values)
        return made

    def _put_parts(self: Any, values: Mapping[Place, Any]) -> None:
        """Replace some of the matrices."""
        for (name, key), value in values.items():
            value = to_memory_format(value)
            if name == "X":
                self._x = MatrixSlot(value)
            elif name == "raw" and self._raw is not None:
                self._raw.x = MatrixSlot(value)
            else:
                getattr(self, f"_{name}")[key] = value

    def _load_tables(self: Any) -> None:
        """Read obs and var, and raw.var, if they are still in the file."""
        _ = self.obs, self.var
        if self._raw is not None:
            _ = self._raw.var.frame

    def _load_stored(self: Any) -> None:
        """Read everything that is still in the file into the object, and forget the file."""
        self._load_tables()
        mappings = [*self._mappings(), self.uns]
        if self._raw is not None:
            mappings.append(self._raw.varm)
        for mapping in mappings:
            compute_inside(mapping)
        self._backing = None


def _same_columns(slot: FrameSlot) -> FrameSlot:
    return FrameSlot(slot.stored if slot.stored is not None else slot.frame.copy(deep=False))


def _same_values(mapping: AlignedMapping) -> AlignedMapping:
    twin = AlignedMapping(mapping.name, mapping._shape)
    twin._values = mapping.stored()
    return twin


class AnnData(AnnDataMethods, AlignedParts, StoredAnnData, LazyParts):
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

    @classmethod
    def _assemble(
        cls,
        *,
        x: MatrixSlot,
        obs: FrameSlot,
        var: FrameSlot,
        uns: Uns,
        mappings: Mapping[MappingName, AlignedMapping],
        raw: RawParts | None = None,
        backing: Backing | None = None,
    ) -> Self:
        """Build an object from checked parts, without copying or reading them."""
        self = cls.__new__(cls)
        self._x, self._obs, self._var, self._uns = x, obs, var, uns
        self._raw, self._backing = raw, backing
        for name in ("layers", "obsm", "varm", "obsp", "varp"):
            made = mappings.get(name)
            held = AlignedMapping(name, (len(obs), len(var))) if made is None else made
            setattr(self, f"_{name}", held)
        if backing is not None:
            backing.remember(self)
        return self

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

    def __getitem__(self, key: Any) -> Self:
        row_key, col_key = split_key(key)
        rows = axis_selector(row_key, self.n_obs, lambda: self.obs_names, "obs")
        cols = axis_selector(col_key, self.n_vars, lambda: self.var_names, "var")
        return self._take(rows, cols)

    def _take(self, rows: Selector, cols: Selector) -> Self:
        """Return a lazy selection that shares nothing changeable with this object."""
        self._align_tables()
        obs, var = self._obs.take(rows), self._var.take(cols)
        shape = (len(obs), len(var))
        selectors = (rows, cols)
        everything = is_whole(rows, self.n_obs) and is_whole(cols, self.n_vars)
        raw, backing = self._raw, self._backing
        if backing is not None and not everything:
            backing = backing.selected(rows, cols)
        return type(self)._assemble(
            x=self._x.take(rows, cols, self.shape),
            obs=obs,
            var=var,
            uns=self._uns.take((self._obs, obs), (self._var, var)),
            mappings={m.name: m.take(selectors, shape) for m in self._mappings()},
            raw=None if raw is None else raw.take(rows, slice(0, len(raw.var), 1), self.n_obs),
            backing=backing,
        )

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
        from lazyomics.container.html import html_of_anndata

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
