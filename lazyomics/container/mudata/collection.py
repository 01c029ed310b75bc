"""A MuData as a dask collection: all modalities are computed together, shared blocks once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import dask.array as da
import dask.threaded
from dask.highlevelgraph import HighLevelGraph

from lazyomics.container.collection import (
    lazy_parts,
    load_stored,
    optimize_together,
    replace_parts,
)
from lazyomics.container.mappings import AlignedMapping, is_deferred
from lazyomics.graph import materialize_all, to_memory_format

if TYPE_CHECKING:
    from lazyomics.container.mudata.object import MuData

__all__ = ["LazyModalities"]

Place = tuple[str, str, str]  # modality ("" for the whole), mapping and key


class LazyModalities:
    """The dask side of MuData."""

    def compute(self) -> Self:
        """Return the object in memory: scipy or numpy matrices in every modality, not backed.

        Notes
        -----
        Passes over X: one of each modality, in one run of dask. Peak memory: the result and
        the blocks in flight.
        """
        mdata: Any = self
        parts = every_part(mdata)
        values = materialize_all(list(parts.values()))
        return _loaded(mdata, dict(zip(parts, values, strict=True)))

    to_memory = compute

    def persist(self) -> Self:
        """Return the object with its lazy matrices kept as blocks in memory (of the cluster)."""
        from dask import persist

        mdata: Any = self
        parts = every_part(mdata)
        values = persist(*parts.values())
        return _replaced(mdata, dict(zip(parts, values, strict=True)))

    def __dask_graph__(self: Any) -> Any:
        parts = every_part(self)
        if not parts:
            return None
        return HighLevelGraph.merge(*(x.__dask_graph__() for x in parts.values()))

    def __dask_keys__(self: Any) -> list[Any]:
        return [x.__dask_keys__() for x in every_part(self).values()]

    def __dask_layers__(self: Any) -> tuple[Any, ...]:
        return sum((tuple(x.__dask_layers__()) for x in every_part(self).values()), ())

    def __dask_tokenize__(self: Any) -> Any:
        return id(self), [x.name for x in every_part(self).values()]

    __dask_optimize__ = staticmethod(optimize_together)
    __dask_scheduler__ = staticmethod(dask.threaded.get)

    def __dask_postcompute__(self: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _finish, (self,)

    def __dask_postpersist__(self: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (self,)


def every_part(mdata: MuData) -> dict[Place, da.Array]:
    """Return every lazy matrix by its place. Stored ones are opened, not read."""
    parts: dict[Place, da.Array] = {}
    for mod, adata in mdata.mod.items():
        parts.update({(mod, name, key): x for (name, key), x in lazy_parts(adata).items()})
    for mapping in global_mappings(mdata):
        for key, value in mapping.stored().items():
            if is_deferred(value) and mapping.name in ("obsp", "varp"):
                value = mapping[key]
            if isinstance(value, da.Array):
                parts["", mapping.name, key] = value
    return parts


def global_mappings(mdata: MuData) -> tuple[AlignedMapping, ...]:
    """obsm, obsp, varm and varp of the whole object."""
    return tuple(m for axis in mdata._axes.values() for m in (axis.arrays, axis.pairs))


def _replaced(mdata: MuData, values: Mapping[Place, Any]) -> Any:
    """Return a copy with some of its matrices replaced."""
    mods = {}
    for mod, adata in mdata.mod.items():
        mine = {(name, key): v for (m, name, key), v in values.items() if m == mod}
        mods[mod] = replace_parts(adata, mine)
    made = mdata._with_modalities(mods)
    for mapping in global_mappings(made):
        for (mod, name, key), value in values.items():
            if mod == "" and name == mapping.name:
                mapping[key] = to_memory_format(value)
    return made


def _loaded(mdata: MuData, values: Mapping[Place, Any]) -> Any:
    """Return an object that refers to no file any more."""
    made = _replaced(mdata, values)
    for adata in made.mod.values():
        load_stored(adata)
        adata._backing = None
    _ = made.obs, made.var
    for mapping in (*global_mappings(made), made.obsmap, made.varmap):
        for key in mapping:
            mapping[key]
    for key in made.uns:
        made.uns[key]
    made._backing = None
    return made


def _finish(results: list[Any], mdata: MuData) -> Any:
    values = {}
    for (place, x), blocks in zip(every_part(mdata).items(), results, strict=True):
        function, extra = x.__dask_postcompute__()
        values[place] = function(blocks, *extra)
    return _loaded(mdata, values)


def _rebuild(graph: Any, mdata: MuData, *, rename: Mapping[str, str] | None = None) -> Any:
    values = {}
    for place, x in every_part(mdata).items():
        function, extra = x.__dask_postpersist__()
        values[place] = function(graph, *extra, rename=rename)
    return _replaced(mdata, values)
