"""Plots that scanpy calls external; matplotlib is imported when the first one is made."""

from __future__ import annotations

from lazyomics.external.pl.score_distribution import scrublet_score_distribution

__all__ = ["scrublet_score_distribution"]


def __dir__() -> list[str]:
    return sorted(__all__)
