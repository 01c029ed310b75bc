"""Text in attributes, in each of the forms that other programs give it."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["text"]


def text(value: Any) -> str:
    """Python text of a string attribute: ``str``, UTF-8 ``bytes``, or an array of one of them."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)
