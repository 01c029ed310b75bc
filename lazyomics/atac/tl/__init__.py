"""Components of counts of peaks."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.missing import missing
from lazyomics.tl.lsi import lsi

__all__ = ["lsi"]


def __getattr__(name: str) -> NoReturn:
    raise missing("atac.tl", name)


def __dir__() -> list[str]:
    return sorted(__all__)
