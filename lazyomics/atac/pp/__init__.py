"""Preprocessing of counts of peaks."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.missing import missing
from lazyomics.pp.binarize import binarize
from lazyomics.pp.tfidf import tfidf

__all__ = ["binarize", "tfidf"]


def __getattr__(name: str) -> NoReturn:
    raise missing("atac.pp", name)


def __dir__() -> list[str]:
    return sorted(__all__)
