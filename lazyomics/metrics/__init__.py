"""Measures of values on the neighbour graph, and of groups of cells."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.metrics.confusion_matrix import confusion_matrix
from lazyomics.metrics.gearys_c import gearys_c
from lazyomics.metrics.modularity import modularity
from lazyomics.metrics.morans_i import morans_i
from lazyomics.missing import missing

__all__ = ["confusion_matrix", "gearys_c", "modularity", "morans_i"]


def __getattr__(name: str) -> NoReturn:
    raise missing("metrics", name)


def __dir__() -> list[str]:
    return sorted(__all__)
