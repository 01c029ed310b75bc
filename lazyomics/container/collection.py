"""An object as a dask collection: compute, persist, and dask.compute(adata) itself.

The object is not a dataclass that dask walks: walking would read every field, while a stored
obsm or uns entry must stay in the file when only X is persisted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import dask.array as da
import dask.threaded
from dask.highlevelgraph import HighLevelGraph
from dask.utils import ensure_dict

from lazyomics.container.mappings import is_deferred
from lazyomics.container.slots import MatrixSlot
from lazyomics.graph import materialize_all, to_memory_format

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["LazyParts"]

Place = tuple[str, str]  # mapping name and key; ("X", "") and ("raw", "") for the matrices


class LazyParts:
    """The dask side of AnnData."""

    def compute(self: Any) -> Any:
        """Return the object in memory: scipy CSR (CSC) or numpy matrices, not backed.

        Notes
        -----
        Passes over X: one. Peak memory: the result and the blocks in flight.
        """
        parts = lazy_parts(self)
        values = materialize_all(list(parts.values()))
        loaded = replace_parts(self, dict(zip(parts, values, strict=True)))
        load_stored(loaded)
        loaded._backing = None
        return loaded

    to_memory = compute

    def explain(self: Any) -> Any:
        """Say what one pass over each lazy matrix costs, see ``lo.explain``. Reads no values."""
        from lazyomics.container.explain import explain

        return explain(self)

    def persist(self: Any) -> Any:
        """Return the object with its lazy matrices kept as blocks in memory (of the cluster)."""
        from dask import persist

        parts = lazy_parts(self)
        return replace_parts(self, dict(zip(parts, persist(*parts.values()), strict=True)))

    def __dask_graph__(self: Any) -> Any:
        parts = lazy_parts(self)
        if not parts:
            return None
        return HighLevelGraph.merge(*(x.__dask_graph__() for x in parts.values()))

    def __dask_keys__(self: Any) -> list[Any]:
        return [x.__dask_keys__() for x in lazy_parts(self).values()]

    def __dask_layers__(self: Any) -> tuple[Any, ...]:
        return sum((tuple(x.__dask_layers__()) for x in lazy_parts(self).values()), ())

    def __dask_tokenize__(self: Any) -> Any:
        return id(self), [x.name for x in lazy_parts(self).values()]

    __dask_scheduler__ = staticmethod(dask.threaded.get)

    @staticmethod
    def __dask_optimize__(graph: Any, keys: Any, **kwargs: Any) -> Any:
        return optimize_together(graph, keys, **kwargs)

    def __dask_postcompute__(self: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _finish, (self, "compute")

    def __dask_postpersist__(self: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (self,)


def optimize_together(graph: Any, keys: Any, **_: Any) -> Any:
    """Optimize as arrays are, when one of several results is an input of another.

    dask fuses whole layers by the dependencies of layers, and takes results that others build on
    for inner ones; as single tasks they stay what they are.
    """
    return da.Array.__dask_optimize__(ensure_dict(graph), keys)


def lazy_parts(adata: AnnData) -> dict[Place, da.Array]:
    """Return every lazy matrix of an object by its place. Stored ones are opened, not read."""
    parts: dict[Place, da.Array] = {}
    if isinstance(adata.X, da.Array):
        parts["X", ""] = adata.X
    if adata._raw is not None and isinstance(adata._raw.x.value, da.Array):
        parts["raw", ""] = adata._raw.x.value
    for mapping in adata._mappings():
        opened = mapping.name in ("layers", "obsp", "varp")
        for key, value in mapping.stored().items():
            if is_deferred(value) and opened:
                value = mapping[key]
            if isinstance(value, da.Array):
                parts[mapping.name, key] = value
    return parts


def replace_parts(adata: AnnData, values: Mapping[Place, Any]) -> Any:
    """Return a copy of an object with some of its matrices replaced."""
    made = adata.copy()
    for (name, key), value in values.items():
        value = to_memory_format(value)
        if name == "X":
            made._x = MatrixSlot(value)
        elif name == "raw" and made._raw is not None:
            made._raw.x = MatrixSlot(value)
        else:
            getattr(made, f"_{name}")[key] = value
    return made


def load_stored(adata: AnnData) -> None:
    """Read everything that is still in the file into the object."""
    _ = adata.obs, adata.var
    mappings = [*adata._mappings()]
    if adata._raw is not None:
        _ = adata._raw.var.frame
        mappings.append(adata._raw.varm)
    for mapping in mappings:
        for key in mapping:
            mapping[key]
    for key in adata.uns:
        adata.uns[key]


def _finish(results: list[Any], adata: AnnData, _: str) -> Any:
    values = {}
    for (place, x), blocks in zip(lazy_parts(adata).items(), results, strict=True):
        function, extra = x.__dask_postcompute__()
        values[place] = function(blocks, *extra)
    made = replace_parts(adata, values)
    load_stored(made)
    made._backing = None
    return made


def _rebuild(graph: Any, adata: AnnData, *, rename: Mapping[str, str] | None = None) -> Any:
    values = {}
    for place, x in lazy_parts(adata).items():
        function, extra = x.__dask_postpersist__()
        values[place] = function(graph, *extra, rename=rename)
    return replace_parts(adata, values)
