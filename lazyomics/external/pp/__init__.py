"""Preprocessing that scanpy calls external."""

from __future__ import annotations

from lazyomics.external.pp.scrublet import scrublet, scrublet_simulate_doublets

__all__ = ["scrublet", "scrublet_simulate_doublets"]


def __dir__() -> list[str]:
    return sorted(__all__)
