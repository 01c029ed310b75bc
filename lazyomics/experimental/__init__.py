"""What scanpy calls experimental: its interface may change with scanpy's."""

from __future__ import annotations

from lazyomics.experimental import pp

__all__ = ["pp"]


def __dir__() -> list[str]:
    return sorted(__all__)
