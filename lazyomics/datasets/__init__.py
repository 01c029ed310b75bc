"""Data sets to try things on: one that is well known, and simulated ones of any size."""

from typing import NoReturn

from lazyomics.datasets.pbmc3k_files import pbmc3k, pbmc3k_processed
from lazyomics.datasets.scanpy_sets import (
    blobs,
    krumsiek11,
    paul15,
    pbmc68k_reduced,
    toggleswitch,
)
from lazyomics.datasets.simulation import simulate
from lazyomics.missing import missing

__all__ = [
    "blobs",
    "krumsiek11",
    "paul15",
    "pbmc3k",
    "pbmc3k_processed",
    "pbmc68k_reduced",
    "simulate",
    "toggleswitch",
]


def __getattr__(name: str) -> NoReturn:
    raise missing("datasets", name)


def __dir__() -> list[str]:
    return sorted(__all__)
