"""Verbs that take an AnnData or a MuData: one function with the parameters of each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from lazyomics.container.given import has_modalities
from lazyomics.names import check_keywords

__all__ = ["VerbOfBoth", "by_kind"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R", covariant=True)
S = TypeVar("S", covariant=True)


class VerbOfBoth(Protocol[P, R, Q, S]):
    """A function of an AnnData, and of a MuData with parameters of its own."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> S: ...


def by_kind(
    verb: str,
    of_cells: Callable[P, R],
    of_modalities: Callable[Q, S],
    *,
    of_whole: Callable[[Any, Mapping[str, Any]], bool] | None = None,
) -> VerbOfBoth[P, R, Q, S]:
    """Make one verb of a function for an AnnData and one for a MuData.

    Each keeps its own defaults: what a caller leaves out is filled in by the function that runs.
    The documentation is that of the first, the attribute ``of_modalities`` the second.

    Parameters
    ----------
    verb
        Public name, such as ``"pp.neighbors"``.
    of_cells
        Called with an AnnData, and with what is neither, which it refuses.
    of_modalities
        Called with a MuData.
    of_whole
        Returns whether the keywords that were given with a MuData ask for arrays of the whole, of
        which ``of_cells`` takes care as if it were an AnnData.

    Examples
    --------
    >>> import lazyomics as lo
    >>> lo.pp.neighbors(lo.AnnData([[0.0], [1.0]]), n_multineighbors=5)
    Traceback (most recent call last):
    ...
    TypeError: pp.neighbors of an AnnData takes no n_multineighbors, which a MuData has
    """
    names = {f: list(inspect.signature(f).parameters) for f in (of_cells, of_modalities)}
    parameters = [p for f in names for p in inspect.signature(f).parameters.values()]
    open_ended = any(p.kind == p.VAR_KEYWORD for p in parameters)
    first_names = {names[of_cells][0], names[of_modalities][0]}

    @wraps(of_cells)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = first_names & set(kwargs) if not args else set()
        if len(given) == 1:
            args = (kwargs.pop(given.pop()),)
        if not open_ended:
            check_keywords(verb, kwargs, [*names[of_cells], *names[of_modalities]])
        if not args or not has_modalities(args[0]):
            _refuse(verb, "an AnnData", "a MuData", kwargs, names[of_modalities], names[of_cells])
            return of_cells(*args, **kwargs)
        if of_whole is not None and of_whole(args[0], kwargs):
            whole = "arrays of the whole"
            _refuse(verb, whole, "several graphs", kwargs, names[of_modalities], names[of_cells])
            return of_cells(*args, **kwargs)
        _refuse(verb, "a MuData", "an AnnData", kwargs, names[of_cells], names[of_modalities])
        return of_modalities(*args, **kwargs)

    call.__name__ = call.__qualname__ = verb.rpartition(".")[2]
    call.of_modalities = of_modalities  # type: ignore[attr-defined]
    return call


def _refuse(
    verb: str,
    found: str,
    other: str,
    given: Iterable[str],
    of_other: Iterable[str],
    allowed: Iterable[str],
) -> None:
    foreign = [name for name in given if name in of_other and name not in allowed]
    if foreign:
        raise TypeError(f"{verb} of {found} takes no {', '.join(foreign)}, which {other} has")
