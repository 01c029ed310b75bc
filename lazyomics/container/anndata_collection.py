"""The lazy matrices of an AnnData, by their places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dask.array as da

from lazyomics.container.collection import LazyCollection
from lazyomics.container.deferred import is_deferred
from lazyomics.container.slots import MatrixSlot
from lazyomics.graph import to_memory_format

__all__ = ["LazyParts"]

Place = tuple[str, str]  # mapping name and key; ("X", "") and ("raw", "") for the matrices


class LazyParts(LazyCollection):
    """The dask side of AnnData."""

    def explain(self: Any) -> Any:
        """Say what one pass over each lazy matrix costs, see ``lo.explain``. Reads no values."""
        from lazyomics.container.explain import explain

        return explain(self)

    def _lazy_parts(self: Any) -> dict[Place, da.Array]:
        """Return every lazy matrix by its place. Stored ones are opened, not read."""
        parts: dict[Place, da.Array] = {}
        if isinstance(self.X, da.Array):
            parts["X", ""] = self.X
        if self._raw is not None and isinstance(self._raw.x.value, da.Array):
            parts["raw", ""] = self._raw.x.value
        for mapping in self._mappings():
            opened = mapping.name in ("layers", "obsp", "varp")
            for key, value in mapping.stored().items():
                if is_deferred(value) and opened:
                    value = mapping[key]
                if isinstance(value, da.Array):
                    parts[mapping.name, key] = value
        return parts

    def _with_parts(self: Any, values: Mapping[Place, Any]) -> Any:
        """Return a copy with some of its matrices replaced."""
        made = self.copy()
        for (name, key), value in values.items():
            value = to_memory_format(value)
            if name == "X":
                made._x = MatrixSlot(value)
            elif name == "raw" and made._raw is not None:
                made._raw.x = MatrixSlot(value)
            else:
                getattr(made, f"_{name}")[key] = value
        return made

    def _load_stored(self: Any) -> None:
        """Read everything that is still in the file into the object, and forget the file."""
        _ = self.obs, self.var
        mappings = [*self._mappings(), self.uns]
        if self._raw is not None:
            _ = self._raw.var.frame
            mappings.append(self._raw.varm)
        for mapping in mappings:
            for key in mapping:
                mapping[key]
        self._backing = None
