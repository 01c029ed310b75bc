"""Attributes whose keys notebooks can complete."""

from __future__ import annotations

from typing import Any

__all__ = ["completed"]


class Part:
    """An attribute that works as the property that it is made of.

    IPython completes ``adata.obsm["`` only where reading the attribute does not run a property of
    a class that it does not know. These are cheap to read, and so are none.
    """

    def __init__(self, made_of: property) -> None:
        self._property = made_of
        self.fget, self.fset, self.fdel = made_of.fget, made_of.fset, made_of.fdel
        self.__doc__ = made_of.__doc__

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else self._property.__get__(owner, kind)

    def __set__(self, owner: Any, value: Any) -> None:
        self._property.__set__(owner, value)

    def __delete__(self, owner: Any) -> None:
        self._property.__delete__(owner)


def completed(kind: type, *names: str) -> None:
    """Let the keys of some properties of a class be completed."""
    for name in names:
        setattr(kind, name, Part(vars(kind)[name]))
