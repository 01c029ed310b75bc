"""Keywords of plots: unknown ones are refused before anything is drawn."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar, cast

from matplotlib.artist import Artist, ArtistInspector

from lazyomics.names import check_keywords

__all__ = ["checked_keywords"]

P = ParamSpec("P")
R = TypeVar("R")


def checked_keywords(
    *drawn: Hashable, also: Iterable[str] = ()
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a plot, so that it refuses keywords that neither it nor what it calls knows.

    Parameters
    ----------
    drawn
        Functions that the other keywords are handed on to, and matplotlib's artists whose
        properties they are.
    also
        More keywords.

    Returns
    -------
    The decorator. It raises TypeError, naming the plot, the keyword and those that come near.

    Examples
    --------
    >>> @checked_keywords()
    ... def plot(adata, *, color=None): ...
    >>> plot(None, colour="leiden")
    Traceback (most recent call last):
    ...
    TypeError: pl.plot has no keyword 'colour'. Did you mean 'color'?
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        own = inspect.signature(function).parameters
        named = {name for name, p in own.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if not named.issuperset(kwargs):
                handed_on = [name for other in drawn for name in _taken(other)]
                verb = f"pl.{function.__name__}"
                more = f"help(lo.{verb}) lists its keywords"
                check_keywords(verb, kwargs, [*own, *also, *handed_on], more)
            return function(*args, **kwargs)

        return call

    return decorate


@cache
def _taken(other: Hashable) -> tuple[str, ...]:
    """Parameters of a function, or properties of an artist under all of their names."""
    if not (isinstance(other, type) and issubclass(other, Artist)):
        return tuple(inspect.signature(cast("Callable[..., Any]", other)).parameters)
    properties = ArtistInspector(other)
    aliases = (name for names in properties.aliasd.values() for name in names)
    return (*properties.get_setters(), *aliases)
