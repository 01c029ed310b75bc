"""Normalisation of protein counts."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.missing import missing
from lazyomics.pp.clr import clr
from lazyomics.prot.pp.background import dsb

__all__ = ["clr", "dsb"]


def __getattr__(name: str) -> NoReturn:
    raise missing("prot.pp", name)


def __dir__() -> list[str]:
    return sorted(__all__)
