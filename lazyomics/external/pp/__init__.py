"""Preprocessing that scanpy calls external."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.external.pp.balanced_neighbors import bbknn
from lazyomics.external.pp.harmony import harmony_integrate
from lazyomics.external.pp.mutual_neighbors import mnn_correct
from lazyomics.external.pp.panorama import scanorama_integrate
from lazyomics.external.pp.scrublet import scrublet, scrublet_simulate_doublets
from lazyomics.missing import missing

__all__ = [
    "bbknn",
    "harmony_integrate",
    "mnn_correct",
    "scanorama_integrate",
    "scrublet",
    "scrublet_simulate_doublets",
]


def __getattr__(name: str) -> NoReturn:
    raise missing("external.pp", name)


def __dir__() -> list[str]:
    return sorted(__all__)
