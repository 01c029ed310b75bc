"""Objects that are remembered for as long as they live."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Remembered"]

T = TypeVar("T")


class Remembered(Generic[T]):
    """A set of objects by identity that does not keep them alive.

    Unlike the collections of :mod:`weakref` it runs no Python code when one of them dies. That
    happens at any moment, often right after HDF5 was at work for long, and Python ignores a
    KeyboardInterrupt there: Ctrl-C would be lost.
    """

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[T]] = {}
        self._room = 16

    def add(self, item: T) -> None:
        """Remember an object."""
        if len(self._references) >= self._room:
            self._references = {id(known): weakref.ref(known) for known in self}
            self._room = 16 + 2 * len(self._references)
        self._references[id(item)] = weakref.ref(item)

    def discard(self, item: T) -> None:
        """Forget an object."""
        self._references.pop(id(item), None)

    def clear(self) -> None:
        """Forget all of them."""
        self._references.clear()

    def __iter__(self) -> Iterator[T]:
        for reference in list(self._references.values()):
            item = reference()
            if item is not None:
                yield item
