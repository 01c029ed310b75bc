"""What scanpy calls experimental: its interface may change with scanpy's."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.experimental import pp
from lazyomics.missing import missing

__all__ = ["pp"]


def __getattr__(name: str) -> NoReturn:
    raise missing("experimental", name)


def __dir__() -> list[str]:
    return sorted(__all__)
