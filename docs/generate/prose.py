"""Give plain sentences in the Returns of docstrings the form that numpydoc expects."""

from __future__ import annotations

import inspect
from itertools import pairwise
from typing import Any

__all__ = ["indent_returns"]


def indent_returns(
    app: Any, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Put the type from the annotation above the sentences of Returns and indent them, in place.

    numpydoc takes each line there that is not indented for the type of a value. The parameters
    are those of the event ``autodoc-process-docstring``.

    Parameters
    ----------
    app, what, name, options
        Not used.
    obj
        What the docstring is of.
    lines
        Lines of the docstring.
    """
    for title in ("Returns", "Yields"):
        span = _section(lines, title)
        body = lines[span]
        if body and not any(line.startswith(" ") for line in body):
            lines[span] = [f"``{_annotation(obj)}``", *(f"    {line}".rstrip() for line in body)]


def _section(lines: list[str], title: str) -> slice:
    """Lines below a heading, up to the next heading."""
    headings = [
        number
        for number, (line, below) in enumerate(pairwise(lines))
        if line.strip() and below.startswith("---")
    ]
    for place, number in enumerate(headings):
        if lines[number].strip() == title:
            following = headings[place + 1] if place + 1 < len(headings) else len(lines)
            return slice(number + 2, following)
    return slice(0, 0)


def _annotation(obj: object) -> str:
    plain = getattr(obj, "fget", obj)
    annotations = getattr(inspect.unwrap(plain), "__annotations__", {})  # type: ignore[arg-type]
    found = annotations.get("return", "value")
    return found if isinstance(found, str) else getattr(found, "__name__", str(found))
