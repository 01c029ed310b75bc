"""Mappings whose values are read from the file when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lazyomics.container.deferred import is_deferred

__all__ = ["StoredValues"]


class StoredValues(Mapping[str, Any]):
    """Values by name; one that is still in the file is read on first access, and kept."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        if is_deferred(value):
            value = self._values[key] = self._checked(key, value.load())
        return value

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def stored(self) -> dict[str, Any]:
        """Values as they are held: those that were not read yet stay deferred."""
        return dict(self._values)

    def _checked(self, key: str, value: Any) -> Any:
        """Bring a value to the form that is held, or say what is wrong with it."""
        return value
