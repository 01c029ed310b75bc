"""Names that resemble one that is not there."""

from __future__ import annotations

from collections.abc import Iterable

from lazyomics.names import near

__all__ = ["near_matches"]

_MOST_SHOWN = 20


def near_matches(name: str, known: Iterable[object], otherwise: str = "") -> str:
    """Return the end of a message that names what was probably meant.

    Parameters
    ----------
    name
        What was asked for.
    known
        What there is.
    otherwise
        If nothing resembles it, all names that there are follow these words.

    Returns
    -------
    Text that begins with a separator, or is empty.

    Examples
    --------
    >>> near_matches("lovain", ["louvain", "n_genes"])
    "; did you mean 'louvain'?"
    >>> near_matches("x", ["louvain", "n_genes"], "there are")
    '; there are louvain, n_genes'
    >>> near_matches("x", [])
    ''
    """
    names = [str(found) for found in known]
    if close := near(name, names):
        return f"; did you mean {' or '.join(map(repr, close))}?"
    if not otherwise or not names:
        return ""
    more = ", …" if len(names) > _MOST_SHOWN else ""
    return f"; {otherwise} {', '.join(names[:_MOST_SHOWN])}{more}"
