"""The lazy matrices of an AnnData, by their places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lazyomics.container.collection import LazyCollection
from lazyomics.container.deferred import is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.lazy_values import compute_inside
from lazyomics.container.mappings import AlignedMapping
from lazyomics.container.raw import RawParts
from lazyomics.container.slots import MatrixSlot
from lazyomics.container.uns import Uns
from lazyomics.graph.kinds import is_dask_array, to_memory_format

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["LazyParts"]

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
