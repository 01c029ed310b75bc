"""Plots that scanpy calls external; matplotlib is imported when the first one is made."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.external.pl.score_distribution import scrublet_score_distribution
from lazyomics.missing import missing

__all__ = ["scrublet_score_distribution"]


def __getattr__(name: str) -> NoReturn:
    raise missing("external.pl", name)


def __dir__() -> list[str]:
    return sorted(__all__)
