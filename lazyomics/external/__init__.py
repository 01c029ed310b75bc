"""What scanpy keeps in its namespace ``external``."""

from __future__ import annotations

from typing import NoReturn

from lazyomics.external import pl, pp
from lazyomics.missing import missing

__all__ = ["pl", "pp"]


def __getattr__(name: str) -> NoReturn:
    raise missing("external", name)


def __dir__() -> list[str]:
    return sorted(__all__)
