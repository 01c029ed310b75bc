"""Surface proteins, under the paths of ``muon.prot``."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.missing import missing
from lazyomics.prot import pp

__all__ = ["pp"]


def __getattr__(name: str) -> NoReturn:
    raise missing("prot", name)


def __dir__() -> list[str]:
    return sorted(__all__)
