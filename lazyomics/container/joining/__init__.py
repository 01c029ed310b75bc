"""Joining objects along an axis without reading them."""

from lazyomics.container.joining.concat import concat

__all__ = ["concat"]
