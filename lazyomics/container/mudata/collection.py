"""The lazy matrices of a MuData: all modalities are computed together, shared blocks once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lazyomics.container.collection import LazyCollection
from lazyomics.container.deferred import is_deferred
from lazyomics.container.lazy_values import compute_inside
from lazyomics.graph.kinds import is_dask_array, to_memory_format

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["LazyModalities"]

Place = tuple[str, str, str]  # modality ("" for the whole), mapping and key


class LazyModalities(LazyCollection):
    """The dask side of MuData."""

    def _held_parts(self: Any) -> dict[Place, Any]:
        """Return every matrix that is lazy or stored, by its place and as it is held."""
        parts: dict[Place, Any] = {}
        for mod, adata in self.mod.items():
            parts.update({(mod, *place): held for place, held in adata._held_parts().items()})
        for mapping in self._mappings():
            is_matrix = mapping.name in ("obsp", "varp")
            for key, value in mapping.stored().items():
                if is_dask_array(value) or (is_matrix and is_deferred(value)):
                    parts["", mapping.name, key] = value
        return parts

    def _lazy_parts(self: Any) -> dict[Place, da.Array]:
        """Return every lazy matrix by its place. Stored ones are opened, not read."""
        parts: dict[Place, Any] = {}
        for mod, adata in self.mod.items():
            parts.update({(mod, *place): x for place, x in adata._lazy_parts().items()})
        mappings = {mapping.name: mapping for mapping in self._mappings()}
        for mod, name, key in self._held_parts():
            if not mod:
                parts["", name, key] = mappings[name][key]
        return {place: x for place, x in parts.items() if is_dask_array(x)}

    def _sharing(self: Any) -> Any:
        """Return another object whose modalities hold the same matrices, arrays and columns."""
        return self._with_modalities({mod: adata._sharing() for mod, adata in self.mod.items()})

    def _with_parts(self: Any, values: Mapping[Place, Any]) -> Any:
        """Return a copy with some of its matrices replaced."""
        made = self._with_modalities({mod: adata.copy() for mod, adata in self.mod.items()})
        made._put_parts(values)
        return made

    def _put_parts(self: Any, values: Mapping[Place, Any]) -> None:
        """Replace some of the matrices."""
        for mod, adata in self.mod.items():
            adata._put_parts({place[1:]: v for place, v in values.items() if place[0] == mod})
        for mapping in self._mappings():
            for (mod, name, key), value in values.items():
                if mod == "" and name == mapping.name:
                    mapping[key] = to_memory_format(value)

    def _load_tables(self: Any) -> None:
        """Read the tables of all modalities and of the whole, if they are still in the file."""
        for adata in self.mod.values():
            adata._load_tables()
        _ = self.obs, self.var

    def _load_stored(self: Any) -> None:
        """Read everything that is still in the file into the object, and forget the file."""
        for adata in self.mod.values():
            adata._load_stored()
        self._load_tables()
        for mapping in (self.obsmap, self.varmap):
            for key in mapping:
                mapping[key]
        for mapping in (*self._mappings(), self.uns):
            compute_inside(mapping)
        self._backing = None
