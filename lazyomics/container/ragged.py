"""Awkward arrays, recognised without importing awkward."""

from __future__ import annotations

from typing import Any

__all__ = ["is_ragged"]


def is_ragged(value: Any) -> bool:
    """Whether a value is an ``awkward.Array``: rows of any length and type, never changed in place.

    Attributes do not tell, as those of an awkward array may be the fields of its records.
    """
    return type(value).__module__.partition(".")[0] == "awkward"
