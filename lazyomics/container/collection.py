"""An object as a dask collection: compute, persist, and dask.compute(adata) itself.

The object is not a dataclass that dask walks: walking would read every field, while a stored
obsm or uns entry must stay in the file when only X is persisted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, cast

import dask.threaded
from dask.highlevelgraph import HighLevelGraph
from dask.utils import ensure_dict

from lazyomics import graph
from lazyomics.container.deferred import deferred_recipe
from lazyomics.container.ports import Backing
from lazyomics.graph.loading import load_stored, loads_stored

__all__ = ["LazyCollection"]


class LazyCollection:
    """The dask side of AnnData and MuData.

    A subclass says in ``_held_parts`` which matrices are lazy or stored, by their places, and in
    ``_lazy_parts`` the same with stored ones opened. ``_with_parts`` returns a copy with others in
    these places, ``_put_parts`` puts them there; ``_load_stored`` reads all the rest, of which
    ``_load_tables`` reads the tables. ``_sharing`` returns another object of the same parts.
    """

    _backing: Backing | None

    def compute(self) -> Self:
        """Return the object in memory: scipy CSR (CSC) or numpy matrices, not backed.

        What is in memory already is copied, unlike by ``to_memory``.

        Notes
        -----
        Passes over X: one; of a MuData one of each modality, in one run of dask. Peak memory: the
        result and the blocks in flight.
        """
        return self.to_memory(copy=True)

    def to_memory(self, *, copy: bool = False) -> Self:
        """Return the object in memory: scipy CSR (CSC) or numpy matrices, not backed.

        Parameters
        ----------
        copy
            Whether to copy what is in memory already; without it the new object shares the
            matrices, arrays and columns that are.

        Notes
        -----
        Passes over X: one; of a MuData one of each modality, in one run of dask. Peak memory: the
        result and the blocks in flight.
        """
        collection: Any = self
        made = collection.copy() if copy else collection._sharing()
        made._put_parts(_computed(made))
        made._load_stored()
        return cast("Self", made)

    def persist(self) -> Self:
        """Return the object with its lazy matrices kept as blocks in memory (of the cluster)."""
        from dask import persist

        collection: Any = self
        parts = collection._lazy_parts()
        return collection._with_parts(dict(zip(parts, persist(*parts.values()), strict=True)))

    def __dask_graph__(self: Any) -> Any:
        parts = self._lazy_parts()
        if not parts:
            return None
        return HighLevelGraph.merge(*(x.__dask_graph__() for x in parts.values()))

    def __dask_keys__(self: Any) -> list[Any]:
        return [x.__dask_keys__() for x in self._lazy_parts().values()]

    def __dask_layers__(self: Any) -> tuple[Any, ...]:
        return sum((tuple(x.__dask_layers__()) for x in self._lazy_parts().values()), ())

    def __dask_tokenize__(self: Any) -> Any:
        return id(self), [x.name for x in self._lazy_parts().values()]

    __dask_scheduler__ = staticmethod(dask.threaded.get)

    @staticmethod
    def __dask_optimize__(graph: Any, keys: Any, **_: Any) -> Any:
        """Optimize as arrays are, when one of several results is an input of another.

        dask fuses whole layers by the dependencies of layers, and takes results that others build
        on for inner ones; as single tasks they stay what they are.
        """
        from dask.array import Array

        return Array.__dask_optimize__(ensure_dict(graph), keys)

    def __dask_postcompute__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _finish, (self,)

    def __dask_postpersist__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (self,)


def _computed(collection: Any) -> dict[Any, Any]:
    """Every lazy or stored matrix in memory, by its place."""
    recipes = {place: deferred_recipe(held) for place, held in collection._held_parts().items()}
    stored = [recipe for recipe in recipes.values() if recipe is not None]
    if len(stored) == len(recipes) and loads_stored(stored):
        values = load_stored(stored, beside=collection._load_tables)
        return dict(zip(recipes, values, strict=True))
    parts = collection._lazy_parts()
    return dict(zip(parts, graph.materialize_all(list(parts.values())), strict=True))


def _finish(results: list[Any], collection: Any) -> Any:
    values = {}
    for (place, x), blocks in zip(collection._lazy_parts().items(), results, strict=True):
        function, extra = x.__dask_postcompute__()
        values[place] = function(blocks, *extra)
    made = collection._with_parts(values)
    made._load_stored()
    return made


def _rebuild(graph: Any, collection: Any, *, rename: Mapping[str, str] | None = None) -> Any:
    values = {}
    for place, x in collection._lazy_parts().items():
        function, extra = x.__dask_postpersist__()
        values[place] = function(graph, *extra, rename=rename)
    return collection._with_parts(values)
