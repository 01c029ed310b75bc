"""Containers: annotated matrices whose large parts stay lazy.

What a name stands for is imported when it is asked for, as pandas and scipy come with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazyomics.importing import import_whole

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData
    from lazyomics.container.raw import Raw

__all__ = ["AnnData", "Raw"]

_HOMES = {"AnnData": "anndata", "Raw": "raw"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lazyomics.container' has no attribute {name!r}")
    value = getattr(import_whole(f"lazyomics.container.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
