"""What an AnnData holds: matrices, tables and arrays, each in memory, lazy or stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from lazyomics.container.annotated import AnnotatedObject, FileObject, LazyCollection
from lazyomics.container.deferred import compute_inside, is_deferred
from lazyomics.container.frames import FrameSlot, as_frame
from lazyomics.container.index import axis_selector, split_key
from lazyomics.container.mappings import (
    AlignedMapping,
    MappingName,
    Uns,
    align_tables,
    show_aligned,
)
from lazyomics.container.parts import completed
from lazyomics.container.ports import Backing
from lazyomics.container.raw import RawParts
from lazyomics.container.slots import MatrixSlot, assigned_matrix
from lazyomics.lazy.indexer import Selector, is_whole
from lazyomics.lazy.kinds import is_dask_array, to_memory_format

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["AlignedParts", "AnnDataParts", "LazyParts"]


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


completed(AlignedParts, "obs", "var", "obsm", "varm", "layers", "obsp", "varp")

Place = tuple[str, str]  # mapping name and key; ("X", "") and ("raw", "") for the matrices


class LazyParts(LazyCollection):
    """The dask side of AnnData."""

    def explain(self: Any) -> Any:
        """Say what one pass over each lazy matrix costs, see ``lo.explain``. Reads no values."""
        from lazyomics.lazy.explain import plan_of

        matrices = {}
        for (place, key), x in self._lazy_parts().items():
            name = {"X": "X", "raw": "raw.X"}.get(place, f"{place}[{key!r}]")
            if x.ndim <= 2:
                matrices[name] = x
        return plan_of(matrices)

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


class AnnDataParts(AlignedParts, LazyParts, FileObject):
    """The parts of an AnnData together: made of checked ones, and selected."""

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
