"""AnnData: an annotated matrix whose large parts stay lazy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn, Self

import pandas as pd

from lazyomics import graph
from lazyomics.container import sizes
from lazyomics.container.anndata_collection import LazyParts
from lazyomics.container.anndata_files import StoredAnnData
from lazyomics.container.anndata_methods import AnnDataMethods
from lazyomics.container.anndata_parts import AlignedParts
from lazyomics.container.annotated_object import AxisName
from lazyomics.container.constructing import check_dimensions, inferred_shape, raw_parts
from lazyomics.container.frames import FrameSlot, as_frame, check_same_names
from lazyomics.container.index import axis_selector, split_key
from lazyomics.container.mappings import AlignedMapping, MappingName
from lazyomics.container.names import make_index_unique
from lazyomics.container.ports import Backing
from lazyomics.container.raw import Raw, RawParts
from lazyomics.container.repr import describe
from lazyomics.container.slots import MatrixSlot, as_matrix
from lazyomics.container.uns import Uns
from lazyomics.graph.selection import Selector, is_whole

__all__ = ["AnnData"]


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
        self._align_tables(strict=True)
        self._backing: Backing | None = None
        self._raw: RawParts | None = None
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
        else:
            self._var.index = names
            self._varm.rename(1, self._var.index)

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
        values = graph.materialize(self.X if layer is None else self.layers[layer])
        if values is None:
            raise ValueError("the object has no X; name a layer")
        dense = values.toarray() if hasattr(values, "toarray") else values
        return pd.DataFrame(dense, index=self.obs_names, columns=self.var_names)

    def __contains__(self, key: object) -> NoReturn:
        raise AttributeError(
            "an AnnData does not say what is in it: look in obs, obs_names, var, var_names, …"
        )

    # -- description ----------------------------------------------------------------------

    def __repr__(self) -> str:
        return describe(self)

    def __sizeof__(self) -> int:
        return sizes.held_bytes(self)

    @property
    def nbytes(self) -> int:
        """Bytes that the object takes once it is loaded; known without loading it."""
        return sizes.loaded_bytes(self)

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
