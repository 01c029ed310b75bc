"""Lazy arrays inside of unstructured values, which no one computes with the matrices."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any

from lazyomics.container.nested import is_nested
from lazyomics.graph.kinds import is_dask_array

__all__ = ["compute_inside", "computed"]


def computed(value: Any) -> Any:
    """Return a value with the dask arrays in it computed, at any depth of mappings in mappings.

    An AnnData in it is loaded.

    Examples
    --------
    >>> import dask.array as da
    >>> computed({"a": {"b": da.ones(2)}, "c": 1})
    {'a': {'b': array([1., 1.])}, 'c': 1}
    """
    if is_dask_array(value):
        from lazyomics.graph import materialize

        return materialize(value)
    if isinstance(value, Mapping):
        changed = {key: computed(item) for key, item in value.items()}
        return value if all(changed[key] is item for key, item in value.items()) else changed
    return _in_memory(value) if is_nested(value) else value


_LOADING: ContextVar[tuple[int, ...]] = ContextVar("_LOADING", default=())


def _in_memory(adata: Any) -> Any:
    """Load an AnnData, whose file may be the one that is saved; one that holds itself stays."""
    above = _LOADING.get()
    of_ours = hasattr(adata, "_backing")
    if not of_ours or id(adata) in above or not (adata.isbacked or adata._lazy_parts()):
        return adata
    token = _LOADING.set((*above, id(adata)))
    try:
        return adata.to_memory()
    finally:
        _LOADING.reset(token)


def compute_inside(values: MutableMapping[str, Any]) -> None:
    """Replace the dask arrays among the values of a mapping, and in mappings there, by arrays."""
    for key, value in values.items():
        found = computed(value)
        if found is not value:
            values[key] = found
