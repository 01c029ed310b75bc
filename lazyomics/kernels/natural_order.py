"""The order in which people expect numbered names: ``"x2"`` before ``"x10"``."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["natural_key"]


def natural_key(text: str) -> tuple[str | int, ...]:
    """Sort key under which numbers inside text are compared as numbers.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    Texts and integers in turn, beginning with a text, so that any two keys can be compared.
    """
    parts = re.split(r"(\d+)", unicodedata.normalize("NFD", text))
    return tuple(int(part) if i % 2 else part for i, part in enumerate(parts))
