"""Joining objects along an axis without reading them."""

from __future__ import annotations

from lazyomics.container.concat.concat import concat

__all__ = [
    "concat",
]
