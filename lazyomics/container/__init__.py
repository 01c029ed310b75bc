"""Containers: annotated matrices whose large parts stay lazy.

What a name stands for is imported when it is asked for, as pandas and scipy come with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazyomics.importing import import_whole

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData, Raw

__all__ = ["AnnData", "Raw"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lazyomics.container' has no attribute {name!r}")
    value = getattr(import_whole("lazyomics.container.anndata"), name)
    globals()[name] = value
    return value
