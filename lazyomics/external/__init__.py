"""What scanpy keeps in its namespace ``external``."""

from __future__ import annotations

from lazyomics.external import pp

__all__ = ["pp"]


def __dir__() -> list[str]:
    return sorted(__all__)
