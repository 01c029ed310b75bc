"""Chromatin accessibility, under the paths of ``muon.atac``."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.atac import pp, tl
from lazyomics.missing import missing

__all__ = ["pp", "tl"]


def __getattr__(name: str) -> NoReturn:
    raise missing("atac", name)


def __dir__() -> list[str]:
    return sorted(__all__)
